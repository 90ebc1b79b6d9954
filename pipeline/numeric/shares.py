"""Class probabilities of rows, as far as they are listed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-6
"""Probabilities nearer than this are the same."""
NEVER = 2.0
"""Threshold of a class that nothing is labelled: no probability reaches it."""


@dataclass(frozen=True)
class Shares:
    """Labels of rows, and the probabilities of their likeliest classes; all others are 0.

    Examples
    --------
    >>> rows = Shares.of(
    ...     np.arange(2, dtype=np.uint64), np.array([2, 1]), np.array([0.1, 0.3], np.float32),
    ...     np.array([[1, 0], [0, 1]]), np.array([[0.5, 0.4], [0.6, 0.3]], np.float32))
    >>> rows.kind.tolist(), rows.confident(np.array([0.4, 0.7, 0.05])).tolist()
    ([[1, 0, 2], [0, 1, -1]], [1, 0])
    """

    key: NDArray[np.uint64]
    """`(n,)` names of the rows, by which equal values are told apart."""
    label: NDArray[np.int64]
    """`(n,)` classes in `[0, k)`."""
    own: NDArray[np.float32]
    """`(n,)` probabilities of the labels."""
    kind: NDArray[np.int64]
    """`(n, m)` classes, the likeliest first; -1 where there are fewer."""
    share: NDArray[np.float32]
    """`(n, m)` their probabilities, falling."""

    @classmethod
    def of(
        cls,
        key: NDArray[np.uint64],
        label: NDArray[np.int64],
        own: NDArray[np.float32],
        kind: NDArray[np.int64],
        share: NDArray[np.float32],
    ) -> "Shares":
        """Return the rows with each label listed last if it is not among the likeliest."""
        is_own = kind == label[:, None]
        listed = is_own.any(axis=1)
        exact = np.where(listed, (share * is_own).sum(axis=1), own).astype(np.float32)
        kind = np.c_[kind, np.where(listed, -1, label)]
        return cls(key, label, exact, kind, np.c_[share, np.where(listed, np.float32(0), exact)])

    @property
    def rival(self) -> NDArray[np.float32]:
        """Return the `(n,)` largest probabilities of a class that is not the label."""
        other = np.where(self.kind == self.label[:, None], np.float32(0), self.share)
        return np.asarray(other.max(axis=1, initial=0.0))

    @property
    def margin(self) -> NDArray[np.float32]:
        """Return the `(n,)` probabilities of the labels minus those of their rivals."""
        return np.asarray(self.own - self.rival)

    @property
    def agrees(self) -> NDArray[np.bool_]:
        """Return which of the `(n,)` labels are also the likeliest class."""
        return np.asarray(self.own.astype(np.float64) + TOLERANCE >= self.rival)

    def confident(self, threshold: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the `(n,)` classes that rows confidently are of, given `(k,)` thresholds.

        The one class that reaches its threshold; of several the likeliest class of all, even if
        that one does not reach its own; -1 if none does.
        """
        least = np.r_[threshold, NEVER][self.kind] - TOLERANCE
        reaches = self.share.astype(np.float64) >= least
        num, rows = reaches.sum(axis=1), np.arange(len(self.kind))
        only = self.kind[rows, reaches.argmax(axis=1)]
        return np.where(num > 1, self.kind[:, 0], np.where(num == 1, only, -1))
