"""A bounded random sample of a whole corpus, drawn by hash, with any columns carried along."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = Mapping[str, NDArray[Any]]
"""Arrays by name whose first axis is the rows."""


@dataclass(frozen=True)
class Bottom:
    """The `size` rows with the smallest hashes: the same rows however they arrive.

    Examples
    --------
    >>> hashed, key = np.array([5, 3, 9], np.uint64), np.arange(3, dtype=np.uint64)
    >>> rows = Bottom.of(2, hashed, key, {"label": np.array([7, 8, 9])})
    >>> rows.hash, rows.merge(rows).column["label"]
    (array([3, 5], dtype=uint64), array([8, 7]))
    """

    size: int
    """Rows kept."""
    hash: NDArray[np.uint64]
    """`(m,)` hashes of the images, rising."""
    key: NDArray[np.uint64]
    """`(m,)` names of the rows: copies of an image differ in it."""
    column: Columns
    """What is carried along, `m` rows each."""

    @classmethod
    def of(
        cls,
        size: int,
        hash: NDArray[np.uint64],  # noqa: A002  # the field's name
        key: NDArray[np.uint64],
        column: Columns,
    ) -> "Bottom":
        """Return the sample of a batch."""
        return cls(size, hash, key, column)._cut()

    def merge(self, other: "Bottom") -> "Bottom":
        """Return the sample of both sets of rows; a row that is in both is kept once."""
        column = {
            name: np.concatenate([value, other.column[name]]) for name, value in self.column.items()
        }
        hashed, key = np.r_[self.hash, other.hash], np.r_[self.key, other.key]
        return Bottom(self.size, hashed, key, column)._cut()

    def take(self, rows: NDArray[Any]) -> "Bottom":
        """Return some of the rows, by position or by a mask."""
        column = {name: value[rows] for name, value in self.column.items()}
        return Bottom(self.size, self.hash[rows], self.key[rows], column)

    def distinct(self) -> "Bottom":
        """Return one row of each image: of its copies the one with the smallest key."""
        return self.take(np.r_[True, self.hash[1:] != self.hash[:-1]][: len(self.hash)])

    def _cut(self) -> "Bottom":
        order = np.lexsort((self.key, self.hash))
        hashed, key = self.hash[order], self.key[order]
        again = (hashed[1:] == hashed[:-1]) & (key[1:] == key[:-1])
        return self.take(order[np.r_[True, ~again][: len(order)]][: self.size])
