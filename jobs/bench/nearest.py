"""Neighbours in a sample against neighbours in the whole corpus, one part after the other.

    python -m jobs.bench nearest --rows 200000 --bank-rows 25000

The corpus is planted: classes lie along few directions, as embeddings do, and a fifth of the
labels are wrong. Recall is that of the 20 nearest others of 1,000 rows, by brute force.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from pipeline.cleaners.columns import keys, labels, lists, vectors
from pipeline.cleaners.neighbours import SIZE, Neighbours
from pipeline.cleaners.similar import Similar
from pipeline.contract import Classes
from pipeline.engine.local import TableRows, beside
from pipeline.numeric.prototypes import unit
from pipeline.schema import IMAGE, LABEL, vector

FRAGMENT_ROWS = 8192
NUM_CLASSES, NUM_DIMS, NUM_AXES, NOISE = 1000, 256, 24, 0.2
OWN, AROUND = 0.7, 0.01
"""Length of what rows of a class differ in along the axes, and deviation in every dimension."""
PROBES = 1000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the benchmark."""
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--bank-rows", type=int, default=25_000, help="rows of a part at most")


def report(num_rows: int, bank_rows: int) -> None:
    """Print what a sample finds, and what all parts find."""
    table, wrong = plant(num_rows)
    truth = nearest(table)
    print(f"nearest: {num_rows} rows, {NUM_CLASSES} classes, {NOISE:.0%} wrong labels")
    for max_parts in (1, 2**10):
        cleaner = Neighbours(bank_rows=bank_rows, max_parts=max_parts)
        print(searched(cleaner, table, truth, wrong).line(), flush=True)


@dataclass(frozen=True)
class Found:
    """What one search has found, and what it cost."""

    parts: int
    rows: int
    """Rows that were searched."""
    recall: float
    area: float
    """AUROC of `similar` for the wrong labels."""
    fit_s: float
    row_s: float
    """Seconds that the search for one row took."""

    def line(self) -> str:
        """Return the figures as text."""
        return (
            f"{self.parts} parts, {self.rows} rows searched: recall {self.recall:.3f}, AUROC of "
            f"similar {self.area:.3f}, fit {self.fit_s:.0f} s, {1e6 * self.row_s:.0f} us a row"
        )


def searched(
    cleaner: Neighbours, table: pa.Table, truth: NDArray[np.uint64], wrong: NDArray[np.bool_]
) -> Found:
    """Search every row, in one thread."""
    parts, fit_s, score_s, known = cleaner.parts_for(len(table)), 0.0, 0.0, 0
    found = table
    with threadpool_limits(1):
        for part in parts:
            started = time.perf_counter()
            state = part.fit(rows_of(found))
            fitted = time.perf_counter()
            added = [part.score(state, fragment) for fragment in rows_of(found).tables]
            found = beside(table, pa.concat_tables(added))
            fit_s, score_s = fit_s + fitted - started, score_s + time.perf_counter() - fitted
            known += len(state.hash)
        judge, rows = Similar(), rows_of(found)
        suspicion = judge.score(judge.fit(rows), found)["similar.label"].to_numpy()
    same = lists(found.slice(0, PROBES), "neighbours.key")[:, :, None] == truth[:, None, :]
    area = float(roc_auc_score(wrong, np.nan_to_num(suspicion)))
    return Found(
        len(parts), known, float(same.any(axis=2).mean()), area, fit_s, score_s / len(table)
    )


def nearest(table: pa.Table) -> NDArray[np.uint64]:
    """Return the names of the nearest others of the first rows, by brute force."""
    image = vectors(table, IMAGE)[0]
    cosine = image[:PROBES] @ image.T
    cosine[np.arange(PROBES), np.arange(PROBES)] = -np.inf
    return keys(table)[np.argpartition(-cosine, SIZE, axis=1)[:, :SIZE]]


def rows_of(table: pa.Table) -> TableRows:
    """Return a table in fragments."""
    starts = range(0, len(table), FRAGMENT_ROWS)
    names = tuple(f"class {c}" for c in range(NUM_CLASSES))
    classes = Classes(name=names, embedding=np.zeros((NUM_CLASSES, 1), np.float32))
    return TableRows(tuple(table.slice(at, FRAGMENT_ROWS) for at in starts), classes)


def plant(num_rows: int) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Return a corpus, and which labels are wrong."""
    rng = np.random.default_rng(0)
    centre = unit(rng.standard_normal((NUM_CLASSES, NUM_AXES), np.float32))
    axes = rng.standard_normal((NUM_AXES, NUM_DIMS), np.float32) / np.sqrt(NUM_DIMS)
    true = rng.integers(0, NUM_CLASSES, num_rows)
    own = OWN / np.sqrt(NUM_AXES) * rng.standard_normal((num_rows, NUM_AXES), np.float32)
    image = (centre[true] + own.astype(np.float32)) @ axes
    image += np.float32(AROUND) * rng.standard_normal(image.shape, np.float32)
    other = rng.integers(0, NUM_CLASSES, num_rows)
    label = np.where(rng.random(num_rows) < NOISE, other, true)
    flat = pa.array(unit(image).astype(np.float16).ravel())
    uid = pa.py_buffer(rng.bytes(16 * num_rows))
    columns = {
        "uid": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), num_rows, [None, uid]),
        "image_hash": pa.array(rng.integers(0, 2**64, num_rows, dtype=np.uint64)),
        IMAGE: pa.FixedSizeListArray.from_arrays(flat, type=vector(NUM_DIMS)),
        LABEL: pa.array(label, pa.int32()),
    }
    table = pa.table(columns)
    return table, labels(table) != true
