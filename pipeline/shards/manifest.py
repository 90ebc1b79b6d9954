"""Names of the files of a run and of an output, in one place."""

from typing import Final

SIZES: Final = "sizes.json"
"""Number of samples by tar name: what OpenCLIP reads the length of a corpus from."""

MANIFEST: Final = "manifest.json"
"""Published last; its `shards` holds the number of samples by tar name, as in `SIZES`."""

MARK: Final = "_winnow"
"""Says that a folder is an output of this program: written first."""

LEASE: Final = "_lease"
"""Folder of an output that says who is writing it; readers pass over it."""

UIDS: Final = "uids.npy"
"""All uids of an output, sorted, as a DataComp subset file."""

LEDGER: Final = "ledger"
"""Folder with one row per input row."""

REPORT: Final = "report.html"

KEY: Final = "__key__"
"""Column of the output key: unique over the whole output."""


def shard_name(number: int) -> str:
    """Return the name of an output shard, without an extension.

    Examples
    --------
    >>> shard_name(7)
    '00007'
    """
    return f"{number:05d}"


def tar_name(number: int) -> str:
    """Return the name of the tar of an output shard."""
    return shard_name(number) + ".tar"


def rows_name(number: int) -> str:
    """Return the name of the table of an output shard."""
    return shard_name(number) + ".parquet"


def stats_name(number: int) -> str:
    """Return the name of the file that is written last and so commits an output shard."""
    return shard_name(number) + "_stats.json"


def output_keys(number: int, count: int) -> list[str]:
    """Return the output keys of a shard: its number, then the position in it.

    Examples
    --------
    >>> output_keys(12, 2)
    ['000120000', '000120001']
    """
    width = max(4, len(str(count - 1)))
    return [f"{shard_name(number)}{position:0{width}d}" for position in range(count)]
