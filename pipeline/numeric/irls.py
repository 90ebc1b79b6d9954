"""Logistic regression by iteratively reweighted least squares: each step is one sum over rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit


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


def side(embedding: NDArray[np.floating], plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `(n,)` probability that each row lies on the positive side of the hyperplane.

    Examples
    --------
    >>> side(np.array([[0.0], [100.0]]), np.array([1.0, 0.0]))
    array([0.5, 1. ])
    """
    return expit(embedding @ plane[:-1] + plane[-1])
