"""Adam: steps whose size does not depend on the scale of the gradient."""

import numpy as np
from numpy.typing import NDArray

MOMENTUM, MEMORY = 0.9, 0.999
"""Shares that a step leaves of the mean gradient and of the mean squared gradient."""


class Adam:
    """Moves parameters against their gradients (Kingma and Ba 2015, algorithm 1).

    Examples
    --------
    >>> adam = Adam(0.1)
    >>> adam.step(np.array([1.0, 2.0]), np.array([5.0, -0.01])).round(3)
    array([0.9, 2.1])
    """

    def __init__(self, rate: float) -> None:
        """Take `rate` as the size of a step."""
        self.rate, self.count = rate, 0
        self.first: NDArray[np.float64] | float = 0.0
        self.second: NDArray[np.float64] | float = 0.0

    def step(self, value: NDArray[np.float64], slope: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the parameters after a step."""
        self.count += 1
        self.first = MOMENTUM * self.first + (1.0 - MOMENTUM) * slope
        self.second = MEMORY * self.second + (1.0 - MEMORY) * slope**2
        mean = self.first / (1.0 - MOMENTUM**self.count)
        size = np.sqrt(self.second / (1.0 - MEMORY**self.count)) + 1e-8
        return np.asarray(value - self.rate * mean / size)
