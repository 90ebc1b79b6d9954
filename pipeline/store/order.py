"""Where every kept row stands in the output: shuffled by a seeded hash inside of windows.

A window is sorted once. What its rows need in order to be packed (their ledger, and where their
members lie) is stored for each output shard apart, so that a shard reads its own rows alone.
"""

import hashlib
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from pipeline.shards.sample import INDEX
from pipeline.store.attach import Attached
from pipeline.store.catalog import Fragment
from pipeline.store.place import EMITTED
from pipeline.store.settle import emitted
from pipeline.store.workspace import Step

LISTED = {f"index.{name}": name for name in INDEX.names}
"""The columns of a shard's index, as they are named beside a ledger."""


@dataclass(frozen=True, kw_only=True)
class PackSpec:
    """How the output is cut and shuffled."""

    shard_rows: Annotated[int, Field(ge=1)] = 10_000
    """Most rows of an output shard; all have the same number but for one."""
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    """Of the shuffle."""
    window_rows: Annotated[int, Field(ge=1)] = 250_000
    """Rows shuffled together, which bounds the memory of a worker: about 1 kB a row. Source
    shards are shuffled whole before that."""
    tiers: bool = False
    """Whether rows with their own label and relabelled ones go into folders of their own, `clean`
    and `relabelled`, for a training job to weigh them apart."""
    attach: tuple[str, ...] = ()
    """Columns of the cleaners that are written into the json of every sample."""


@dataclass(frozen=True)
class Window:
    """Fragments whose rows are shuffled together, and where they stand in the output."""

    fragments: tuple[Fragment, ...]
    start: int
    stop: int


def windows(fragments: Sequence[Fragment], counts: Sequence[int], spec: PackSpec) -> list[Window]:
    """Return the shuffled fragments, cut into windows of about `spec.window_rows` kept rows."""
    order = list(range(len(fragments)))
    random.Random(spec.seed).shuffle(order)
    found: list[Window] = []
    members: list[Fragment] = []
    start = stop = 0
    for i in order:
        members.append(fragments[i])
        stop += counts[i]
        if stop - start >= spec.window_rows:
            found.append(Window(tuple(members), start, stop))
            members, start = [], stop
    return [*found, Window(tuple(members), start, stop)] if members else found


@dataclass(frozen=True)
class Part:
    """The rows of an output shard that come from one window."""

    shard: int
    """Number of the output shard."""
    start: int
    """Position of the first row in the output."""
    stop: int

    @property
    def name(self) -> str:
        """What its file is called; it ends like the name of a fragment, with its rows."""
        return f"{self.shard:05d}-{self.start:09d}-{self.stop - self.start:05d}"


def parts(window: Window, plan: Sequence[tuple[int, int]]) -> tuple[Part, ...]:
    """Return the parts of a window, given the row ranges of all output shards, in order.

    Examples
    --------
    >>> parts(Window((), 2, 6), [(0, 3), (3, 5), (5, 7)])
    (Part(shard=0, start=2, stop=3), Part(shard=1, start=3, stop=5), Part(shard=2, start=5, stop=6))
    """
    found, position = [], window.start
    shard = bisect_right(plan, position, key=lambda bounds: bounds[1])
    while position < window.stop:
        stop = min(plan[shard][1], window.stop)
        found.append(Part(shard, position, stop))
        shard, position = shard + 1, stop
    return tuple(found)


@dataclass(frozen=True)
class Sorter:
    """Sorts one window and commits its parts."""

    decided: Step | Attached
    seed: int
    step: Step
    actions: tuple[str, ...] = EMITTED
    """Whose rows are sorted."""

    def __call__(self, item: tuple[Window, tuple[Part, ...]]) -> int:
        window, parts = item
        tables = list(self.rows(window))
        order = np.argsort(np.concatenate([self.rank(table) for table in tables]), kind="stable")
        table = pa.concat_tables(tables)
        for part in parts:
            mine = order[part.start - window.start : part.stop - window.start]
            self.step.write(part.name, table.take(mine))
        return len(table)

    def rows(self, window: Window) -> Iterator[pa.Table]:
        """Yield the emitted rows of every fragment: their ledger, then what the index lists."""
        for fragment in window.fragments:
            table = self.decided.read(fragment.name)
            listed = fragment.listed()
            for column, name in LISTED.items():
                table = table.append_column(column, listed[name])
            yield table.filter(emitted(table, self.actions))

    def rank(self, table: pa.Table) -> NDArray[np.bytes_]:
        """Return the seeded hash of the place and the uid of every row: the order of a window."""
        salt = self.seed.to_bytes(8, "little", signed=True)
        places = zip(*(table[c].to_pylist() for c in ("uid", "shard", "row")), strict=True)
        hashes = (
            hashlib.blake2b(f"{shard}:{row}".encode() + uid, digest_size=8, key=salt).digest()
            for uid, shard, row in places
        )
        return np.fromiter(hashes, "S8", len(table))
