"""Which rows to ask a teacher about who may be wrong: a game against its errors, in closed form.

RAD (Baykal et al. 2023, "Robust active distillation"): rows are asked with probabilities that
maximise the gain that is certain even if an adversary picks which `k` answers are wrong. With the
gains `g` sorted down and `H(i)` the sum of the first `i` of `1 / g`, the best ones are
`(1 / g) / H(i*)` for the first `i*` rows, where `i*` maximises `(i - m k) / H(i)`; `m` is 1 where
a wrong answer gains nothing and 2 where it costs as much as a right one gains.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOOR = 1e-3
"""Least gain: `1 / g` must not explode."""
NUM_BINS = 10_000


@dataclass(frozen=True)
class Gains:
    """Rows and the sum of `1 / g`, in equal bins of the gain.

    Examples
    --------
    >>> gains = Gains.of(np.array([1.0, 0.5, 0.01]))
    >>> asking = gains.solve(num_wrong=1, cost=1)
    >>> asking.probability(np.array([1.0, 0.5, 0.01])).round(3)
    array([0.333, 0.667, 0.   ])
    """

    count: NDArray[np.float64]
    """`(b,)` rows."""
    inverse: NDArray[np.float64]
    """`(b,)` sums of `1 / g`."""

    @classmethod
    def of(cls, gain: NDArray[np.floating], num_bins: int = NUM_BINS) -> "Gains":
        """Count `(n,)` gains in [0, 1]."""
        gain = floored(gain)
        place = _bin(gain, num_bins)
        inverse = np.bincount(place, weights=1.0 / gain, minlength=num_bins).astype(np.float64)
        return cls(np.bincount(place, minlength=num_bins).astype(np.float64), inverse)

    def merge(self, other: "Gains") -> "Gains":
        """Return the counts of both sets of rows."""
        return Gains(self.count + other.count, self.inverse + other.inverse)

    def solve(self, num_wrong: int, cost: int) -> "Asking":
        """Return whom to ask if `num_wrong` answers are wrong, each at a cost of 1 or 2 gains."""
        rows, total = np.cumsum(self.count[::-1]), np.cumsum(self.inverse[::-1])
        value = np.where(rows > 0, (rows - cost * num_wrong) / np.maximum(total, 1e-300), -np.inf)
        best = int(np.argmax(value))
        if not value[best] > 0.0:
            return Asking(0, max(float(rows[-1]), 1.0), 0.0, is_uniform=True, num_bins=len(rows))
        least = len(rows) - 1 - best
        return Asking(
            least, float(total[best]), float(value[best]), is_uniform=False, num_bins=len(rows)
        )


@dataclass(frozen=True)
class Asking:
    """The solution of the game."""

    least: int
    """Bin of the least gain that is asked about."""
    total: float
    """`H(i*)`; the number of rows where all are asked alike."""
    value: float
    """The gain that is certain; 0 where none is."""
    is_uniform: bool
    """Whether all rows are asked alike: with so many wrong answers no gain is certain."""
    num_bins: int

    def probability(self, gain: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the `(n,)` probabilities of rows by their gains."""
        gain = floored(gain)
        if self.is_uniform:
            return np.full(len(gain), 1.0 / self.total)
        return np.where(_bin(gain, self.num_bins) >= self.least, 1.0 / gain / self.total, 0.0)


def floored(gain: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return gains that one may divide by."""
    return np.maximum(np.asarray(gain, np.float64), FLOOR)


def _bin(gain: NDArray[np.float64], num_bins: int) -> NDArray[np.int64]:
    return np.minimum((gain * num_bins).astype(np.int64), num_bins - 1)


@dataclass(frozen=True)
class Smallest:
    """The `size` smallest of many numbers.

    Examples
    --------
    >>> Smallest.of(2, np.array([0.3, 0.1, 0.2])).value
    array([0.1, 0.2])
    """

    size: int
    value: NDArray[np.float64]
    """`(m,)` rising."""

    @classmethod
    def of(cls, size: int, value: NDArray[np.floating]) -> "Smallest":
        """Return the smallest of a batch."""
        return cls(size, np.sort(np.asarray(value, np.float64))[:size])

    def merge(self, other: "Smallest") -> "Smallest":
        """Return the smallest of both."""
        return Smallest.of(self.size, np.r_[self.value, other.value])
