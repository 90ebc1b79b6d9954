"""Class moments per fold: the one pass from which probes, prototypes and distances are solved."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


@dataclass(frozen=True)
class ClassMoments:
    """Count, sum and outer products of rows in `k` classes."""

    count: NDArray[np.float64]
    """`(k,)` weight of each class."""
    total: NDArray[np.float64]
    """`(k, d)` weighted sum of each class."""
    outer: NDArray[np.float64]
    """`(d, d)` weighted sum of the outer products of all rows."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """Return the `(d,)` mean of all rows; zeros without rows."""
        return self.total.sum(axis=0) / max(float(self.count.sum()), np.finfo(float).tiny)

    def class_mean(self, prior_rows: float = 0.0) -> NDArray[np.float64]:
        """Return `(k, d)` class means, each drawn to the common mean by `prior_rows` rows.

        A class without rows gets the common mean, so it says nothing of any row.
        """
        mean = self.mean
        weight = np.maximum(self.count + prior_rows, np.finfo(float).tiny)[:, None]
        drawn = (self.total + prior_rows * mean) / weight
        return np.where(self.count[:, None] > 0, drawn, mean)

    def within(self) -> NDArray[np.float64]:
        """Return the `(d, d)` covariance around the class means."""
        root = self.total / np.sqrt(np.maximum(self.count, np.finfo(float).tiny))[:, None]
        scatter = self.outer - root.T @ root
        return _symmetric(scatter) / max(float(self.count.sum()), 1.0)

    def overall(self) -> NDArray[np.float64]:
        """Return the `(d, d)` covariance around the common mean."""
        weight = max(float(self.count.sum()), 1.0)
        return _symmetric(self.outer / weight - np.outer(self.mean, self.mean))


@dataclass(frozen=True)
class FoldMoments:
    """Class moments kept apart per fold, so that any fold can be left out afterwards.

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    >>> moments = FoldMoments.of(rows, np.array([0, 1, 1]), np.array([0, 0, 1]), (2, 2))
    >>> moments.without(0).count
    array([0., 1.])
    >>> moments.merge(moments).whole().total[1]
    array([0., 8.])
    """

    count: NDArray[np.float64]
    """`(f, k)` weights."""
    total: NDArray[np.float64]
    """`(f, k, d)` sums."""
    outer: NDArray[np.float64]
    """`(f, d, d)` sums of outer products."""

    @classmethod
    def of(
        cls,
        embedding: NDArray[np.floating],
        label: NDArray[np.integer],
        fold: NDArray[np.integer],
        shape: tuple[int, int],
        weight: NDArray[np.floating] | None = None,
    ) -> "FoldMoments":
        """Sum a batch.

        Parameters
        ----------
        embedding
            `(n, d)` rows.
        label
            `(n,)` classes in `[0, k)`; rows with a negative one are left out.
        fold
            `(n,)` folds in `[0, f)`.
        shape
            `(f, k)`.
        weight
            `(n,)` non-negative weights; 1 if left out.
        """
        seen = label >= 0
        rows = np.asarray(embedding, dtype=np.float64)[seen]
        mass = np.ones(len(rows)) if weight is None else np.asarray(weight, np.float64)[seen]
        cell = fold[seen].astype(np.int64) * shape[1] + label[seen]
        member = sparse.csr_array(
            (mass, (cell, np.arange(len(rows)))), shape=(shape[0] * shape[1], len(rows))
        )
        outer = np.zeros((shape[0], rows.shape[1], rows.shape[1]))
        for f in range(shape[0]):
            part = rows[fold[seen] == f]
            outer[f] = part.T @ (part * mass[fold[seen] == f][:, None])
        count = member.sum(axis=1)
        return cls(count.reshape(shape), (member @ rows).reshape(*shape, rows.shape[1]), outer)

    def merge(self, other: "FoldMoments") -> "FoldMoments":
        """Return the moments of both sets of rows."""
        return FoldMoments(
            self.count + other.count, self.total + other.total, self.outer + other.outer
        )

    def without(self, fold: int) -> ClassMoments:
        """Return the moments of every row that is not in `fold`."""
        keep = np.arange(len(self.count)) != fold
        return ClassMoments(
            self.count[keep].sum(axis=0),
            self.total[keep].sum(axis=0),
            self.outer[keep].sum(axis=0),
        )

    def whole(self) -> ClassMoments:
        """Return the moments of all rows."""
        return self.without(-1)


def _symmetric(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric part of a matrix: rounding must not give complex eigenvalues."""
    return (matrix + matrix.T) / 2.0
