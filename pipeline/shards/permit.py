"""Permission to change files, asked for at the last moment before each change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_permits: ContextVar[tuple[tuple[str, Callable[[], None]], ...]] = ContextVar("permits", default=())


@contextmanager
def asking(folder: str, permit: Callable[[], None]) -> Iterator[None]:
    """Have `permit` called before a file below a folder is changed inside the block.

    What it raises stops the change. Threads that are begun inside the block ask nobody.
    """
    token = _permits.set((*_permits.get(), (folder.rstrip("/") + "/", permit)))
    try:
        yield
    finally:
        _permits.reset(token)


def require(uri: str) -> None:
    """Ask whoever must permit that a file is changed."""
    for folder, permit in _permits.get():
        if uri.startswith(folder):
            permit()
