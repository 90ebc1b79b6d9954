"""Counts of whole rows of small integers: what a latent-class model needs of a corpus."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ABSTAIN = -1
"""A vote for no class."""
OTHER = -1
"""The candidate that stands for every class without a vote."""
DENSE = 32
"""Classes up to which each is a candidate everywhere, with accuracies of its own."""


@dataclass(frozen=True)
class Patterns:
    """How often each combination of votes occurs: a bounded number of combinations, exactly.

    Of more than `size` combinations those are kept in which all voters agree, and of the others
    the ones with the smallest hashes: a random share of them, which `weight` makes up for. Which
    ones are kept does not depend on the order in which they arrive.

    Examples
    --------
    >>> votes = Patterns.of(10, np.array([[0, 0], [0, 1], [0, 0]]))
    >>> both = votes.merge(votes)
    >>> both.vote.tolist(), both.count
    ([[0, 0], [0, 1]], array([4., 2.]))
    """

    size: int
    """Combinations kept at most."""
    vote: NDArray[np.int64]
    """`(p, m)` distinct combinations; -1 abstains."""
    count: NDArray[np.float64]
    """`(p,)` rows of each."""
    is_cut: bool
    """Whether combinations have been left out."""

    @classmethod
    def of(cls, size: int, vote: NDArray[np.integer]) -> "Patterns":
        """Count `(n, m)` votes, each -1 or a small number."""
        whole = np.asarray(vote, np.int64)
        return cls(size, whole, np.ones(len(whole)), is_cut=False)._cut()

    def merge(self, other: "Patterns") -> "Patterns":
        """Return the counts of both sets of rows."""
        vote, count = np.vstack([self.vote, other.vote]), np.r_[self.count, other.count]
        return Patterns(self.size, vote, count, self.is_cut or other.is_cut)._cut()

    @property
    def weight(self) -> NDArray[np.float64]:
        """Return the `(p,)` counts, raised for the combinations that were left out."""
        split, hashed = self._split(), _hash(self.vote)
        if not self.is_cut or not split.any():
            return self.count
        share = float(hashed[split].max()) / 2.0**64
        return np.where(split, self.count / max(share, 1e-9), self.count)

    def _split(self) -> NDArray[np.bool_]:
        """Return which combinations have voters that disagree."""
        most = self.vote.max(axis=1, initial=ABSTAIN)[:, None]
        return np.any((self.vote != most) & (self.vote != ABSTAIN), axis=1)

    def _cut(self) -> "Patterns":
        if not len(self.vote):
            return self
        vote, which = np.unique(self.vote, axis=0, return_inverse=True)
        count = np.bincount(which.ravel(), self.count).astype(np.float64)
        every = Patterns(self.size, vote, count, self.is_cut)
        if len(vote) <= self.size:
            return every
        order = np.sort(np.lexsort((_hash(vote), every._split()))[: self.size])
        return Patterns(self.size, vote[order], count[order], is_cut=True)


def _hash(vote: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return `(p,)` well mixed hashes of combinations (splitmix64 over their columns)."""
    state = np.full(len(vote), 0x9E3779B97F4A7C15, np.uint64)
    for column in vote.T:
        state = state ^ (column + 2).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state


def candidates(
    vote: NDArray[np.int64], num_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the `(n, c)` classes that rows may be of, and which of them stand there already.

    Examples
    --------
    >>> candidates(np.array([[7, 7, ABSTAIN]]), 100)
    (array([[ 7,  7, -1, -1]]), array([[False,  True, False,  True]]))
    """
    if num_classes <= DENSE:
        every = np.tile(np.arange(num_classes), (len(vote), 1))
        return every, np.zeros(every.shape, bool)
    listed = np.column_stack([vote, np.full(len(vote), OTHER)])
    same = listed[:, :, None] == listed[:, None, :]
    return listed, np.any(np.tril(same, -1), axis=2)
