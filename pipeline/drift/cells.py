"""Counts of named things as one Arrow table, bounded by the hash of the names."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

CELLS: Final = pa.schema(
    [
        pa.field("kind", pa.string(), metadata={"is": "what is counted, a key of `KINDS`"}),
        pa.field("name", pa.string(), metadata={"is": "action, label, host, column or tag"}),
        pa.field("name2", pa.string(), metadata={"is": "action, column, or the other tag"}),
        pa.field("bin", pa.int16(), metadata={"is": "bin of a score, or null"}),
        pa.field("count", pa.int64(), metadata={"is": "rows"}),
    ]
)
"""The columns of a stored profile."""
KEYS: Final = CELLS.names[:-1]


class Kind(NamedTuple):
    """What a cell of a kind is counted by, and how many names are kept."""

    keys: tuple[str, ...]
    limit: int
    """Different names; for pairs of tags, pairs of names."""


KINDS: Final[Mapping[str, Kind]] = {
    "action": Kind(("name",), 100),
    "label": Kind(("name", "name2"), 100_000),
    "unknown": Kind(("name", "name2"), 10_000),
    "host": Kind(("name", "name2"), 100_000),
    "reason": Kind(("name", "name2"), 10_000),
    "score": Kind(("name", "bin"), 10_000),
    "class-score": Kind(("name", "name2", "bin"), 100_000),
    "tag": Kind(("name",), 100_000),
    "pair": Kind(("name", "name2"), 500_000),
}

Names = Mapping[str, pa.Array]
"""The names that are kept of the kinds that have too many."""


def summed(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the sums of cells, sorted, within the limits."""
    cells = added(tables)
    kept = thinned(cells, crowded(cells))
    return kept.sort_by([(key, "ascending") for key in KEYS]).combine_chunks()


def added(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the sums of cells, in any order, without a limit."""
    groups = pa.concat_tables(tables).group_by(KEYS, use_threads=False)
    return groups.aggregate([("count", "sum")]).rename_columns(CELLS.names).cast(CELLS)


def crowded(cells: pa.Table) -> dict[str, pa.Array]:
    """Return the names to keep of every kind that has more of them than its limit."""
    return dict(_crowded(cells))


def _crowded(cells: pa.Table) -> Iterator[tuple[str, pa.Array]]:
    for kind, (_, limit) in KINDS.items():
        chosen = cells.filter(pc.equal(cells["kind"], kind))
        if len(chosen) > limit:
            names = _names(chosen).unique().to_pylist()
            if len(names) > limit:
                yield kind, pa.array(sorted(names, key=_lot)[:limit], pa.string())


def thinned(cells: pa.Table, names: Names) -> pa.Table:
    """Return the cells whose kind is none of `names`, or whose name is one of them."""
    for kind, kept in names.items():
        is_other = pc.not_equal(cells["kind"], kind)
        cells = cells.filter(pc.or_(is_other, pc.is_in(_names(cells), value_set=kept)))
    return cells


def _names(cells: pa.Table) -> pa.ChunkedArray:
    pair = pc.binary_join_element_wise(cells["name"], cells["name2"], "\x00")
    return pc.if_else(pc.equal(cells["kind"], "pair"), pair, cells["name"])


def _lot(name: str | None) -> bytes:
    return b"" if name is None else blake2b(name.encode(), digest_size=8).digest()
