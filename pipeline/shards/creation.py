"""Create a file that nobody else has created, also where the answer of a store was lost."""

from pathlib import Path
from typing import Any, Final

from fsspec.implementations.local import LocalFileSystem

from pipeline.shards import local
from pipeline.shards.retry import reason

TAKEN: Final = frozenset({"PreconditionFailed", "HTTP 412"})
"""How object stores say that an object is there already."""


def create(fs: Any, path: str, data: bytes) -> bool:
    """Write a file where none is, and return whether the one that lies there now holds `data`.

    That a file is taken does not mean that somebody else was faster: HTTP clients repeat a request
    whose answer was lost, some without a trace, and the second one finds what the first has made.
    """
    try:
        if isinstance(fs, LocalFileSystem):
            local.create(Path(path), data)
        else:
            fs.pipe_file(path, data, mode="create")
    except OSError as error:
        if not (isinstance(error, FileExistsError) or reason(error) in TAKEN):
            raise
    else:
        return True
    try:
        return bool(fs.cat_file(path) == data)
    except FileNotFoundError:
        return False
