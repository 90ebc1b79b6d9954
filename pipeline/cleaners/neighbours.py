"""`neighbours`: the nearest other images of every row, with their labels.

A table of edges that is built once and read by many. The rows searched are a sample of the corpus,
drawn by image hash and bounded by `bank_rows`: of a smaller corpus all rows. A picture is never
its own neighbour, nor is a copy of it (a copied picture mostly has its label copied too), and of
several copies of another picture one counts.
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
    score,
    score_schema,
    vector_lists,
    vectors,
)
from pipeline.contract import Count, Rows
from pipeline.errors import FitError
from pipeline.numeric.bottom import Bottom, Columns
from pipeline.numeric.neighbours import build_index, search_others
from pipeline.numeric.record import from_arrays
from pipeline.schema import IMAGE, LABEL

SIZE = 20
"""Neighbours of a row."""


@dataclass(frozen=True)
class Bank:
    """The rows that neighbours are searched in."""

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
    reads: ClassVar[tuple[str, ...]] = ("uid", "image_hash", IMAGE, LABEL)
    adds: ClassVar[pa.Schema] = score_schema(
        "neighbours",
        ("rare", pa.float32(), "mean cosine distance to the neighbours, over 2"),
        ("key", pa.list_(pa.uint64(), SIZE), "names of the neighbours, nearest first"),
        ("similarity", pa.list_(pa.float32(), SIZE), "their cosines; -1 where there are fewer"),
        ("given", pa.list_(pa.int32(), SIZE), "their labels; -1 without one or no neighbour"),
    )

    bank_rows: Count = 100_000
    """Rows that are searched at most; above 50,000 by an inverted file, below exhaustively."""

    def fit(self, rows: Rows) -> Bank:
        sample = rows.select(*self.reads).reduce(self._gather, Bottom.merge).distinct()
        if not len(sample.hash):
            raise FitError("cleaner neighbours must have readable rows to search in, got none")
        column = sample.column
        return Bank(build_index(column["image"]), sample.hash, sample.key, column["label"])

    def _gather(self, batch: pa.Table) -> Bottom:
        image, present = vectors(batch, IMAGE)
        column: Columns = {
            "image": image.astype(np.float16)[present],
            "label": labels(batch)[present],
        }
        return Bottom.of(self.bank_rows, hashes(batch)[present], keys(batch)[present], column)

    def score(self, state: Bank, batch: pa.Table) -> pa.Table:
        image, present = vectors(batch, IMAGE)
        name = hashes(batch), state.hash
        similarity, place = search_others(state.index, image, SIZE, name)
        found: NDArray[np.bool_] = (place >= 0) & present[:, None]
        cosine = np.where(found, similarity, -1.0)
        distance = np.where(found, 1.0 - cosine, 0.0).sum(axis=1) / np.maximum(found.sum(axis=1), 1)
        columns = [
            score(distance / 2.0, np.any(found, axis=1)),
            vector_lists(np.where(found, state.key[place], np.uint64(0)), SIZE, 0),
            vector_lists(cosine.astype(np.float32), SIZE, -1),
            vector_lists(np.where(found, state.label[place], -1).astype(np.int32), SIZE, -1),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Bank) -> Mapping[str, NDArray[Any]]:
        arrays = {"hash": state.hash, "key": state.key, "label": state.label}
        return arrays | {"index.faiss": state.index}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Bank:
        return from_arrays(Bank, {**arrays, "index": arrays["index.faiss"]})
