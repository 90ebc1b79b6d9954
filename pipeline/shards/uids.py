"""All uids of an output in one sorted array file, sorted in bounded memory."""

import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import IO, Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.lib import format as npy
from numpy.typing import NDArray

from pipeline.errors import SchemaError
from pipeline.shards import files
from pipeline.shards.location import shard_errors

BUCKET_ROWS: Final = 2**18
"""Uids that are sorted at once: about 4 MB of them."""
MAX_BUCKETS: Final = 256
"""Each is an open temporary file; above a hundred million uids the buckets grow."""
PAIR: Final = np.dtype("u8,u8")
"""A uid as its two halves: the type of a DataComp subset file."""


def write_uids(uri: str, tables: Iterable[str], num_rows: int) -> None:
    """Write the uids of some tables, sorted, as `.npy`.

    Uids are hashes: their leading bits cut them into buckets of about one size.

    Parameters
    ----------
    uri
        The file to write.
    tables
        Parquet files with a column `uid` of 16 bytes.
    num_rows
        About how many rows they have in sum.

    Raises
    ------
    SchemaError
        If a table has no `uid`.
    """
    num_buckets = min(-(-num_rows // BUCKET_ROWS), MAX_BUCKETS)
    bits = max((num_buckets - 1).bit_length(), 1)
    with ExitStack() as stack:
        with sorting():
            buckets = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(2**bits)]
        for table in tables:
            uid = halves(table)
            with sorting():
                scatter(uid, bits, buckets)
        files.write_parts(uri, Sorted(buckets))


def sorting() -> AbstractContextManager[None]:
    """Return the guard of the temporary files."""
    return shard_errors(tempfile.gettempdir(), "sort uids in this folder")


def halves(uri: str) -> NDArray[np.uint64]:
    """Return the uids of a table as `(n, 2)` numbers."""
    with files.open_read(uri) as source, pq.ParquetFile(source) as file:
        if "uid" not in file.schema_arrow.names:
            raise SchemaError(f"{files.redact(uri)} must have the column 'uid'; pack it again")
        uid = b"".join(file.read(["uid"])["uid"].to_pylist())
    return np.frombuffer(uid, ">u8").reshape(-1, 2).astype(np.uint64)


def scatter(uid: NDArray[np.uint64], bits: int, buckets: Sequence[IO[bytes]]) -> None:
    """Append uids to the files of their leading bits."""
    bucket = uid[:, 0] >> np.uint64(64 - bits)
    order = np.argsort(bucket, kind="stable")
    bounds = np.searchsorted(bucket[order], np.arange(2**bits + 1))
    for number, file in enumerate(buckets):
        uid[order[bounds[number] : bounds[number + 1]]].tofile(file)


class Sorted:
    """The bytes of the array file, bucket by bucket, every time from the beginning."""

    def __init__(self, buckets: Sequence[IO[bytes]]) -> None:
        self._buckets = buckets

    def __iter__(self) -> Iterator[bytes]:
        num_rows = sum(file.seek(0, io.SEEK_END) for file in self._buckets) // PAIR.itemsize
        yield header(num_rows)
        for file in self._buckets:
            with sorting():
                file.seek(0)
                data = file.read()
            uid = np.frombuffer(data, np.uint64).reshape(-1, 2)
            yield uid[np.lexsort((uid[:, 1], uid[:, 0]))].tobytes()


def header(num_rows: int) -> bytes:
    """Return the head of the array file, as `numpy.save` writes it."""
    buffer = io.BytesIO()
    said: dict[str, Any] = {
        "descr": npy.dtype_to_descr(PAIR),
        "fortran_order": False,
        "shape": (num_rows,),
    }
    npy.write_array_header_1_0(buffer, said)
    return buffer.getvalue()
