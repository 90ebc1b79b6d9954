"""Confident learning from sums: the threshold of each class, and the joint of label and class.

Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
equations 2 to 4. The finer rules (tolerances, rounding) are those of the cleanlab library.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.counter import Counter
from pipeline.numeric.shares import NEVER, TOLERANCE


@dataclass(frozen=True)
class SelfConfidence:
    """Sum of the probabilities of the labels, per class.

    Examples
    --------
    >>> own = SelfConfidence.of(np.array([0, 0, 2]), np.array([0.5, 1.0, 0.25]), 3)
    >>> own.merge(own).threshold
    array([0.75, 2.  , 0.25])
    """

    total: NDArray[np.float64]
    """`(k,)` sums of probabilities."""
    count: NDArray[np.int64]
    """`(k,)` rows."""

    @classmethod
    def of(
        cls, label: NDArray[np.integer], own: NDArray[np.floating], num_classes: int
    ) -> "SelfConfidence":
        """Sum the `(n,)` probabilities of the labels of a batch."""
        total = np.bincount(label, own, num_classes).astype(np.float64)
        return cls(total, np.bincount(label, minlength=num_classes))

    def merge(self, other: "SelfConfidence") -> "SelfConfidence":
        """Return the sums over both sets of rows."""
        return SelfConfidence(self.total + other.total, self.count + other.count)

    @property
    def threshold(self) -> NDArray[np.float64]:
        """Return the `(k,)` mean probabilities of a class among the rows labelled so."""
        mean = self.total / np.maximum(self.count, 1)
        return np.maximum(np.where(self.count > 0, mean, NEVER), 2.0 * TOLERANCE)


@dataclass(frozen=True)
class Joint:
    """Counts of pairs of a label and a confident class, as codes `label * k + class`.

    Examples
    --------
    >>> label, confident = np.array([0, 0, 0, 1]), np.array([0, 0, 1, -1])
    >>> Joint.of(label, confident, 2).calibrate(np.array([4, 6])).dense()
    array([[3, 1],
           [0, 6]])
    """

    num_classes: int
    """`k`."""
    pair: NDArray[np.int64]
    """`(m,)` codes of the pairs that occur, rising."""
    count: NDArray[np.int64]
    """`(m,)` rows of each."""

    @classmethod
    def of(
        cls, label: NDArray[np.integer], confident: NDArray[np.integer], num_classes: int
    ) -> "Joint":
        """Count a batch; rows confident in nothing are left out."""
        some = confident >= 0
        counter = Counter.of(label[some].astype(np.int64) * num_classes + confident[some])
        return cls(num_classes, counter.code, counter.count)

    def merge(self, other: "Joint") -> "Joint":
        """Return the counts over both sets of rows."""
        both = Counter(self.pair, self.count).merge(Counter(other.pair, other.count))
        return Joint(self.num_classes, both.code, both.count)

    @property
    def is_diagonal(self) -> NDArray[np.bool_]:
        """Return which of the `(m,)` pairs are a class with itself."""
        return np.asarray(self.pair % (self.num_classes + 1) == 0)

    def calibrate(self, num_rows: NDArray[np.integer]) -> "Joint":
        """Return the joint of all rows, given how many have each label.

        Every class gets one right row at least; each label's counts are scaled to its `(k,)`
        rows, and rounded so that they still add up to them.
        """
        least = np.arange(self.num_classes) * (self.num_classes + 1)
        pair = np.union1d(self.pair, least)
        count = Counter(self.pair, self.count).get(pair)
        count = np.where(np.isin(pair, least, assume_unique=True), np.maximum(count, 1), count)
        label = pair // self.num_classes
        total = np.bincount(label, count, self.num_classes)[label]
        scaled = count / total * num_rows[label]
        scaled = scaled / max(scaled.sum(), 1e-100) * num_rows.sum()
        starts = np.searchsorted(label, np.arange(1, self.num_classes))
        whole = np.concatenate([round_to_sum(row) for row in np.split(scaled, starts)])
        return Joint(self.num_classes, pair, whole)

    def keep_one(self) -> "Joint":
        """Return the joint in which every label keeps a right row.

        Where none is right, each wrong count gives up one.
        """
        right = self.count[self.is_diagonal]
        gives = (right[self.pair // self.num_classes] < 1) & ~self.is_diagonal
        count = np.where(self.is_diagonal, np.maximum(self.count, 1), self.count - gives)
        return Joint(self.num_classes, self.pair, np.maximum(count, 0))

    def dense(self) -> NDArray[np.int64]:
        """Return the `(k, k)` counts, labels down and classes across."""
        matrix = np.zeros(self.num_classes**2, np.int64)
        matrix[self.pair] = self.count
        return matrix.reshape(self.num_classes, self.num_classes)


def round_to_sum(value: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round numbers so that they add up to their rounded sum; what was rounded most gives way.

    Of alike remainders the last rises first and the first falls first.

    Examples
    --------
    >>> round_to_sum(np.array([1.4, 1.4, 3.2])).tolist()
    [1, 2, 3]
    """
    whole = value.round()
    missing = int(value.sum().round() - whole.sum())
    order = np.argsort(value - whole, kind="stable")
    if missing > 0:
        whole[order[::-1][:missing]] += 1
    elif missing < 0:
        whole[order[:-missing]] -= 1
    return whole.astype(np.int64)
