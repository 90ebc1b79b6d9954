"""A histogram per class: the mergeable form of one number's distribution in each class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.histogram import Histogram


@dataclass(frozen=True)
class ClassHistogram:
    """Counts of a number in bins that are equal and the same for all classes.

    Examples
    --------
    >>> h = ClassHistogram.of(np.array([0.1, 0.9, 0.9]), np.array([0, 1, -1]), 2, (0.0, 1.0), 2)
    >>> h.merge(h).count
    array([[2., 0.],
           [0., 2.]])
    """

    low: float
    """Left edge of the first bin."""
    high: float
    """Right edge of the last bin."""
    count: NDArray[np.float64]
    """`(k, b)` rows."""

    @classmethod
    def of(
        cls,
        value: NDArray[np.floating],
        label: NDArray[np.integer],
        num_classes: int,
        edges: tuple[float, float],
        num_bins: int = 256,
    ) -> "ClassHistogram":
        """Count `(n,)` values of `(n,)` classes; NaN and negative classes are left out."""
        low, high = edges
        seen = ~np.isnan(value) & (label >= 0)
        place = (np.clip(value[seen], low, high) - low) / (high - low) * num_bins
        cell = label[seen] * num_bins + np.minimum(place.astype(np.int64), num_bins - 1)
        count = np.bincount(cell, minlength=num_classes * num_bins).astype(np.float64)
        return cls(low, high, count.reshape(num_classes, num_bins))

    def merge(self, other: "ClassHistogram") -> "ClassHistogram":
        """Return the histogram of both sets of rows."""
        return ClassHistogram(self.low, self.high, self.count + other.count)

    def whole(self) -> Histogram:
        """Return the histogram of all classes together."""
        return Histogram(self.low, self.high, self.count.sum(axis=0))
