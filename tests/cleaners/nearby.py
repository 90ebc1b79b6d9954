"""Corpora with the columns of `neighbours`."""

from functools import lru_cache

import numpy as np
from sklearn.datasets import load_digits

from pipeline.cleaners.neighbours import Neighbours
from pipeline.contract import Classes
from pipeline.engine.local import beside
from tests.corpora import Corpus, tabulate, unit


def with_neighbours(corpus):
    cleaner = Neighbours()
    table = beside(corpus.table, cleaner.score(cleaner.fit(corpus.rows()), corpus.table))
    return Corpus(table, corpus.classes, corpus.fault, corpus.true)


@lru_cache
def digits(flip, kind="symmetric", seed=0):
    """Return the digits with a share of labels redrawn, or moved to the next class."""
    data, rng = load_digits(), np.random.default_rng(seed)
    moved = rng.random(len(data.target)) < flip
    other = rng.integers(0, 10, len(moved)) if kind == "symmetric" else (data.target + 1) % 10
    label = np.where(moved, other, data.target)
    image = unit(data.data)
    classes = Classes(name=tuple("0123456789"), embedding=np.eye(10, 64, dtype=np.float32))
    table = tabulate(image, image, np.ones(len(label), bool), label)
    fault = np.where(label != data.target, "wrong-label", "clean")
    return with_neighbours(Corpus(table, classes, fault, data.target))
