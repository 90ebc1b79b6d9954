"""Index a shard once, then read any rows of it: the one place that knows all formats."""

import struct
from collections.abc import Iterator
from types import ModuleType
from typing import Final

import pyarrow as pa

from pipeline.contract import Sample
from pipeline.errors import CurationError
from pipeline.shards import folder, parquet, webdataset
from pipeline.shards.find import Shard
from pipeline.shards.sample import INDEX, Index
from pipeline.shards.unchanged import require_unchanged

__all__ = ["FORMATS", "INDEX", "Index", "index", "read"]

FORMATS: Final[dict[str, ModuleType]] = {
    "webdataset": webdataset,
    "parquet": parquet,
    "folder": folder,
}

_FOREIGN_CONTENT = (
    pa.ArrowException,
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    ValueError,
    struct.error,
)
"""What parsers raise on files that are not what their names say; storage raises `ShardError`."""


def index(shard: Shard) -> Index:
    """Return the samples of a shard, from its headers alone.

    A shard that cannot be parsed has no rows and a fault.

    Raises
    ------
    ShardError
        If the storage fails: the shard may be fine; or if it was replaced since it was found.
    """
    try:
        found: Index = FORMATS[shard.format].index(shard)
    except _FOREIGN_CONTENT:
        found = Index(INDEX.empty_table(), "unreadable-shard")
    except CurationError:
        require_unchanged(shard)
        raise
    require_unchanged(shard)
    return found


def read(shard: Shard, table: pa.Table, caption: str | None = "auto") -> Iterator[Sample]:
    """Yield one sample for each row of `table`, in its order; faults are in the samples.

    Parameters
    ----------
    shard
        The shard that `table` indexes.
    table
        Any rows of `index(shard).table`.
    caption
        Where captions lie: a member's extension, `json:<field>` or a column; `auto` takes the
        convention of the format; None says that the corpus has no captions.

    Raises
    ------
    SchemaError
        If a parquet shard lacks the configured column.
    ShardError
        If the storage fails, or if the shard was replaced since it was found.
    """
    last = None
    try:
        for sample in FORMATS[shard.format].read(shard, table, caption):
            if last is not None:
                yield last
            last = sample
    except CurationError:
        require_unchanged(shard)  # what was replaced fails in many ways, and they mislead
        raise
    require_unchanged(shard)  # before the last row, after which nobody may ask for more
    if last is not None:
        yield last
