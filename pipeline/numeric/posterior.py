"""From sources of evidence to the likelihood ratio of each class: one witness of `witness.py`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.lda import FoldLda, Spread
from pipeline.numeric.temperature import NOISES, SCALES, NoisyFit

SHRINKAGES = (0.01, 0.03, 0.1, 0.3, 0.6, 0.9)
CHOICE_ROWS = 5000
"""Rows that the choice of a shrinkage is made on."""


@dataclass(frozen=True)
class Labelled:
    """Rows with their noisy labels, to choose by what explains the labels best."""

    embedding: NDArray[np.floating]
    """`(n, d)` rows."""
    label: NDArray[np.integer]
    """`(n,)` classes."""
    fold: NDArray[np.integer]
    """`(n,)` folds."""
    weight: NDArray[np.floating]
    """`(n,)` rows of the corpus that each stands for."""
    prior: NDArray[np.floating]
    """`(k,)` shares of the classes."""

    def thinned(self, num_rows: int) -> "Labelled":
        """Return about `num_rows` of the rows, evenly spread over them."""
        step = slice(None, None, max(1, len(self.label) // num_rows))
        return Labelled(
            self.embedding[step], self.label[step], self.fold[step], self.weight[step], self.prior
        )


def choose_lda(spread: list[Spread], background: list[Spread], rows: Labelled) -> FoldLda:
    """Return the discriminants with the shrinkage under which held-out noisy labels are likeliest.

    Parameters
    ----------
    spread
        Of each fold's complement.
    background
        The same, of all rows: foreign images among them.
    rows
        Rows to choose by; each is scored by the fold that has not seen it.

    Examples
    --------
    >>> from pipeline.numeric.lda import spreads
    >>> from pipeline.numeric.moments import FoldMoments
    >>> label, fold = np.arange(40) % 2, np.arange(40) // 2 % 2
    >>> rows = np.eye(2)[label] + 0.1 * np.sin(np.arange(80.0)).reshape(40, 2)
    >>> spread = spreads(FoldMoments.of(rows, label, fold, (2, 2)))
    >>> lda = choose_lda(spread, spread, Labelled(rows, label, fold, np.ones(40), np.full(2, 0.5)))
    >>> bool((lda.evidence(rows, fold).argmax(axis=1) == label).all())
    True
    """
    few = rows.thinned(CHOICE_ROWS)
    tried = []
    for shrinkage in SHRINKAGES:
        behind = [b.background(shrinkage) for b in background]
        lda = FoldLda.of(spread, shrinkage, behind)
        evidence = lda.evidence(few.embedding, few.fold)
        fit = NoisyFit.of(evidence, few.label, few.prior, (SCALES, NOISES), few.weight)
        tried.append((fit.best()[2], lda))
    return max(tried, key=lambda pair: pair[0])[1]


def class_ratio(evidence: NDArray[np.floating], prior: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the density in each class over that in the corpus: its mean under `prior` is 1.

    Parameters
    ----------
    evidence
        `(n, k)` log-densities, up to a constant per row.
    prior
        `(k,)` shares of the classes.

    Examples
    --------
    >>> class_ratio(np.array([[0.0, 0.0], [0.0, np.log(3.0)]]), np.array([0.5, 0.5]))
    array([[1. , 1. ],
           [0.5, 1.5]])
    """
    value = np.exp(evidence - evidence.max(axis=1, keepdims=True, initial=-np.inf))
    return value / np.maximum((value * prior).sum(axis=1, keepdims=True), 1e-300)
