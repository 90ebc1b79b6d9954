"""Read and write files of any store: a thin layer over fsspec that raises only `ShardError`."""

import io
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from pipeline.shards import creation, local, permit
from pipeline.shards.listing import exists, list_files, stat
from pipeline.shards.location import Stat, ask, canonical, join, redact, resolve, shard_errors
from pipeline.shards.retry import is_transient

__all__ = [
    "Source",
    "Stat",
    "canonical",
    "create",
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
    "tidy",
    "write",
    "write_parts",
]

_ABSENT = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def read_bytes(uri: str, start: int | None = None, end: int | None = None) -> bytes:
    """Return the bytes of a file, or those of `[start, end)`."""
    fs, path = resolve(uri)
    return bytes(ask(uri, "read it", fs.cat_file, path, start=start, end=end))


def read_ranges(uri: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return the bytes of each `[start, end)`; what lies behind the end of the file is cut off."""
    if not ranges:
        return []
    fs, path = resolve(uri)
    if isinstance(fs, LocalFileSystem):
        return ask(uri, "read it", local.read_ranges, Path(path), ranges)
    parts = _Parts(fs, [(path, start, end) for start, end in ranges])
    return [_content(uri, part) for part in ask(uri, "read it", parts.fetch)]


def read_many(uris: Sequence[str]) -> list[bytes | None]:
    """Return the bytes of each file of one store; None for a file that is gone or forbidden."""
    if not uris:
        return []
    fs = resolve(uris[0])[0]
    parts = _Parts(fs, [(resolve(uri)[1], 0, None) for uri in uris])
    found = ask(uris[0], "read it and its neighbours", parts.fetch)
    return [
        None if isinstance(part, _ABSENT) else _content(uri, part)
        for uri, part in zip(uris, found, strict=True)
    ]


class _Parts:
    """Parts of files that are read together; only those that failed are read again."""

    def __init__(self, fs: Any, wanted: Sequence[tuple[str, int, int | None]]) -> None:
        self._fs = fs
        self._wanted = wanted
        self._missing = list(range(len(wanted)))
        self._found: dict[int, bytes | Exception] = {}

    def fetch(self) -> list[bytes | Exception]:
        """Return all parts; raise the first error that passes by itself, to be called again."""
        paths, starts, ends = zip(*(self._wanted[i] for i in self._missing), strict=True)
        parts = self._fs.cat_ranges(list(paths), list(starts), list(ends), on_error="return")
        self._found.update(zip(self._missing, parts, strict=True))
        errors = {i: part for i, part in self._found.items() if isinstance(part, Exception)}
        self._missing = [i for i, error in errors.items() if is_transient(error)]
        for index in self._missing:
            raise errors[index]
        return [self._found[i] for i in range(len(self._wanted))]


def _content(uri: str, part: bytes | Exception) -> bytes:
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
        return ask(self._uri, "read it", self._read_at, int(self._file.tell()), size)

    def _read_at(self, position: int, size: int) -> bytes:
        if self._file.tell() != position:  # an attempt that failed may have read a part
            self._file.seek(position)
        return bytes(self._file.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        with shard_errors(self._uri, "read it"):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()


def open_read(uri: str) -> Source:
    """Return a seekable file open for reading; close it after use."""
    fs, path = resolve(uri)
    return Source(uri, ask(uri, "open it", fs.open, path, "rb"))


def write(uri: str, data: bytes) -> None:
    """Write a file at once: a reader sees the old content or the new, never a part of it.

    A local file gets its name when it is whole; an object appears with the end of its one PUT,
    or with the completion of its parts, which are given up if one fails.
    """
    fs, path = resolve(uri)
    if isinstance(fs, LocalFileSystem):
        ask(uri, "write it", local.replace, Path(path), [data], partial(permit.require, uri))
    else:
        permit.require(uri)
        ask(uri, "write it", fs.pipe_file, path, data)


def write_parts(uri: str, parts: Iterable[bytes]) -> None:
    """Write a file at once, as `write` does, of parts that need not fit into memory together.

    `parts` is gone through anew by every attempt.
    """
    fs, path = resolve(uri)
    if isinstance(fs, LocalFileSystem):
        ask(uri, "write it", local.replace, Path(path), parts, partial(permit.require, uri))
    else:
        ask(uri, "write it", _upload, fs, path, parts, partial(permit.require, uri))


def _upload(fs: Any, path: str, parts: Iterable[bytes], permitted: Callable[[], None]) -> None:
    with tempfile.NamedTemporaryFile() as whole:
        whole.writelines(parts)
        whole.flush()
        permitted()
        fs.put_file(whole.name, path)


def create(uri: str, data: bytes) -> bool:
    """Write a file at once if none is there, and return whether it now holds `data`, ours.

    Of several callers at the same moment exactly one gets True, if each writes other bytes: put
    into them who writes. A reader sees no file or the whole one.
    """
    return ask(uri, "create it", creation.create, *resolve(uri), data)


def remove(uri: str) -> None:
    """Remove a file; nothing happens where there is none."""
    fs, path = resolve(uri)
    permit.require(uri)
    ask(uri, "remove it", _remove, fs, path)


def _remove(fs: Any, path: str) -> None:
    with suppress(FileNotFoundError):
        fs.rm_file(path)


def tidy(uri: str) -> None:
    """Delete what killed writers have left below a folder, a day ago or more.

    Only local disks need it: on an object store a killed writer leaves no object.
    """
    fs, path = resolve(uri)
    if isinstance(fs, LocalFileSystem):
        ask(uri, "tidy it", local.remove_abandoned, Path(path))
