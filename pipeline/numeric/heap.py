"""The best rows of each class, bounded: a mergeable top-K."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Heap:
    """The `size` rows of each class with the smallest scores.

    Ties go to the smaller key. Rows of one group (copies of a caption) take turns: the
    second row of a group comes after the first row of every other, so that one repeated
    caption fills a class only where there is nothing else.

    Examples
    --------
    >>> vector = np.arange(4.0)[:, None]
    >>> heap = Heap.of(
    ...     2, np.zeros(4, int), np.array([0.3, 0.1, 0.1, 0.2]),
    ...     (np.arange(4, dtype=np.uint64), np.array([1, 7, 7, 2], np.uint64)), vector)
    >>> heap.vector.ravel()
    array([1., 3.])
    """

    size: int
    """Rows kept per class."""
    label: NDArray[np.int64]
    """`(m,)` classes, in rising order."""
    score: NDArray[np.float64]
    """`(m,)`; smaller is better."""
    key: NDArray[np.uint64]
    """`(m,)` breaks ties and names the row."""
    group: NDArray[np.uint64]
    """`(m,)` rows that must take turns."""
    vector: NDArray[np.float64]
    """`(m, v)` what is carried along with each row."""

    @classmethod
    def of(
        cls,
        size: int,
        label: NDArray[np.integer],
        score: NDArray[np.floating],
        name: tuple[NDArray[np.uint64], NDArray[np.uint64]],
        vector: NDArray[np.floating],
    ) -> "Heap":
        """Return the best rows of a batch by `(key, group)`; negative labels are left out."""
        seen = label >= 0
        kind = (label[seen].astype(np.int64), score[seen].astype(np.float64))
        return cls(size, *kind, name[0][seen], name[1][seen], vector[seen].astype(float))._best()

    def merge(self, other: "Heap") -> "Heap":
        """Return the best rows of both."""
        pairs = ((getattr(self, f), getattr(other, f)) for f in _COLUMNS)
        return Heap(self.size, *(np.concatenate(pair) for pair in pairs))._best()

    def _best(self) -> "Heap":
        turn = _rank(self.label, self.group, order=(self.key, self.score, self.group, self.label))
        order = np.lexsort((self.key, self.score, turn, self.label))
        starts = np.searchsorted(self.label[order], self.label[order], side="left")
        keep = order[np.arange(len(order)) - starts < self.size]
        return Heap(self.size, *(getattr(self, f)[keep] for f in _COLUMNS))


_COLUMNS = ("label", "score", "key", "group", "vector")


def _rank(
    label: NDArray[np.int64], group: NDArray[np.uint64], order: tuple[NDArray[np.generic], ...]
) -> NDArray[np.int64]:
    """Return the position of each row among the rows of its class and group."""
    by = np.lexsort(order)
    new = np.r_[True, (np.diff(label[by]) != 0) | (group[by][1:] != group[by][:-1])][: len(by)]
    start = np.maximum.accumulate(np.where(new, np.arange(len(by)), 0))
    rank = np.empty(len(by), dtype=np.int64)
    rank[by] = np.arange(len(by)) - start
    return rank
