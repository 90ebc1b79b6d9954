"""Files of a local disk: read in many places at once; whole content first, then the name."""

import errno
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

ABANDONED_SECONDS = 24 * 3600
"""No writer holds a temporary file for so long: it is made from what is there already."""
_NO_LINKS: Final = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_NO_SYNC: Final = {errno.EINVAL, errno.ENOTSUP}


def read_ranges(path: Path, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return the bytes of each `[start, end)`; the file is opened once for all of them."""
    parts = []
    with path.open("rb") as file:
        for start, end in ranges:
            file.seek(start)
            parts.append(file.read(max(end - start, 0)))
    return parts


def replace(path: Path, parts: Iterable[bytes], permitted: Callable[[], None]) -> None:
    """Write a file, in place of the one that is there, unless `permitted` raises right before."""
    with _temporary(path, parts) as temporary:
        permitted()
        temporary.replace(path)


def create(path: Path, data: bytes) -> None:
    """Write a file where none is.

    Raises
    ------
    FileExistsError
        If there is one.
    """
    with _temporary(path, [data]) as temporary:
        try:
            path.hardlink_to(temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _create_in_place(path, data)


def _create_in_place(path: Path, data: bytes) -> None:
    """Write a file where none is and links are unknown: a reader may see its beginning."""
    with path.open("xb") as file:
        _write(file, [data])


def remove_abandoned(folder: Path) -> None:
    """Delete the temporary files below a folder that killed writers have left a day ago or more."""
    latest = time.time() - ABANDONED_SECONDS
    for temporary in folder.glob("**/.*.tmp"):
        with suppress(FileNotFoundError):  # another process tidies up as well
            if len(temporary.stem) == len(_name()) and temporary.stat().st_mtime < latest:
                temporary.unlink()


@contextmanager
def _temporary(path: Path, parts: Iterable[bytes]) -> Iterator[Path]:
    """Yield a hidden file beside `path` that holds `parts`; what is made of it is durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{_name()}.tmp"
    try:
        with temporary.open("xb") as file:
            _write(file, parts)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _write(file: BinaryIO, parts: Iterable[bytes]) -> None:
    file.writelines(parts)
    file.flush()
    os.fsync(file.fileno())


def _name() -> str:
    return f".{uuid.uuid4().hex}"


def _sync(folder: Path) -> None:
    """Make the names in a folder durable, where its file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
