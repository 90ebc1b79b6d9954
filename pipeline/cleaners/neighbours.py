"""`neighbours`: the nearest other images of every row, with their labels.

A table of edges that is built once and read by many. What is searched is cut into parts by image
hash, each an index that fits into memory and a state of its own. A row meets one part after the
other, and keeps the nearest of what it has met: so a corpus is searched whole, up to `max_parts`
times `bank_rows` rows, and of a larger one a sample of that size.

The first part is a sample of the corpus by itself, the anchors: a graph of bounded size has to be
spanned by them (Liu et al. 2010, "Large graph construction for scalable semi-supervised learning").

A picture is never its own neighbour, nor is a copy of it (a copied picture mostly has its label
copied too), and of several copies of another picture one counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import (
    hashes,
    keys,
    labels,
    lists,
    score,
    score_schema,
    vector_lists,
    vectors,
)
from pipeline.contract import Cleaner, Count, Number, Rows
from pipeline.numeric.bottom import Bottom, Columns
from pipeline.numeric.edges import Edges
from pipeline.numeric.neighbours import FLAT_ROWS, build_index, search_others
from pipeline.numeric.record import from_arrays
from pipeline.schema import IMAGE, LABEL

SIZE = 20
"""Neighbours of a row."""
FLAT_PART_ROWS = 10_000
"""Rows up to which the index of a part is exhaustive: less than of an only one, for they add up."""
FULL = 0.9
"""Share of `bank_rows` that parts are planned to have: hashes spread rows unevenly."""


@dataclass(frozen=True)
class Bank:
    """The rows of one part."""

    index: NDArray[np.uint8]
    """Serialised FAISS index of the image vectors."""
    hash: NDArray[np.uint64]
    """`(m,)` hashes of the images, each once."""
    key: NDArray[np.uint64]
    """`(m,)` names of the rows."""
    label: NDArray[np.int64]
    """`(m,)` labels, -1 where there is none."""


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Finds the nearest other images of every row, and their labels."""

    name: ClassVar[str] = "neighbours"
    needs: ClassVar[tuple[str, ...]] = ("uid", "image_hash", IMAGE, LABEL)
    adds: ClassVar[pa.Schema] = score_schema(
        "neighbours",
        ("rare", pa.float32(), "mean cosine distance to the neighbours, over 2"),
        ("key", pa.list_(pa.uint64(), SIZE), "names of the neighbours, nearest first"),
        ("similarity", pa.list_(pa.float32(), SIZE), "their cosines; -1 where there are fewer"),
        ("given", pa.list_(pa.int32(), SIZE), "their labels; -1 without one or no neighbour"),
        ("anchor", pa.list_(pa.uint64(), SIZE), "names of the nearest anchors, nearest first"),
        ("nearness", pa.list_(pa.float32(), SIZE), "their cosines; -1 where there are fewer"),
    )

    bank_rows: Count = 100_000
    """Rows of a part at most. A corpus of up to 50,000 rows is searched exhaustively, and so are
    parts of up to 10,000; larger ones by an inverted file, which misses a few."""
    max_parts: Count = 8
    """Parts at most: each is a pass over all vectors, and a search for every row."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns of the rows."""
        return self.needs

    def parts_for(self, num_rows: int) -> "tuple[Cleaner[Bank], ...]":
        """Return one cleaner for each part: twice as many where a corpus has outgrown them."""
        parts = 1
        while parts < self.max_parts and num_rows > parts * self.bank_rows * (
            FULL if parts > 1 else 1.0
        ):
            parts = min(2 * parts, self.max_parts)
        if parts == 1:
            return (self,)
        size = {"bank_rows": self.bank_rows, "max_parts": self.max_parts}
        return tuple(Part(**size, part=part, parts=parts) for part in range(parts))

    def fit(self, rows: Rows) -> Bank:
        sample = rows.select(*self.needs).reduce(self._gather, Bottom.merge).distinct()
        column = sample.column
        index = build_index(column["image"], self._flat_rows)
        return Bank(index, sample.hash, sample.key, column["label"])

    @property
    def _flat_rows(self) -> int:
        return FLAT_ROWS

    def _gather(self, batch: pa.Table) -> Bottom:
        image, present = vectors(batch, IMAGE)
        mine = present & self._holds(hashes(batch))
        column: Columns = {"image": image.astype(np.float16)[mine], "label": labels(batch)[mine]}
        return Bottom.of(self.bank_rows, hashes(batch)[mine], keys(batch)[mine], column)

    def _holds(self, hashed: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return which of `(n,)` hashes are in this part."""
        return np.ones(len(hashed), dtype=bool)

    def score(self, state: Bank, batch: pa.Table) -> pa.Table:
        met = self._meet(state, batch)
        return self._tabulate(met, met)

    def _meet(self, state: Bank, batch: pa.Table) -> Edges:
        """Return the nearest rows of a part."""
        image, present = vectors(batch, IMAGE)
        near = search_others(state.index, image, SIZE, (hashes(batch), state.hash))
        return Edges.of(*near, state.key, state.label).only(present)

    def _tabulate(self, met: Edges, anchors: Edges) -> pa.Table:
        columns = [
            score((1.0 - met.mean()) / 2.0, met.count() > 0),
            vector_lists(met.key, SIZE, 0),
            vector_lists(met.similarity, SIZE, -1),
            vector_lists(met.label.astype(np.int32), SIZE, -1),
            vector_lists(anchors.key, SIZE, 0),
            vector_lists(anchors.similarity, SIZE, -1),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Bank) -> Mapping[str, NDArray[Any]]:
        arrays = {"hash": state.hash, "key": state.key, "label": state.label}
        return arrays | {"index.faiss": state.index}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Bank:
        return from_arrays(Bank, {**arrays, "index": arrays["index.faiss"]})


@dataclass(frozen=True, kw_only=True)
class Part(Neighbours):
    """One part of `neighbours`: the nearest of its rows and of those of the parts before it."""

    part: Number
    """Position of the part: hashes from `part / parts` of their range up to the next."""
    parts: Count

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns of the rows, and what the part before has added."""
        return self.needs if self.part == 0 else (*self.needs, *self.adds.names)

    @property
    def _flat_rows(self) -> int:
        return FLAT_PART_ROWS

    def _holds(self, hashed: NDArray[np.uint64]) -> NDArray[np.bool_]:
        high = hashed >> np.uint64(32)
        return np.asarray(high * np.uint64(self.parts) >> np.uint64(32) == self.part)

    def score(self, state: Bank, batch: pa.Table) -> pa.Table:
        met = self._meet(state, batch)
        if self.part == 0:
            return self._tabulate(met, met)
        before = [lists(batch, f"neighbours.{n}") for n in ("key", "similarity", "given")]
        anchors = [lists(batch, f"neighbours.{n}") for n in ("anchor", "nearness", "given")]
        return self._tabulate(Edges(*before).join(met, SIZE), Edges(*anchors))
