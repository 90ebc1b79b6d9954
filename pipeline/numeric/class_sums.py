"""Sums of rows per fold and class: all that mean prototypes need."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.prototypes import unit


@dataclass(frozen=True)
class ClassSums:
    """Sums of the rows of each fold and class, and of all rows.

    Examples
    --------
    >>> rows, label, fold = np.eye(2), np.array([1, -1]), np.array([0, 1])
    >>> sums = ClassSums.of(rows, label, fold, (2, 3))
    >>> sums.merge(sums).centre, sums.prototype()[1, 1]
    (array([0.5, 0.5]), array([1., 0.]))
    """

    total: NDArray[np.float64]
    """`(f, k, d)` sums of labelled rows."""
    whole: NDArray[np.float64]
    """`(d,)` sum of all rows."""
    count: float
    """Rows."""

    @classmethod
    def of(
        cls,
        embedding: NDArray[np.floating],
        label: NDArray[np.integer],
        fold: NDArray[np.integer],
        shape: tuple[int, int],
    ) -> "ClassSums":
        """Sum `(n, d)` rows by `(n,)` labels, negative without one, and `(n,)` folds."""
        known, rows = label >= 0, np.asarray(embedding, np.float64)
        total = np.zeros((*shape, rows.shape[1]))
        np.add.at(total, (fold[known], label[known]), rows[known])
        return cls(total, rows.sum(axis=0), float(len(rows)))

    def merge(self, other: "ClassSums") -> "ClassSums":
        """Return the sums over both sets of rows."""
        whole, count = self.whole + other.whole, self.count + other.count
        return ClassSums(self.total + other.total, whole, count)

    @property
    def centre(self) -> NDArray[np.float64]:
        """Return the `(d,)` mean of all rows; zeros without rows."""
        return self.whole / max(self.count, 1.0)

    def prototype(self) -> NDArray[np.float64]:
        """Return `(f, k, d)` unit means of the rows outside each fold; zeros where none are."""
        return unit(self.total.sum(axis=0) - self.total)
