"""Moments of rows that may have several tags, and one discriminant per tag solved from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.numeric.lda import FoldLda, Spread
from pipeline.numeric.moments import ClassMoments, FoldMoments

LEAST = 0.02
"""Of the variance along a discriminant, the least share that is taken to lie within."""


@dataclass(frozen=True)
class TagMoments:
    """Sums over rows, and over those that have a tag, kept apart per fold.

    Examples
    --------
    >>> rows, given = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0, 1], [1, -1]])
    >>> moments = TagMoments.of(rows, given, np.array([0, 1]), (2, 3))
    >>> moments.without(1)[1].count, moments.merge(moments).rows.count.sum()
    (array([1., 1., 0.]), np.float64(4.0))
    """

    rows: FoldMoments
    """Of all rows, as one class."""
    count: NDArray[np.float64]
    """`(f, k)` rows with each tag."""
    total: NDArray[np.float64]
    """`(f, k, d)` their sums."""

    @classmethod
    def of(
        cls,
        embedding: NDArray[np.floating],
        given: NDArray[np.integer],
        fold: NDArray[np.integer],
        shape: tuple[int, int],
    ) -> "TagMoments":
        """Sum a batch.

        Parameters
        ----------
        embedding
            `(n, d)` rows.
        given
            `(n, s)` tags in `[0, k)`, padded with -1; rows without any are left out.
        fold
            `(n,)` folds in `[0, f)`.
        shape
            `(f, k)`.
        """
        every = FoldMoments.of(embedding, np.minimum(given[:, 0], 0), fold, (shape[0], 1))
        row, place = np.nonzero(given >= 0)
        cell = fold[row].astype(np.int64) * shape[1] + given[row, place]
        size = (shape[0] * shape[1], len(given))
        member = sparse.csr_array((np.ones(len(row)), (cell, row)), shape=size)
        total = member @ np.asarray(embedding, np.float64)
        return cls(every, member.sum(axis=1).reshape(shape), total.reshape(*shape, -1))

    def merge(self, other: "TagMoments") -> "TagMoments":
        """Return the moments of both sets of rows."""
        count, total = self.count + other.count, self.total + other.total
        return TagMoments(self.rows.merge(other.rows), count, total)

    @property
    def prior(self) -> NDArray[np.float64]:
        """Return the `(k,)` shares of rows with each tag, inside of (0, 1)."""
        return (self.count.sum(axis=0) + 0.5) / (self.rows.count.sum() + 1.0)

    def without(self, fold: int) -> tuple[ClassMoments, ClassMoments]:
        """Return the moments of all rows, and by tag, that are not in `fold`."""
        keep, every = np.arange(len(self.count)) != fold, self.rows.without(fold)
        tagged = ClassMoments(
            self.count[keep].sum(axis=0), self.total[keep].sum(axis=0), every.outer
        )
        return every, tagged


def tag_spreads(moments: TagMoments, prior_rows: float = 1.0) -> list[Spread]:
    """Return, for each fold, the means of tags in the rows outside it, and their covariance.

    The covariance is that around the common mean: classes that overlap have no other in common.
    """
    found = []
    for fold in range(len(moments.count)):
        every, tagged = moments.without(fold)
        weight = (tagged.count + prior_rows)[:, None]
        mean = (tagged.total + prior_rows * every.mean) / weight
        axes = np.linalg.eigh(every.overall())
        overall = (axes[0], axes[1])
        found.append(Spread(every.mean, mean - every.mean, overall, overall))
    return found


def tag_discriminants(
    spread: list[Spread], prior: NDArray[np.float64], shrinkage: float
) -> FoldLda:
    """Return for each fold the discriminant of every tag against the rows without it.

    With the covariance around the common mean, which holds that between the two groups too, the
    direction is that of the discriminant within them; its length follows by Sherman and Morrison.

    Parameters
    ----------
    spread
        One per fold, see `tag_spreads`.
    prior
        `(k,)` shares of rows with each tag.
    shrinkage
        Share of the sphere in the covariance, in (0, 1].

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1], [0.1, 0.9], [1.0, 1.0], [0.0, 0.0]])
    >>> given = np.array([[0, -1], [1, -1], [0, -1], [1, -1], [0, 1], [2, -1]])
    >>> moments = TagMoments.of(rows, given, np.zeros(6, int), (2, 3))
    >>> lda = tag_discriminants(tag_spreads(moments), moments.prior, 0.5)
    >>> lda.evidence(rows, np.ones(6, int))[4].round(1)
    array([ 3. ,  3. , -2.4], dtype=float32)
    """
    lda = FoldLda.of(spread, shrinkage, [s.precision(shrinkage) for s in spread])
    rest, reach = 1.0 - prior, -2.0 * lda.bias.astype(np.float64)
    within = np.maximum(1.0 - reach * prior / rest, LEAST)
    bias = -reach * (1.0 - 2.0 * prior) / (2.0 * rest**2 * within)
    weight = lda.weight / (rest * within)[:, None, :]
    none = np.zeros((len(spread), 0, 0), np.float32)
    return FoldLda(lda.mean, weight.astype(np.float32), bias.astype(np.float32), none)
