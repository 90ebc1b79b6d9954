"""Parquet files of strangers: nothing in them runs, and no row of them fills the memory."""

import io
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shards.chunks import check_chunks
from pipeline.shards.files import Source

MAX_FOOTER_BYTES: Final = 64 * 2**20
MAX_ROWS: Final = 2**22
MAX_COLUMNS: Final = 1000
MAX_ROW_BYTES: Final = 256 * 2**20
MAX_BATCH_ROWS: Final = 128
MAX_FIELD_BYTES: Final = 16 * 2**20
"""Of the columns of a row beside the picture, as `weight` counts them."""
MAX_RATIO: Final = 100
"""A column that says it grows more than this, and past `MAX_ROW_BYTES`, is no crawl but a bomb."""

CONTENT_ERRORS: Final = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)
"""What Arrow raises on corrupt files; storage raises `ShardError`."""

_ARROW_SCHEMA: Final = b"ARROW:schema"
_TAIL_BYTES: Final = 8
_AHEAD_BYTES: Final = 2**20


@dataclass(frozen=True)
class Table:
    """A parquet file whose types are those of parquet itself."""

    source: Source
    size: int
    """Bytes of the file."""
    metadata: pq.FileMetaData

    @property
    def schema(self) -> pa.Schema:
        """The columns."""
        return self.metadata.schema.to_arrow_schema()

    @property
    def group_rows(self) -> list[int]:
        """The number of rows of each row group."""
        groups = range(self.metadata.num_row_groups)
        return [self.metadata.row_group(group).num_rows for group in groups]

    def rows(
        self, group: int, rows: Sequence[int], columns: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield a batch of one row for each of the rising `rows` of a row group.

        A value is no larger than its column chunk, however often a page repeats it: so many rows
        are decoded at once that they fit into `MAX_ROW_BYTES` even if each has the largest value.

        Raises
        ------
        ValueError
            If the row group is a compression bomb by its own word, or larger than the file;
            others of `CONTENT_ERRORS` if it is corrupt.
        """
        check_chunks(self.metadata, group, self.size)
        chunks = _chunks(self.metadata.row_group(group), columns)
        packed = sum(chunk.total_compressed_size for chunk in chunks)
        if _is_bomb(chunks) or packed > self.size:
            raise ValueError("the row group is a compression bomb, or larger than the file")
        # a stream needs less memory, but as much as a page claims to have: for large groups only
        ahead = {"pre_buffer": False, "buffer_size": _AHEAD_BYTES if packed > MAX_ROW_BYTES else 0}
        file = pq.ParquetFile(self.source, metadata=self.metadata, **ahead)
        num_rows = _batch_rows(chunks)
        batches = file.iter_batches(
            num_rows, row_groups=[group], columns=columns, use_threads=False
        )
        start, done = 0, 0
        for batch in batches:
            stop = bisect_left(rows, start + batch.num_rows)
            yield from (batch.slice(row - start, 1) for row in rows[done:stop])
            start, done = start + batch.num_rows, stop
            if done == len(rows):
                return


def open_table(source: Source) -> Table:
    """Return a parquet file to be read row by row.

    The schema that Arrow hides in the footer is put out of sight: it can name extension types, and
    the classes of some, such as `ray.data.arrow_pickled_object`, unpickle what a column holds.

    Raises
    ------
    ValueError
        If the footer is none, too long or contradicts itself; others of `CONTENT_ERRORS` where
        Arrow cannot parse it.
    """
    size = source.seek(0, io.SEEK_END)
    table = Table(source, size, _metadata(source, size))
    metadata, groups = table.metadata, table.group_rows
    if sum(groups) != metadata.num_rows or min(groups, default=0) < 0:
        raise ValueError("the row groups have other rows than the file")
    if metadata.num_rows > MAX_ROWS or metadata.num_columns > MAX_COLUMNS:
        raise ValueError(f"the file has more than {MAX_ROWS} rows or {MAX_COLUMNS} columns")
    return table


def _metadata(source: Source, size: int) -> pq.FileMetaData:
    source.seek(max(size - _TAIL_BYTES, 0))
    tail = source.read(_TAIL_BYTES)
    num_bytes = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or num_bytes > min(MAX_FOOTER_BYTES, size - _TAIL_BYTES):
        raise ValueError("the file has no footer, or one that is too long")
    source.seek(size - _TAIL_BYTES - num_bytes)
    footer = source.read(num_bytes).replace(_ARROW_SCHEMA, _ARROW_SCHEMA.lower())
    return pq.read_metadata(io.BytesIO(b"PAR1" + footer + tail))


def _batch_rows(chunks: Sequence[pq.ColumnChunkMetaData]) -> int:
    largest = sum(chunk.total_uncompressed_size for chunk in chunks)
    return min(MAX_BATCH_ROWS, max(1, MAX_ROW_BYTES // max(largest, 1)))


def _chunks(group: pq.RowGroupMetaData, columns: list[str] | None) -> list[pq.ColumnChunkMetaData]:
    chunks = [group.column(number) for number in range(group.num_columns)]
    return [c for c in chunks if columns is None or c.path_in_schema.split(".")[0] in columns]


def _is_bomb(chunks: Sequence[pq.ColumnChunkMetaData]) -> bool:
    sizes = [
        (max(chunk.total_uncompressed_size, chunk.num_values), chunk.total_compressed_size)
        for chunk in chunks
    ]
    return sum(whole for whole, packed in sizes if whole > MAX_RATIO * packed) > MAX_ROW_BYTES


def columns_of(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """Return the columns by name; of a name that stands twice the first."""
    names = batch.schema.names
    return {name: batch.column(names.index(name)) for name in dict.fromkeys(names)}


def weight(columns: Iterable[pa.Array]) -> int:
    """Return the bytes of some columns, counting each value as 16 at least: a null has none."""
    return sum(max(column.nbytes, 16 * _num_values(column)) for column in columns)


def _num_values(array: pa.Array) -> int:
    if isinstance(array, pa.StructArray):
        return sum(map(_num_values, array.flatten()))
    if isinstance(array, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):  # or a map
        return _num_values(array.flatten())
    return len(array)


def value_of(scalar: pa.Scalar) -> Any:
    """Return a cell as Python holds it, a text that is not UTF-8 as bytes.

    Raises
    ------
    ValueError, OverflowError, pyarrow.ArrowException
        If Python has no such value, such as a date after the year 9999.
    """
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        is_text = pa.types.is_string(scalar.type) or pa.types.is_large_string(scalar.type)
        if not is_text:
            raise
        return scalar.as_buffer().to_pybytes()
