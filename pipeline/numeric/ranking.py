"""Which rows look most as if their label were wrong: per pair of classes, per label, or of all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from pipeline.numeric.select import Cuts, sort_keys
from pipeline.numeric.shares import Shares

Judged = tuple[NDArray[np.floating], NDArray[np.bool_]]
"""How suspect labels are, and which are beyond a cut."""


@dataclass(frozen=True)
class Ranking:
    """Where rows stand in the cells that they are flagged in: the smaller, the more suspect.

    Examples
    --------
    >>> rows = Shares.of(
    ...     np.arange(2, dtype=np.uint64), np.array([0, 0]), np.array([0.2, 0.7], np.float32),
    ...     np.array([[1, 0], [0, 1]]), np.array([[0.8, 0.2], [0.7, 0.3]], np.float32))
    >>> ranking = Ranking.by_label(rows)
    >>> suspect, taken = ranking.judge(Cuts(np.array([0]), ranking.key[:1]))
    >>> suspect.round(2), taken
    (array([0.5, 0.1]), array([ True, False]))
    """

    cell: NDArray[np.int64]
    """Cells, of any shape; -1 for none."""
    key: NDArray[np.uint64]
    """Keys that rise with the value; ties go by the name of the row."""
    value: NDArray[np.float32]
    """Probability of the label, or its margin over another class."""
    span: float
    """1 for a probability, 2 for a margin."""

    @classmethod
    def by_pair(cls, num_classes: int, rows: Shares) -> "Ranking":
        """Rank `(n, m)` margins over each listed class, in a cell `label * k + class`."""
        other = (rows.kind >= 0) & (rows.kind != rows.label[:, None])
        cell = np.where(other, rows.label[:, None] * num_classes + rows.kind, -1)
        value = rows.own[:, None] - rows.share
        return cls(cell, sort_keys(value, rows.key[:, None]), value, 2.0)

    @classmethod
    def by_label(cls, rows: Shares) -> "Ranking":
        """Rank the `(n,)` probabilities of the labels, in a cell per label."""
        return cls(rows.label, sort_keys(rows.own, rows.key), rows.own, 1.0)

    @classmethod
    def by_own(cls, rows: Shares) -> "Ranking":
        """Rank the `(n,)` probabilities of the labels, in one cell."""
        return cls(np.zeros_like(rows.label), sort_keys(rows.own, rows.key), rows.own, 1.0)

    @classmethod
    def by_margin(cls, rows: Shares) -> "Ranking":
        """Rank the `(n,)` margins over the likeliest other class, in one cell."""
        value = rows.margin
        return cls(np.zeros_like(rows.label), sort_keys(value, rows.key), value, 2.0)

    def judge(self, cuts: Cuts) -> Judged:
        """Return how suspect each row is, one half at the cut, and which are at it or beyond."""
        cut = cuts.value(self.cell, 1.0 - self.span / 2.0)
        odds = odds_over((1.0 - self.value) / self.span, (1.0 - cut) / self.span)
        return np.where(self.cell >= 0, odds, 0.0), cuts.take(self.cell, self.key)


def odds_over(wrong: NDArray[np.floating], cut: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return probabilities of which those at the cut become one half, by odds over odds.

    Examples
    --------
    >>> odds_over(np.array([0.2, 0.5, 0.8]), np.array(0.8)).round(2)
    array([0.06, 0.2 , 0.5 ])
    """
    odds = logit(np.clip(wrong.astype(np.float64), 1e-6, 1.0 - 1e-6))
    over = logit(np.clip(cut.astype(np.float64), 1e-6, 1.0 - 1e-6))
    return np.asarray(expit(odds - over))
