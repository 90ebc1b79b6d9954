"""The column chunks of a parquet file: looked at first where Arrow raises what is wrong."""

import io
from contextlib import suppress

import pyarrow.parquet as pq


def check_chunks(metadata: pq.FileMetaData, group: int, size: int) -> None:
    """Check what the chunks of a row group say of themselves, without reading one.

    `RowGroupMetaData.column` ends the process where that is wrong: at statistics of other columns,
    or at an encrypted chunk. Arrow's reader looks at the same things, and raises.

    Parameters
    ----------
    metadata
        The footer.
    group
        Number of the row group.
    size
        Bytes of the file.

    Raises
    ------
    pyarrow.ArrowException, OSError
        If Arrow does not accept a chunk.
    """
    file = pq.ParquetFile(_Unread(size), metadata=metadata, pre_buffer=False)
    for number in range(metadata.num_columns):
        path = metadata.schema.column(number).path
        with suppress(_Reached):
            file.read_row_group(group, columns=[path], use_threads=False)


class _Reached(Exception):  # noqa: N818  (no error: the end of a look)
    """Arrow has accepted what a chunk says of itself, and goes on to its pages."""


class _Unread(io.RawIOBase):
    """A file of which nothing is read."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002
        raise _Reached
