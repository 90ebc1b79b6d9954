"""A bounded sample of rows with what a first judgement said of them: rounds run on it in memory."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.bottom import Bottom

Statistic = TypeVar("Statistic")

BLOCK_ROWS = 4096
"""Rows that are worked on at once."""


@dataclass(frozen=True)
class Judged:
    """The `size` rows with the smallest hashes: the same rows however they arrive.

    Examples
    --------
    >>> name, zero, vector = np.arange(3, dtype=np.uint64), np.zeros(3), np.eye(3)
    >>> rows = Judged(2, name, name, zero.astype(int), vector, vector, zero, zero, zero, zero)
    >>> rows.merge(rows).hash, rows.reduce(lambda block: len(block.hash), int.__add__)
    (array([0, 1], dtype=uint64), 3)
    """

    size: int
    """Rows kept when samples are merged."""
    hash: NDArray[np.uint64]
    """`(m,)` hashes of the images."""
    key: NDArray[np.uint64]
    """`(m,)` names of the rows: copies of an image differ in it."""
    label: NDArray[np.int64]
    """`(m,)` classes, -1 where there is none."""
    image: NDArray[np.floating]
    """`(m, d)` image vectors."""
    early: NDArray[np.floating]
    """`(m, e)` early-block vectors, zeros where there is none; `e` may be 0."""
    wrong: NDArray[np.floating]
    """`(m,)` probabilities that the label is wrong, by the image; NaN without a label."""
    impurity: NDArray[np.floating]
    """`(m,)` Gini impurities of the class probabilities, by the image."""
    prediction: NDArray[np.integer]
    """`(m,)` most likely classes."""
    confidence: NDArray[np.floating]
    """`(m,)` probabilities of them."""

    def merge(self, other: "Judged") -> "Judged":
        """Return the sample of both sets of rows; a row that is in both is kept once."""
        return self._smallest(self._bottom().merge(other._bottom()))

    def sample(self) -> "Judged":
        """Return the sample of these rows."""
        rows = self._bottom()
        return self._smallest(Bottom.of(rows.size, rows.hash, rows.key, rows.column))

    def reduce(
        self,
        partial: Callable[["Judged"], Statistic],
        merge: Callable[[Statistic, Statistic], Statistic],
    ) -> Statistic:
        """Return the statistic of all rows, summed up block by block."""
        total = partial(self._take(slice(0, BLOCK_ROWS)))
        for start in range(BLOCK_ROWS, len(self.hash), BLOCK_ROWS):
            total = merge(total, partial(self._take(slice(start, start + BLOCK_ROWS))))
        return total

    def fold(self, num_folds: int) -> NDArray[np.int64]:
        """Return the `(m,)` folds of the rows: copies of a picture are in one."""
        return (self.hash % np.uint64(num_folds)).astype(np.int64)

    @property
    def has_early(self) -> bool:
        """Whether the early vectors are the features; else the images are."""
        return self.early.shape[1] > 0

    def feature(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the `(m, e)` early vectors or `(m, d)` images, and which rows have one."""
        rows = np.asarray(self.early if self.has_early else self.image, np.float32)
        return rows, np.abs(rows).max(axis=1, initial=0.0) > 0.0

    def settled(self) -> "Judged":
        """Return the rows with images for features if none has an early vector."""
        return self if self.early.any() else self.without_early()

    def without_early(self) -> "Judged":
        """Return the rows with images for features."""
        return replace(self, early=self.early[:, :0])

    def _bottom(self) -> Bottom:
        return Bottom(
            self.size, self.hash, self.key, {name: getattr(self, name) for name in _COLUMNS}
        )

    def _smallest(self, bottom: Bottom) -> "Judged":
        return Judged(
            self.size, bottom.hash, bottom.key, *(bottom.column[name] for name in _COLUMNS)
        )

    def _take(self, rows: slice) -> "Judged":
        return Judged(self.size, *(getattr(self, name)[rows] for name in _ALL))


_ALL = tuple(field.name for field in fields(Judged))[1:]
_COLUMNS = _ALL[2:]
