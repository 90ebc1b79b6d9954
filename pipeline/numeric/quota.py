"""A share of every class, cut where a histogram says: the same rows however they arrive."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Quota:
    """Which values of each class are within its quota: small ones first.

    The bin in which the quota ends is cut by a second, random number: a class whose values are
    all alike keeps its share too.

    Examples
    --------
    >>> quota = Quota.of(np.array([[2.0, 2.0]]), 0.75, least=0)
    >>> label, value = np.zeros(4, int), np.array([0.1, 0.2, 0.7, 0.8])
    >>> quota.holds(label, value, np.array([0.9, 0.9, 0.4, 0.6]))
    array([ True,  True,  True, False])
    """

    last: NDArray[np.int64]
    """`(k,)` bin in which the quota of each class ends."""
    share: NDArray[np.float64]
    """`(k,)` part of that bin that is within."""
    num_bins: int

    @classmethod
    def of(cls, count: NDArray[np.float64], keep: float, least: int) -> "Quota":
        """Return the quota `keep` of `(k, b)` counts, but `least` rows of a class at least."""
        total = count.sum(axis=1)
        wanted = np.minimum(np.maximum(keep * total, least), total)
        reached = np.cumsum(count, axis=1)
        last = np.argmax(reached >= wanted[:, None] - 1e-9, axis=1)
        inside = np.take_along_axis(count, last[:, None], axis=1)[:, 0]
        before = np.take_along_axis(reached, last[:, None], axis=1)[:, 0] - inside
        share = np.where(inside > 0, (wanted - before) / np.maximum(inside, 1e-12), 1.0)
        return cls(last, share, count.shape[1])

    def holds(
        self,
        label: NDArray[np.integer],
        value: NDArray[np.floating],
        draw: NDArray[np.floating],
    ) -> NDArray[np.bool_]:
        """Return which of `(n,)` values in [0, 1] are within the quota of their `(n,)` classes."""
        place = np.clip((value * self.num_bins).astype(np.int64), 0, self.num_bins - 1)
        last = self.last[label]
        return np.asarray((place < last) | ((place == last) & (draw < self.share[label])))


def uniform(hash: NDArray[np.uint64], salt: int) -> NDArray[np.float64]:  # noqa: A002
    """Return `(n,)` numbers in [0, 1) drawn by hash; another salt draws others.

    The mixer of SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom number generators").

    Examples
    --------
    >>> uniform(np.array([7, 7, 8], np.uint64), 0).round(3)
    array([0.39 , 0.39 , 0.619])
    """
    word = hash + np.uint64(0x9E3779B97F4A7C15 * (salt + 1) % 2**64)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (word ^ (word >> np.uint64(31))).astype(np.float64) / 2.0**64
