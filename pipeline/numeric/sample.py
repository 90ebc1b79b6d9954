"""A bounded random sample of each class, drawn by hash: the same rows however they arrive."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sample:
    """The `size` rows of each class with the smallest hashes.

    Examples
    --------
    >>> rows = Sample.of(1, np.array([0, 0, 1]), np.array([5, 3, 9], np.uint64),
    ...                  np.arange(3, dtype=np.uint64), np.eye(3, dtype=np.float16))
    >>> rows.hash, rows.merge(rows).label
    (array([3, 9], dtype=uint64), array([0, 1]))
    """

    size: int
    """Rows kept per class."""
    label: NDArray[np.int64]
    """`(m,)` classes, in rising order."""
    hash: NDArray[np.uint64]
    """`(m,)` hash of the image."""
    key: NDArray[np.uint64]
    """`(m,)` name of the row: copies of an image differ in it."""
    vector: NDArray[np.float16]
    """`(m, v)` what is carried along with each row."""

    @classmethod
    def of(
        cls,
        size: int,
        label: NDArray[np.integer],
        hash: NDArray[np.uint64],  # noqa: A002  # the field's name
        key: NDArray[np.uint64],
        vector: NDArray[np.float16],
    ) -> "Sample":
        """Return the sample of a batch; rows with a negative label are left out."""
        seen = label >= 0
        return cls(size, label[seen].astype(np.int64), hash[seen], key[seen], vector[seen])._cut()

    def merge(self, other: "Sample") -> "Sample":
        """Return the sample of both sets of rows; a row that is in both is kept once."""
        pairs = ((getattr(self, f), getattr(other, f)) for f in _COLUMNS)
        return Sample(self.size, *(np.concatenate(pair) for pair in pairs))._cut()

    def first(self, size: int) -> "Sample":
        """Return the sample that would have been drawn with a smaller size."""
        return replace(self, size=size)._cut()

    def _cut(self) -> "Sample":
        order = np.lexsort((self.key, self.hash, self.label))
        label, hashed, key = self.label[order], self.hash[order], self.key[order]
        again = (np.diff(label) == 0) & (hashed[1:] == hashed[:-1]) & (key[1:] == key[:-1])
        order = order[np.r_[True, ~again][: len(order)]]
        label = self.label[order]
        place = np.arange(len(order)) - np.searchsorted(label, label, side="left")
        keep = order[place < self.size]
        return Sample(self.size, *(getattr(self, f)[keep] for f in _COLUMNS))


_COLUMNS = ("label", "hash", "key", "vector")
