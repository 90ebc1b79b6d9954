"""A histogram with fixed bins: the mergeable form of a distribution of one number."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Histogram:
    """Weighted counts of a number in equal bins; values outside go into the end bins.

    Examples
    --------
    >>> h = Histogram.of(np.array([0.1, 0.2, 0.9]), 0.0, 1.0, num_bins=10)
    >>> h.merge(h).count.sum()
    np.float64(6.0)
    >>> round(float(h.quantile(1.0)), 3)
    1.0
    """

    low: float
    """Left edge of the first bin."""
    high: float
    """Right edge of the last bin."""
    count: NDArray[np.float64]
    """`(b,)` weights."""

    @classmethod
    def of(
        cls,
        value: NDArray[np.floating],
        low: float,
        high: float,
        num_bins: int = 4096,
        weight: NDArray[np.floating] | None = None,
    ) -> "Histogram":
        """Count a batch of `(n,)` values with `(n,)` weights; NaN is left out."""
        seen = ~np.isnan(value)
        place = (np.clip(value[seen], low, high) - low) / max(high - low, 1e-12) * num_bins
        index = np.minimum(place.astype(np.int64), num_bins - 1)
        mass = None if weight is None else np.asarray(weight, np.float64)[seen]
        count = np.bincount(index, weights=mass, minlength=num_bins).astype(np.float64)
        return cls(low, high, count)

    @property
    def centre(self) -> NDArray[np.float64]:
        """Return the `(b,)` middles of the bins."""
        width = (self.high - self.low) / len(self.count)
        middle = np.arange(len(self.count), dtype=np.float64) + 0.5
        return np.asarray(self.low + width * middle)

    def merge(self, other: "Histogram") -> "Histogram":
        """Return the histogram of both sets of values, which must share their bins."""
        return Histogram(self.low, self.high, self.count + other.count)

    def quantile(self, share: float) -> float:
        """Return the right edge of the first bin with at least `share` of the weight below it."""
        total = float(self.count.sum())
        if total <= 0.0:
            return self.high
        reached = np.cumsum(self.count) >= share * total - 1e-9
        width = (self.high - self.low) / len(self.count)
        return self.low + width * (int(np.argmax(reached)) + 1)

    def clipped(self, low_share: float, high_share: float) -> "Histogram":
        """Return the histogram with the weight outside two quantiles moved onto them.

        One wild value must not set the scale of a mixture (it would flag nothing).
        """
        low, high = self.quantile(low_share), self.quantile(high_share)
        centre = self.centre
        return Histogram.of(
            np.clip(centre, low, high), self.low, self.high, len(centre), self.count
        )
