"""A classifier from moments and one scale: its out-of-fold losses of noisy labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from pipeline.numeric.lda import FoldLda

LARGEST_LOSS = 16.0
"""Losses are cut here: what is less likely than 1e-7 is all the same."""


@dataclass(frozen=True)
class Head:
    """A linear discriminant per fold, and how sharp its probabilities are.

    Examples
    --------
    >>> from pipeline.numeric.lda import spreads
    >>> from pipeline.numeric.moments import FoldMoments
    >>> label, fold = np.arange(40) % 2, np.arange(40) // 2 % 2
    >>> rows = np.eye(2)[label] + 0.1 * np.sin(np.arange(80.0)).reshape(40, 2)
    >>> lda = FoldLda.of(spreads(FoldMoments.of(rows, label, fold, (2, 2))), 0.5)
    >>> loss = Head(lda, 1.0, np.full(2, 0.5)).loss(rows, label, fold)
    >>> bool((loss < np.log(2)).all())
    True
    """

    lda: FoldLda
    scale: float
    """Factor on the evidence."""
    prior: NDArray[np.float64]
    """`(k,)` shares of the classes."""

    def loss(
        self,
        embedding: NDArray[np.floating],
        label: NDArray[np.integer],
        fold: NDArray[np.integer],
    ) -> NDArray[np.float64]:
        """Return `(n,)` losses of the labels in [0, 16]; NaN where the label is negative."""
        evidence = self.scale * self.lda.evidence(embedding, fold) + np.log(self.prior)
        own = log_softmax(evidence, axis=1)[np.arange(len(label)), label]
        return np.where(label >= 0, np.minimum(-own, LARGEST_LOSS), np.nan)
