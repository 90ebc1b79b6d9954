"""Votes of neighbours for classes, without a matrix of rows by classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Votes:
    """What the labels of the neighbours say of each row; a row has no vote in its own case.

    Examples
    --------
    >>> votes = Votes.of(np.array([[1, 2, 1], [0, -1, 0]]), np.array([[0.5, 0.75, 0.5], [1, 1, 1]]))
    >>> votes.winner, votes.share(votes.winner).round(2)
    (array([1, 0]), array([0.57, 1.  ]))
    """

    label: NDArray[np.int64]
    """`(n, m)` labels of the neighbours, nearest first; -1 without one."""
    weight: NDArray[np.float64]
    """`(n, m)` votes, 0 where there is no label."""
    tally: NDArray[np.float64]
    """`(n, m)` all votes for the class of each neighbour."""

    @classmethod
    def of(cls, label: NDArray[np.integer], weight: NDArray[np.floating]) -> "Votes":
        """Count `(n, m)` labels with `(n, m)` non-negative weights."""
        mass = np.where(label >= 0, weight, 0.0).astype(np.float64)
        same = label[:, :, None] == label[:, None, :]
        return cls(label.astype(np.int64), mass, np.einsum("nij,nj->ni", same, mass))

    @property
    def total(self) -> NDArray[np.float64]:
        """Return the `(n,)` sums of the votes; 0 for a row that nobody votes on."""
        return np.asarray(self.weight.sum(axis=1))

    @property
    def winner(self) -> NDArray[np.int64]:
        """Return the `(n,)` classes with most votes; of equals the nearer, -1 without votes."""
        best = self.tally.argmax(axis=1)[:, None] if self.label.shape[1] else None
        if best is None:
            return np.full(len(self.label), -1)
        return np.where(self.total > 0, np.take_along_axis(self.label, best, 1)[:, 0], -1)

    def votes_for(self, label: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the `(n,)` votes for one class per row."""
        return np.asarray((self.weight * (self.label == label[:, None])).sum(axis=1))

    def share(self, label: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the `(n,)` shares of the votes for one class per row; 0 without votes."""
        return np.asarray(self.votes_for(label) / np.where(self.total > 0, self.total, 1.0))

    def cosine(self, label: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the `(n,)` cosines of the votes to one class per row: their `u_y`, of length 1.

        Zhu et al. 2022, "Detecting corrupted labels without training a model to predict", rank
        rows by `-log u_y`. It is no probability: two classes with half the votes each have 0.71.
        """
        length = np.sqrt((self.weight * self.tally).sum(axis=1))
        return np.asarray(self.votes_for(label) / np.where(length > 0, length, 1.0))
