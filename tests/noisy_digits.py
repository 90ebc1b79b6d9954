"""Scikit-learn's digits with planted wrong labels: real features, known faults."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from pipeline.cleaners.probe import Probe
from pipeline.contract import Classes
from pipeline.engine.local import TableRows, beside
from tests.corpora import tabulate, unit

NUM_CLASSES = 10


@dataclass(frozen=True)
class Digits:
    """A table with the columns of the embed step and of `probe`, and the truth of each row."""

    table: pa.Table
    classes: Classes
    image: NDArray[np.float64]
    label: NDArray[np.int64]
    true: NDArray[np.int64]

    @property
    def wrong(self):
        return self.label != self.true

    @property
    def rows(self):
        return TableRows((self.table,), self.classes)

    def scores(self, cleaner):
        """Return what a cleaner says, as arrays by the name after the dot; NaN where null."""
        added = cleaner.score(cleaner.fit(self.rows), self.table)
        return {
            name.split(".")[1]: added[name].to_numpy(zero_copy_only=False)
            for name in cleaner.adds.names
        }


@cache
def digits(kind="clean", rate=0.0, seed=0):
    """Return the digits with a share of labels drawn at random, or moved to the next class.

    `rate` is one number, or one per class.
    """
    data, rng = load_digits(), np.random.default_rng(seed)
    image, true = unit(data.data), data.target.astype(np.int64)
    label = true.copy()
    moved = rng.random(len(true)) < np.broadcast_to(rate, NUM_CLASSES)[true]
    drawn = rng.integers(0, NUM_CLASSES, len(true))
    label[moved] = (drawn if kind == "symmetric" else (true + 1) % NUM_CLASSES)[moved]
    nothing = np.zeros(len(true), bool)
    table = tabulate(image, np.zeros_like(image), nothing, label, seed=seed)
    names = tuple(str(c) for c in range(NUM_CLASSES))
    classes = Classes(name=names, embedding=np.eye(NUM_CLASSES, 64, dtype=np.float32))
    probe = Probe()
    table = beside(table, probe.score(probe.fit(TableRows((table,), classes)), table))
    return Digits(table, classes, image, label, true)
