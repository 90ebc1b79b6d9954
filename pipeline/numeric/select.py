"""The n smallest keys of many cells, found exactly by counting digits, without holding a row."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.counter import Counter, find

BITS = 12
"""Bits of a digit: the first holds sign, exponent and three bits of a float."""
BASE = 1 << BITS
ALL = np.uint64(2**64 - 1)


def sort_keys(value: NDArray[np.floating], tie: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return 64-bit keys that rise with a float32, and where tied with the high bits of `tie`.

    Examples
    --------
    >>> key = sort_keys(np.array([-0.5, 0.25, 0.25]), np.array([9, 8, 7], np.uint64) << 32)
    >>> key.argsort().tolist(), cut_values(key).tolist()
    ([0, 2, 1], [-0.5, 0.25, 0.25])
    """
    bits = (value.astype(np.float32) + np.float32(0.0)).view(np.uint32)
    rising = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return (rising.astype(np.uint64) << np.uint64(32)) | (tie >> np.uint64(32))


def cut_values(key: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return the float32 of keys; infinity where a key is above that of any number."""
    rising = (key >> np.uint64(32)).astype(np.uint32)
    value = np.where(rising >> 31, rising & np.uint32(2**31 - 1), ~rising).view(np.float32)
    return np.where(np.isnan(value), np.float32(np.inf), value)


@dataclass(frozen=True)
class Cuts:
    """The largest key taken in each cell."""

    cell: NDArray[np.int64]
    """`(c,)` cells in which rows are taken, rising."""
    cut: NDArray[np.uint64]
    """`(c,)` largest keys taken."""

    def take(self, cell: NDArray[np.integer], key: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return which rows are taken; rows of other cells are not."""
        place = find(self.cell, cell)
        return (place >= 0) & (key <= np.r_[self.cut, ALL][place])

    def value(self, cell: NDArray[np.integer], missing: float) -> NDArray[np.float32]:
        """Return the number at which each cell is cut; `missing` where nothing is taken."""
        value = np.r_[cut_values(self.cut), np.float32(missing)]
        return value[find(self.cell, cell)]


@dataclass(frozen=True)
class Search:
    """How much of each cut is known: a radix selection, one digit per pass over the rows.

    A pass sums `count` over the rows, then `narrow` fixes the next digit of every cut. A cell is
    done as soon as its digits tell the last row taken from the first one left. Rows with
    the same key are taken together.

    Examples
    --------
    >>> cell, key = np.array([0, 0, 0, 4, 4]), np.array([30, 10, 20, 7, 5], np.uint64)
    >>> search = Search.of(np.array([0, 4]), np.array([2, 1]))
    >>> while search.is_open:
    ...     search = search.narrow(search.count(cell, key))
    >>> search.cuts().take(cell, key).tolist()
    [False, True, True, False, True]
    """

    cell: NDArray[np.int64]
    """`(c,)` cells, rising."""
    wanted: NDArray[np.int64]
    """`(c,)` rows still to take among those whose key has the known digits; 0 when done."""
    cut: NDArray[np.uint64]
    """`(c,)` known digits of the cuts, then zeros; the whole cut when done."""
    depth: int = 0
    """Digits known."""

    @classmethod
    def of(cls, cell: NDArray[np.integer], wanted: NDArray[np.integer]) -> "Search":
        """Start a search for the `wanted` smallest keys of each of `(c,)` distinct cells."""
        order = np.argsort(cell)
        order = order[wanted[order] > 0]
        some, cut = cell[order].astype(np.int64), np.zeros(len(order), np.uint64)
        return cls(some, wanted[order].astype(np.int64), cut)

    @property
    def is_open(self) -> bool:
        """Whether another pass is needed."""
        return bool((self.wanted > 0).any())

    @property
    def shift(self) -> np.uint64:
        """Bits to the right of the next digit."""
        return np.uint64(max(64 - BITS * (self.depth + 1), 0))

    def count(self, cell: NDArray[np.integer], key: NDArray[np.uint64]) -> Counter:
        """Count the next digits of the keys of a batch: a sum over the rows."""
        place = find(self.cell, cell)
        here = (place >= 0) & (np.r_[self.wanted, 0][place] > 0)
        place, key = place[here], key[here]
        if self.depth:
            known = np.uint64(64 - BITS * self.depth)
            same = (self.cut[place] ^ key) >> known == 0
            place, key = place[same], key[same]
        digit = (key >> self.shift) & np.uint64(BASE - 1)
        return Counter.of(place * BASE + digit.astype(np.int64))

    def narrow(self, counter: Counter) -> "Search":
        """Return the search with one more digit, from the counts over all rows."""
        place, digit = np.divmod(counter.code, BASE)
        total = np.cumsum(counter.count)
        first = np.searchsorted(place, place)
        upto = total - np.r_[0, total][first]
        reached = np.flatnonzero(upto >= self.wanted[place])
        cell, index = np.unique(place[reached], return_index=True)
        at = reached[index]
        left = self.wanted[cell] - (upto - counter.count)[at]
        whole = (left == counter.count[at]) | (self.shift == 0)
        below = (np.uint64(1) << self.shift) - np.uint64(1)
        known = self.cut[cell] | (digit[at].astype(np.uint64) << self.shift)
        wanted, cut = np.zeros_like(self.wanted), np.where(self.wanted > 0, ALL, self.cut)
        cut[cell] = np.where(whole, known | below, known)
        wanted[cell] = np.where(whole, 0, left)
        return replace(self, wanted=wanted, cut=cut, depth=self.depth + 1)

    def cuts(self) -> Cuts:
        """Return the cuts of a search that is done."""
        return Cuts(self.cell, self.cut)


def select(search: Search, count: Callable[[Search], Counter]) -> Cuts:
    """Return the cuts of a search, given a pass that sums `search.count` over all rows."""
    while search.is_open:
        search = search.narrow(count(search))
    return search.cuts()
