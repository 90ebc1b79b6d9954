"""Read and write files of any store: a thin layer over fsspec that raises only `ShardError`."""

import io
import os
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from fsspec.implementations.local import LocalFileSystem

from pipeline.shards.listing import exists, list_files, stat
from pipeline.shards.location import Stat, canonical, join, redact, resolve, shard_errors

__all__ = [
    "Source",
    "Stat",
    "canonical",
    "exists",
    "join",
    "list_files",
    "open_read",
    "read_bytes",
    "read_many",
    "read_ranges",
    "redact",
    "remove",
    "stat",
    "write",
]

Result = TypeVar("Result")

_ABSENT = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def read_bytes(uri: str, start: int | None = None, end: int | None = None) -> bytes:
    """Return the bytes of a file, or those of `[start, end)`."""
    fs, path = resolve(uri)
    with shard_errors(uri, "read it"):
        return bytes(fs.cat_file(path, start=start, end=end))


def read_ranges(uri: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return the bytes of each `[start, end)`; what lies behind the end of the file is cut off."""
    if not ranges:
        return []
    fs, path = resolve(uri)
    starts = [start for start, _ in ranges]
    ends = [end for _, end in ranges]
    with shard_errors(uri, "read it"):
        found = fs.cat_ranges([path] * len(ranges), starts, ends, on_error="raise")
        return [bytes(part) for part in found]


def read_many(uris: Sequence[str]) -> list[bytes | None]:
    """Return the bytes of each file of one store; None for a file that is gone or forbidden."""
    if not uris:
        return []
    paths = [resolve(uri)[1] for uri in uris]
    with shard_errors(uris[0], "read it and its neighbours"):
        found = resolve(uris[0])[0].cat_ranges(paths, 0, None, on_error="return")
    return [_content(uri, part) for uri, part in zip(uris, found, strict=True)]


def _content(uri: str, part: bytes | Exception) -> bytes | None:
    if isinstance(part, _ABSENT):
        return None
    with shard_errors(uri, "read it"):
        if isinstance(part, Exception):
            raise part
        return bytes(part)


class Source(io.RawIOBase):
    """A seekable file whose read errors are `ShardError`, so that parsers raise only their own."""

    def __init__(self, uri: str, file: Any) -> None:
        super().__init__()
        self._uri = uri
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._guard(self._file.read, size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._guard(self._file.seek, offset, whence)

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()

    def _guard(self, function: Callable[..., Result], *args: int) -> Result:
        with shard_errors(self._uri, "read it"):
            return function(*args)


def open_read(uri: str) -> Source:
    """Return a seekable file open for reading; close it after use."""
    fs, path = resolve(uri)
    with shard_errors(uri, "open it"):
        return Source(uri, fs.open(path, "rb"))


def write(uri: str, data: bytes) -> None:
    """Write a file at once: a reader sees the old content or the new, never a part of it."""
    fs, path = resolve(uri)
    with shard_errors(uri, "write it"):
        if isinstance(fs, LocalFileSystem):
            _replace(Path(path), data)
        else:
            fs.pipe_file(path, data)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove(uri: str) -> None:
    """Remove a file; nothing happens where there is none."""
    fs, path = resolve(uri)
    with shard_errors(uri, "remove it"), suppress(FileNotFoundError):
        fs.rm_file(path)
