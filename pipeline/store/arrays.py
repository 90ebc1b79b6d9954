"""Rows of an `.npy`, or of a member of an `.npz`: only those that are wanted, never a pickle."""

import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pipeline.errors import SchemaError
from pipeline.shards import files

MAX_DIMS: Final = 2**16
"""More numbers in a vector are a fault of the header: one row would fill the memory."""

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_BROKEN = (
    *(ValueError, OSError, LookupError, EOFError, MemoryError, RuntimeError, ArithmeticError),
    *(TypeError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What parsers raise on files that are not what their names say; storage raises `ShardError`."""


@dataclass(frozen=True)
class Header:
    """What an array file says of itself; its values follow."""

    num_rows: int
    num_dims: int
    dtype: np.dtype[Any]
    is_transposed: bool
    """Column by column, as Fortran has it: such a file can only be read as a whole."""

    def read(self, source: IO[bytes], start: int, stop: int) -> NDArray[np.floating]:
        """Return the rows `[start, stop)`, at the beginning of the values."""
        if self.is_transposed:
            return self._values(source, self.num_dims, self.num_rows).T[start:stop]
        source.seek(source.tell() + start * self.num_dims * self.dtype.itemsize)
        return self._values(source, stop - start, self.num_dims)

    def _values(self, source: IO[bytes], num_rows: int, num_dims: int) -> NDArray[np.floating]:
        size = num_rows * num_dims * self.dtype.itemsize
        data = source.read(size)
        if len(data) < size:
            raise ValueError("it ends early")
        return np.frombuffer(data, self.dtype).reshape(num_rows, num_dims)


def load_rows(uri: str, member: str, start: int, stop: int) -> NDArray[np.floating]:
    """Return the rows `[start, stop)` of the array of an `.npy`, or of a member of an `.npz`.

    Raises
    ------
    SchemaError
        If the file holds no such array of numbers, or fewer rows.
    """
    with _opened(uri, member) as (source, header):
        if header.num_rows < stop:
            raise SchemaError(f"{uri} has {header.num_rows} vectors, its shard has {stop} rows")
        return header.read(source, start, stop)


def load_array(uri: str) -> NDArray[np.floating]:
    """Return the whole array of an `.npy`, which must be small.

    Raises
    ------
    SchemaError
        If the file holds no array of numbers.
    """
    with _opened(uri, "") as (source, header):
        return header.read(source, 0, header.num_rows)


@contextmanager
def _opened(uri: str, member: str) -> Iterator[tuple[IO[bytes], Header]]:
    try:
        with files.open_read(uri) as file, ExitStack() as stack:
            source, size = cast("IO[bytes]", file), files.stat(uri).size
            if member:
                archive = stack.enter_context(zipfile.ZipFile(source))
                size = archive.getinfo(f"{member}.npy").file_size
                source = stack.enter_context(archive.open(f"{member}.npy"))
            yield source, _header(uri, source, size)
    except _BROKEN as error:
        raise SchemaError(
            f"{uri} holds no array {member!r} of numbers: {error}; "
            "name an array of an npz as FILE.npz#ARRAY"
        ) from error


def _header(uri: str, source: IO[bytes], size: int) -> Header:
    """Return the header of an array of `size` bytes, and leave `source` at its values."""
    version = npy.read_magic(source)
    if version not in _HEADERS:
        raise ValueError(f"format version {version} is not known")
    shape, is_transposed, dtype = _HEADERS[version](source)
    if dtype.kind not in "fiu":
        raise ValueError(f"its values are of type {dtype}")
    if len(shape) != 2:  # noqa: PLR2004
        raise SchemaError(f"{uri} must hold an (n, d) array, got the shape {shape}")
    num_rows, num_dims = shape
    if not (num_rows >= 0 and 0 <= num_dims <= MAX_DIMS):
        raise ValueError(f"its shape is {shape}, a vector has {MAX_DIMS} numbers at most")
    if source.tell() + num_rows * num_dims * dtype.itemsize > size:
        raise ValueError("it ends early")
    return Header(*shape, dtype, is_transposed)
