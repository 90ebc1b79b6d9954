"""Logistic regression by iteratively reweighted least squares: each step is one sum over rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.prototypes import unit

CONSTANT = 1e-6
"""Deviation below which a feature says nothing."""


@dataclass(frozen=True)
class Newton:
    """Gradient and Hessian of the logistic loss at one hyperplane.

    Examples
    --------
    >>> rows, target = np.array([[-1.0], [1.0]]), np.array([0.0, 1.0])
    >>> step = Newton.of(rows, target, np.ones(2), np.zeros(2))
    >>> step.gradient
    array([-1.,  0.])
    """

    gradient: NDArray[np.float64]
    """`(d + 1,)`, the intercept last."""
    hessian: NDArray[np.float64]
    """`(d + 1, d + 1)`."""

    @classmethod
    def of(
        cls,
        embedding: NDArray[np.floating],
        target: NDArray[np.floating],
        weight: NDArray[np.floating],
        plane: NDArray[np.float64],
    ) -> "Newton":
        """Sum a batch.

        Parameters
        ----------
        embedding
            `(n, d)` standardised rows.
        target
            `(n,)` in [0, 1].
        weight
            `(n,)` non-negative.
        plane
            `(d + 1,)` hyperplane, the intercept last.
        """
        rows = np.column_stack([embedding, np.ones(len(embedding))]).astype(np.float64)
        chance = expit(rows @ plane)
        curve = np.maximum(chance * (1.0 - chance), 1e-9) * weight
        return cls(rows.T @ (weight * (chance - target)), rows.T @ (rows * curve[:, None]))

    def merge(self, other: "Newton") -> "Newton":
        """Return the sums over both sets of rows."""
        return Newton(self.gradient + other.gradient, self.hessian + other.hessian)

    def step(self, plane: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
        """Return the next hyperplane under `penalty / 2` times the squared slope.

        Unpenalised, the hyperplane of separable rows would grow for ever.
        """
        ridge = np.r_[np.full(len(plane) - 1, penalty), 0.0]
        hessian = self.hessian + np.diag(ridge + 1e-9)
        return plane - np.linalg.solve(hessian, self.gradient + ridge * plane)


@dataclass(frozen=True)
class Plane:
    """A hyperplane among unit features, each of which is brought to mean 0 and deviation 1.

    Examples
    --------
    >>> plane = Plane.flat(FoldMoments.of(np.eye(2), np.zeros(2, int), np.zeros(2, int), (1, 1)))
    >>> plane.beyond(np.eye(2))
    array([0.5, 0.5])
    """

    mean: NDArray[np.float64]
    """`(d,)` of the unit features."""
    deviation: NDArray[np.float64]
    """`(d,)` of the unit features; infinite for one that is constant."""
    slope: NDArray[np.float64]
    """`(d + 1,)` of the standardised features, the intercept last."""

    @classmethod
    def flat(cls, moments: FoldMoments) -> "Plane":
        """Return the hyperplane that knows nothing yet, from moments of unit features."""
        whole = moments.whole()
        deviation = np.sqrt(np.diag(whole.overall()).clip(0.0))
        constant = deviation < CONSTANT
        slope = np.zeros(len(deviation) + 1)
        return cls(whole.mean, np.where(constant, np.inf, deviation), slope)

    def standardise(self, feature: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return `(n, d)` features made unit, then brought to mean 0 and deviation 1."""
        return np.asarray((unit(feature) - self.mean) / self.deviation)

    def beyond(self, feature: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the `(n,)` probability that each row lies on the positive side."""
        return expit(self.standardise(feature) @ self.slope[:-1] + self.slope[-1])
