"""Class moments of a whole corpus under weights that are known for a sample of it alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.moments import FoldMoments

HALF = 0.5
"""Mean weight below which the corpus, mostly other rows, says nothing of the weighted ones."""


@dataclass(frozen=True)
class Drawn:
    """Rows drawn from a corpus, each with a weight."""

    embedding: NDArray[np.floating]
    """`(m, d)` rows."""
    label: NDArray[np.integer]
    """`(m,)` classes in `[0, k)`; rows with a negative one are left out."""
    fold: NDArray[np.integer]
    """`(m,)` folds in `[0, f)`."""
    trust: NDArray[np.floating]
    """`(m,)` weights in [0, 1]."""


def reweigh(whole: FoldMoments, drawn: Drawn) -> FoldMoments:
    """Return the moments of a corpus as if all its rows had weights like those drawn.

    The drawn rows of a class stand for all its rows. To their weighted sum comes what the corpus
    has and they lack, times their mean weight: the difference estimator of survey sampling
    (Särndal et al. 1992, "Model assisted survey sampling", chapter 6). Where every row is drawn
    it is the weighted sum, and where all weights are 1 it is the corpus, both exactly.

    Parameters
    ----------
    whole
        Of all rows, each of weight 1.
    drawn
        Some of them.

    Examples
    --------
    >>> label, fold = np.array([0, 0, 1]), np.zeros(3, int)
    >>> whole = FoldMoments.of(np.eye(3), label, fold, (1, 2))
    >>> reweigh(whole, Drawn(np.eye(3), label, fold, np.array([0.5, 1.0, 1.0]))).total[0, 0]
    array([0.5, 1. , 0. ])
    >>> some = Drawn(np.eye(3)[:2], label[:2], fold[:2], np.ones(2))
    >>> reweigh(whole, some).total[0, 1]
    array([0., 0., 1.])
    """
    shape, seen = whole.count.shape, drawn.label >= 0
    rows, label, fold = drawn.embedding[seen], drawn.label[seen], drawn.fold[seen]
    size = np.bincount(label, minlength=shape[1])
    mass = (whole.count.sum(axis=0) / np.maximum(size, 1))[label]
    trusted = mass * np.asarray(drawn.trust, np.float64)[seen]
    kept = FoldMoments.of(rows, label, fold, shape, trusted)
    drew = FoldMoments.of(rows, label, fold, shape, mass)
    share = _mean_trust(kept.count.sum(axis=0), drew.count.sum(axis=0))
    common = _mean_trust(kept.count.sum(), drew.count.sum())
    count = kept.count + share * (whole.count - drew.count)
    total = kept.total + share[:, None] * (whole.total - drew.total)
    some = count > 0.0
    outer = kept.outer + common * (whole.outer - drew.outer)
    return FoldMoments(np.where(some, count, 0.0), np.where(some[..., None], total, 0.0), outer)


def _mean_trust(kept: NDArray[np.float64], drew: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean weight of drawn rows: 1 where none are, 0 where it is below one half."""
    share = np.where(drew > 0.0, kept / np.maximum(drew, 1e-300), 1.0)
    return np.where(share < HALF, 0.0, share)
