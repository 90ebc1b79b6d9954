"""Class prototypes as binary verifiers: whether a row with label `c` is truly of class `c`."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

from pipeline.numeric.prototypes import unit

NUM_FEATURES = 3
"""Cosine to the own prototype, its margin over the best rival, and a constant."""


@dataclass(frozen=True)
class CellSums:
    """Weighted sums of rows by fold and class.

    Examples
    --------
    >>> label, fold = np.array([0, -1]), np.array([1, 0])
    >>> sums = CellSums.of(np.eye(2), label, fold, np.ones(2), (2, 1))
    >>> sums.merge(sums).total[1]
    array([[2., 0.]])
    """

    count: NDArray[np.float64]
    """`(f, k)` weights."""
    total: NDArray[np.float64]
    """`(f, k, d)` sums."""

    @classmethod
    def of(
        cls,
        embedding: NDArray[np.floating],
        label: NDArray[np.integer],
        fold: NDArray[np.integer],
        weight: NDArray[np.floating],
        shape: tuple[int, int],
    ) -> "CellSums":
        """Sum `(n, d)` rows with `(n,)` weights; rows with a negative label are left out."""
        rows = np.flatnonzero(label >= 0)
        cell = fold[rows] * shape[1] + label[rows]
        size = (shape[0] * shape[1], len(rows))
        member = sparse.csr_array((weight[rows], (cell, np.arange(len(rows)))), shape=size)
        total = member @ embedding[rows].astype(np.float64)
        return cls(member.sum(axis=1).reshape(shape), total.reshape(*shape, embedding.shape[1]))

    def merge(self, other: "CellSums") -> "CellSums":
        """Return the sums over both sets of rows."""
        return CellSums(self.count + other.count, self.total + other.total)


@dataclass(frozen=True)
class Verifier:
    """Prototypes per fold and class, and a logistic of the cosines to them.

    The slopes are shared by all classes and each class has an intercept of its own, so that a
    class with few rows borrows what distinguishes right from wrong.

    Examples
    --------
    >>> label, fold = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    >>> rows = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    >>> verifier = Verifier.flat(CellSums.of(rows, label, fold, np.ones(4), (2, 2)))
    >>> verifier.features(rows[:2], np.array([0, 0]), fold[:2])
    array([[ 1.,  2.,  1.],
           [-1., -2.,  1.]])
    """

    mean: NDArray[np.float64]
    """`(d,)` mean of all rows: what all have in common says nothing of a class."""
    prototype: NDArray[np.float64]
    """`(f, k, d)` unit directions from the mean, of the rows outside a fold; else zeros."""
    slope: NDArray[np.float64]
    """`(3,)` of the features."""
    intercept: NDArray[np.float64]
    """`(k,)` what a class adds."""

    @classmethod
    def flat(cls, sums: CellSums) -> "Verifier":
        """Return the prototypes of some sums, with a logistic that knows nothing yet."""
        num_classes, num_dims = sums.total.shape[1:]
        blank = np.zeros((1, num_classes, num_dims))
        nothing = np.zeros(NUM_FEATURES), np.zeros(num_classes)
        return cls(np.zeros(num_dims), blank, *nothing).moved(sums)

    def moved(self, sums: CellSums) -> "Verifier":
        """Return the same logistic with the prototypes of other sums."""
        mean = sums.total.sum(axis=(0, 1)) / max(float(sums.count.sum()), 1e-12)
        away = sums.total - sums.count[..., None] * mean
        return replace(self, mean=mean, prototype=unit(away.sum(axis=0) - away))

    def features(
        self,
        embedding: NDArray[np.floating],
        label: NDArray[np.integer],
        fold: NDArray[np.integer],
    ) -> NDArray[np.float64]:
        """Return `(n, 3)`: the cosine to the own prototype, its margin over the rivals, and 1."""
        away, rows = unit(embedding - self.mean), np.arange(len(embedding))
        cosine = np.zeros((len(away), len(self.intercept)))
        for f in range(len(self.prototype)):
            cosine[fold == f] = away[fold == f] @ self.prototype[f].T
        own = cosine[rows, label]
        cosine[rows, label] = -1.0
        return np.column_stack([own, own - cosine.max(axis=1), np.ones(len(rows))])

    def logit(
        self, feature: NDArray[np.floating], label: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Return the `(n,)` log-odds that each label is right."""
        return np.asarray(feature @ self.slope + self.intercept[label])


@dataclass(frozen=True)
class ArrowNewton:
    """Gradient and Hessian of a logistic with shared slopes and one intercept per class.

    The intercepts meet each other through the slopes alone, so the Hessian is an arrow: a step
    costs as many operations as there are classes.
    """

    gradient: NDArray[np.float64]
    """`(m,)` of the slopes."""
    hessian: NDArray[np.float64]
    """`(m, m)` of the slopes."""
    own: NDArray[np.float64]
    """`(k, 2)` gradient and curvature of each intercept."""
    cross: NDArray[np.float64]
    """`(k, m)` between intercepts and slopes."""

    @classmethod
    def of(
        cls,
        feature: NDArray[np.floating],
        label: NDArray[np.integer],
        target: NDArray[np.floating],
        verifier: Verifier,
    ) -> "ArrowNewton":
        """Sum a batch of `(n, m)` features, `(n,)` classes and `(n,)` targets in [0, 1]."""
        chance, num_classes = expit(verifier.logit(feature, label)), len(verifier.intercept)
        miss, bend = chance - target, np.maximum(chance * (1.0 - chance), 1e-9)
        bent = feature * bend[:, None]
        columns = np.column_stack([miss, bend, bent])
        by_class = np.zeros((num_classes, columns.shape[1]))
        for j, column in enumerate(columns.T):
            by_class[:, j] = np.bincount(label, column, num_classes)
        own, cross = by_class[:, :2], by_class[:, 2:]
        return cls(feature.T @ miss, feature.T @ bent, own, cross)

    def merge(self, other: "ArrowNewton") -> "ArrowNewton":
        """Return the sums over both sets of rows."""
        return ArrowNewton(
            self.gradient + other.gradient,
            self.hessian + other.hessian,
            self.own + other.own,
            self.cross + other.cross,
        )

    def step(self, verifier: Verifier, penalty: float) -> Verifier:
        """Return the verifier after one step.

        `penalty / 2` times the squared intercepts draws every class to what is shared.
        """
        slope, intercept = verifier.slope, verifier.intercept
        ridge = np.r_[np.ones(len(slope) - 1), 1e-6]
        steep = self.own[:, 0] + penalty * intercept
        stiff = (self.own[:, 1] + penalty)[:, None]
        arrow = self.cross / stiff
        schur = self.hessian + np.diag(ridge) - self.cross.T @ arrow
        moved = np.linalg.solve(schur, self.gradient + ridge * slope - arrow.T @ steep)
        shift = (steep - self.cross @ moved) / stiff[:, 0]
        return replace(verifier, slope=slope - moved, intercept=intercept - shift)
