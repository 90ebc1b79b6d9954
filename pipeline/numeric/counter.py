"""Counts of integers, most of which never occur: pairs of classes, digits of keys."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Counter:
    """How often each code was seen; what was never seen takes no room.

    Examples
    --------
    >>> seen = Counter.of(np.array([7, 2, 7])).merge(Counter.of(np.array([10**12, 2])))
    >>> seen.code.tolist(), seen.count.tolist()
    ([2, 7, 1000000000000], [2, 2, 1])
    >>> seen.get(np.array([7, 8])).tolist()
    [2, 0]
    """

    code: NDArray[np.int64]
    """`(m,)` codes, rising."""
    count: NDArray[np.int64]
    """`(m,)` times each was seen, at least 1."""

    @classmethod
    def of(cls, code: NDArray[np.integer]) -> "Counter":
        """Count the codes of a batch."""
        seen, count = np.unique(code.astype(np.int64), return_counts=True)
        return cls(seen, count.astype(np.int64))

    def merge(self, other: "Counter") -> "Counter":
        """Return the counts of both; costs one copy of the longer, and no sort."""
        if len(self.code) < len(other.code):
            return other.merge(self)
        count, place = self.count.copy(), np.searchsorted(self.code, other.code)
        known = find(self.code, other.code) >= 0
        count[place[known]] += other.count[known]
        code = np.insert(self.code, place[~known], other.code[~known])
        return Counter(code, np.insert(count, place[~known], other.count[~known]))

    def get(self, code: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return how often each of some codes was seen."""
        place = find(self.code, code)
        return np.where(place >= 0, np.r_[self.count, 0][place], 0)


def find(rising: NDArray[np.integer], value: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the positions of values in a rising array without repeats; -1 where there is none.

    Examples
    --------
    >>> find(np.array([2, 5, 9]), np.array([5, 6, 9, 10])).tolist()
    [1, -1, 2, -1]
    """
    if not len(rising):
        return np.full(value.shape, -1)
    place = np.minimum(np.searchsorted(rising, value), len(rising) - 1)
    return np.where(rising[place] == value, place, -1)
