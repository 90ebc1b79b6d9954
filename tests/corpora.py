"""Planted corpora: embeddings whose every fault is known."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.contract import Classes
from pipeline.engine.local import TableRows
from pipeline.schema import (
    ANSWERED,
    CANDIDATES,
    CLAIMED,
    EARLY,
    IMAGE,
    LABEL,
    OPTIONAL,
    TEXT,
    vector,
)


@dataclass(frozen=True)
class Corpus:
    """A table as the embed step writes it, and the truth of each row."""

    table: pa.Table
    classes: Classes
    fault: NDArray[np.str_]
    """`clean`, `wrong-label`, `wrong-text`, `empty-text` or `foreign-image`."""
    true: NDArray[np.int64]
    """True class; -1 for a foreign image."""

    def rows(self, num_fragments: int = 3) -> TableRows:
        """Return the corpus in fragments of nearly equal length."""
        cuts = np.linspace(0, len(self.table), num_fragments + 1).astype(int)
        parts = [self.table.slice(a, b - a) for a, b in pairwise(cuts)]
        return TableRows(tuple(parts), self.classes)


@dataclass(frozen=True)
class WatchedRows(TableRows):
    """Rows that remember what every pass over them gave."""

    passes: list[Any] = field(default_factory=list)

    def reduce(self, partial, merge):
        self.passes.append(super().reduce(partial, merge))
        return self.passes[-1]


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def plant(  # noqa: PLR0913  # every fault has its share
    num_rows=1000,
    num_classes=8,
    num_dims=32,
    *,
    flip=0.15,
    swap=0.1,
    empty=0.05,
    foreign=0.1,
    spread=0.6,
    named=True,
    asymmetric=False,
    seed=0,
):
    """Plant a corpus: image and text clusters around class centres, with known faults."""
    rng = np.random.default_rng(seed)
    centre = unit(rng.normal(size=(num_classes, num_dims)))
    gap = unit(rng.normal(size=num_dims))
    true = rng.integers(0, num_classes, num_rows)
    own = rng.normal(size=(num_rows, num_dims)) / np.sqrt(num_dims)
    image = centre[true] + spread * own + spread * rng.normal(size=own.shape) / np.sqrt(num_dims)
    text = centre[true] + gap + 0.3 * own + 0.4 * rng.normal(size=own.shape) / np.sqrt(num_dims)
    label, fault = true.copy(), np.full(num_rows, "clean", dtype="<U16")
    order = rng.permutation(num_rows)
    cut = np.cumsum([round(num_rows * s) for s in (flip, swap, empty, foreign)])
    wrong, swapped, bare, alien = np.split(order, cut)[:4]
    step = 1 if asymmetric else rng.integers(1, max(num_classes, 2), len(wrong))
    label[wrong] = (true[wrong] + step) % num_classes
    text[swapped] = text[np.roll(swapped, 1)]
    away = unit(rng.normal(size=(3, num_dims)))
    image[alien] = away[rng.integers(0, 3, len(alien))] + 0.8 * own[alien]
    for rows, name in (
        (wrong, "wrong-label"),
        (swapped, "wrong-text"),
        (bare, "empty-text"),
        (alien, "foreign-image"),
    ):
        fault[rows] = name
    names = tuple(f"class {c}" for c in range(num_classes))
    said = unit(centre + gap) if named else unit(rng.normal(size=centre.shape))
    classes = Classes(name=names, embedding=said.astype(np.float32))
    true = np.where(fault == "foreign-image", -1, true)
    captioned = fault != "empty-text"
    table = tabulate(unit(image), unit(text), captioned, label, seed=seed)
    return Corpus(table, classes, fault, true)


def tabulate(image, text, captioned, label, *, early=None, seed=0):
    """Return a table with the columns that the embed step writes."""
    rng = np.random.default_rng(seed + 1)
    return pa.table(
        {
            "uid": pa.array([rng.bytes(16) for _ in label], pa.binary(16)),
            "image_hash": pa.array(rng.integers(0, 2**63, len(label)).astype(np.uint64)),
            IMAGE: vectors(image),
            TEXT: vectors(text, captioned),
            EARLY: vectors(image if early is None else early),
            LABEL: pa.array(np.asarray(label), pa.int32(), mask=np.asarray(label) < 0),
            CANDIDATES: pa.nulls(len(label), OPTIONAL[CANDIDATES]),
            CLAIMED: pa.nulls(len(label), OPTIONAL[CLAIMED]),
            ANSWERED: pa.array([False] * len(label)),
            "phash": pa.array(rng.integers(1, 2**63, len(label)).astype(np.uint64)),
            "shard": pa.array(["crawl.tar"] * len(label), pa.string()),
            "row": pa.array(range(len(label)), pa.int32()),
            "width": pa.array([64] * len(label), pa.int32()),
            "height": pa.array([64] * len(label), pa.int32()),
            "caption": pa.array([f"caption {n}" for n in range(len(label))]),
        }
    )


def with_several(table, sets, column=CANDIDATES):
    """Return the table with several labels, and with a label only where there is one of them."""
    single = [s[0] if s is not None and len(s) == 1 else None for s in sets]
    columns = {LABEL: pa.array(single, pa.int32()), column: pa.array(sets, OPTIONAL[column])}
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def vectors(rows, valid=None):
    flat = pa.array(np.asarray(rows, np.float16).ravel())
    mask = None if valid is None else pa.array(~np.asarray(valid))
    return pa.FixedSizeListArray.from_arrays(flat, type=vector(rows.shape[1]), mask=mask)
