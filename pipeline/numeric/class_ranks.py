"""Where a row stands among the rows of its class: a histogram of one number per class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassRanks:
    """Counts of a number in [0, 1] in equal bins, one histogram per class.

    Examples
    --------
    >>> ranks = ClassRanks.of(np.array([0, 0, 0, 1]), np.array([0.1, 0.5, 0.9, 0.3]), 2)
    >>> ranks.merge(ranks).below(np.array([0, 0, 1]), np.array([0.2, 0.9, 0.3])).round(2)
    array([0.33, 0.83, 0.5 ])
    """

    count: NDArray[np.float64]
    """`(k, b)` rows."""

    @classmethod
    def of(
        cls,
        label: NDArray[np.integer],
        value: NDArray[np.floating],
        num_classes: int,
        num_bins: int = 128,
    ) -> "ClassRanks":
        """Count `(n,)` values of `(n,)` classes; rows with a negative class are left out."""
        seen = label >= 0
        cell = label[seen] * num_bins + _bin(value[seen], num_bins)
        count = np.bincount(cell, minlength=num_classes * num_bins)
        return cls(count.astype(np.float64).reshape(num_classes, num_bins))

    def merge(self, other: "ClassRanks") -> "ClassRanks":
        """Return the counts of both sets of rows."""
        return ClassRanks(self.count + other.count)

    @property
    def num_rows(self) -> NDArray[np.float64]:
        """Return the `(k,)` rows of each class."""
        return np.asarray(self.count.sum(axis=1))

    def below(self, label: NDArray[np.integer], value: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the `(n,)` shares of the class with a smaller value; of equals half are smaller.

        Without rows of the class it is 1.
        """
        middle = (np.cumsum(self.count, axis=1) - self.count / 2.0)[
            label, _bin(value, self.count.shape[1])
        ]
        total = self.num_rows[label]
        return np.asarray(np.where(total > 0, middle / np.where(total > 0, total, 1.0), 1.0))


def _bin(value: NDArray[np.floating], num_bins: int) -> NDArray[np.int64]:
    """Return the bins of values in [0, 1]."""
    return np.clip((value * num_bins).astype(np.int64), 0, num_bins - 1)
