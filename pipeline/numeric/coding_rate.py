"""Coding rates of classes: how much room the rows of a class take up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassOuter:
    """Counts and outer products per class, as sums.

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    >>> outer = ClassOuter.of(rows, np.array([0, 0, 1, 1]), 2)
    >>> outer.merge(outer).rate(0.5).round(2)
    array([1.61, 1.1 ])
    """

    count: NDArray[np.float64]
    """`(k,)` rows."""
    outer: NDArray[np.float64]
    """`(k, d, d)` sums of outer products."""

    @classmethod
    def of(
        cls, embedding: NDArray[np.floating], label: NDArray[np.integer], num_classes: int
    ) -> "ClassOuter":
        """Sum `(n, d)` rows of `(n,)` classes; rows with a negative class are left out."""
        rows, seen = np.asarray(embedding, np.float64), label[label >= 0]
        outer = np.zeros((num_classes, rows.shape[1], rows.shape[1]))
        for c in np.unique(seen):
            part = rows[label == c]
            outer[c] = part.T @ part
        return cls(np.bincount(seen, minlength=num_classes).astype(np.float64), outer)

    def merge(self, other: "ClassOuter") -> "ClassOuter":
        """Return the sums of both sets of rows."""
        return ClassOuter(self.count + other.count, self.outer + other.outer)

    def without(self, other: "ClassOuter") -> "ClassOuter":
        """Return the sums of the rows that are not among others."""
        return ClassOuter(self.count - other.count, self.outer - other.outer)

    def rate(self, distortion: float) -> NDArray[np.float64]:
        """Return the `(k,)` coding rates: nats per row up to a squared error; 0 without rows.

        Yu et al. 2020, "Learning diverse and discriminative representations via the principle of
        maximal coding rate reduction", equation 2:
        `1/2 log det(I + d / (n e^2) sum z z^T)`.
        """
        size = self.outer.shape[1]
        scale = size / (np.maximum(self.count, 1.0) * distortion**2)
        gram = np.eye(size) + scale[:, None, None] * self.outer
        return np.asarray(0.5 * np.linalg.slogdet(gram)[1])


@dataclass(frozen=True)
class Compactness:
    """What each class is like, and what it would gain by losing its suspects."""

    count: NDArray[np.float64]
    """`(k,)` labelled rows."""
    flagged: NDArray[np.float64]
    """`(k,)` of them suspect."""
    rate: NDArray[np.float64]
    """`(k,)` coding rates in nats: low is compact."""
    gain: NDArray[np.float64]
    """`(k,)` by how much the rate falls without the suspects; 0 if all are."""

    @classmethod
    def of(cls, whole: ClassOuter, suspect: ClassOuter, distortion: float) -> "Compactness":
        """Compare the rates of classes with and without their suspects."""
        kept, rate = whole.without(suspect), whole.rate(distortion)
        gain = np.where(kept.count > 0, rate - kept.rate(distortion), 0.0)
        return cls(whole.count, suspect.count, rate, gain)


@dataclass(frozen=True)
class Axes:
    """The directions in which rows differ most: features small enough to sum outer products of."""

    mean: NDArray[np.float32]
    """`(d,)`."""
    basis: NDArray[np.float32]
    """`(d, p)` orthonormal."""

    @classmethod
    def of(cls, embedding: NDArray[np.floating], size: int) -> "Axes":
        """Return the first principal axes of `(n, d)` rows.

        Examples
        --------
        >>> axes = Axes.of(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.1]]), 1)
        >>> np.abs(axes.project(np.array([[9.0, 0.0]]))).round(2)
        array([[1.]])
        """
        rows = np.asarray(embedding, np.float64)
        mean = rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1])
        value, vector = np.linalg.eigh((rows - mean).T @ (rows - mean))
        order = np.argsort(-value, kind="stable")[:size]
        return cls(mean.astype(np.float32), vector[:, order].astype(np.float32))

    def project(self, embedding: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return `(n, p)` features of length 1."""
        feature = (np.asarray(embedding, np.float64) - self.mean) @ self.basis
        length = np.linalg.norm(feature, axis=1, keepdims=True)
        return np.asarray(feature / np.where(length > 0, length, 1.0))
