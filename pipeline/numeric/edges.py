"""Rows with their nearest others: what is found in one part of a corpus, joined with the next."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Edges:
    """The nearest others of `n` rows, nearest first; what is missing stands last.

    Joining is associative and commutative: among equally near ones the smaller name goes first.

    Examples
    --------
    >>> cosine, place = np.array([[0.9, 0.5], [0.7, -np.inf]]), np.array([[1, 0], [0, -1]])
    >>> one = Edges.of(cosine, place, np.array([4, 5]), np.array([0, 1]))
    >>> one.key, one.label, one.mean().round(2)
    (array([[5, 4],
           [4, 0]], dtype=uint64), array([[ 1,  0],
           [ 0, -1]]), array([0.7, 0.7]))
    >>> nine = np.full((2, 1), 9, np.uint64)
    >>> one.join(Edges(nine, np.array([[0.8], [0.9]]), np.full((2, 1), 2)), 2).key
    array([[5, 9],
           [9, 4]], dtype=uint64)
    """

    key: NDArray[np.uint64]
    """`(n, s)` names of the others; 0 where there is none."""
    similarity: NDArray[np.float32]
    """`(n, s)` their cosines; -1 where there is none."""
    label: NDArray[np.int64]
    """`(n, s)` their labels; -1 where there is none."""

    @classmethod
    def of(
        cls,
        similarity: NDArray[np.floating],
        place: NDArray[np.int64],
        key: NDArray[np.uint64],
        label: NDArray[np.int64],
    ) -> "Edges":
        """Return what a search has found.

        Parameters
        ----------
        similarity
            `(n, s)` cosines, of any value where nothing was found.
        place
            `(n, s)` positions in the rows searched, -1 where nothing was found.
        key, label
            `(m,)` names and labels of the rows searched.
        """
        found = place >= 0
        names = np.zeros(place.shape, np.uint64)
        names[found] = key[place[found]]
        given = np.full(place.shape, -1, np.int64)
        given[found] = label[place[found]]
        return cls(names, np.where(found, similarity, -1.0).astype(np.float32), given)

    def only(self, wanted: NDArray[np.bool_]) -> "Edges":
        """Return the same rows, without others but for some."""
        kept = wanted[:, None]
        return Edges(
            np.where(kept, self.key, np.uint64(0)),
            np.where(kept, self.similarity, np.float32(-1.0)),
            np.where(kept, self.label, -1),
        )

    def join(self, other: "Edges", size: int) -> "Edges":
        """Return the `size` nearest of both, which were found among different rows."""
        pairs = ((self.key, other.key), (self.similarity, other.similarity))
        key, similarity = (np.concatenate(pair, axis=1) for pair in pairs)
        label = np.concatenate([self.label, other.label], axis=1)
        order = np.lexsort((key, np.negative(similarity)), axis=1)[:, :size]
        taken = (np.take_along_axis(value, order, axis=1) for value in (key, similarity, label))
        return Edges(*taken)

    def count(self) -> NDArray[np.int64]:
        """Return how many others each of the `(n,)` rows has."""
        return np.asarray((self.similarity > -1.0).sum(axis=1))

    def mean(self) -> NDArray[np.float64]:
        """Return the `(n,)` mean cosines to the others; 1 for a row without any."""
        found = self.similarity > -1.0
        total = np.where(found, self.similarity, 0.0).sum(axis=1, dtype=np.float64)
        return np.where(found.any(axis=1), total / np.maximum(found.sum(axis=1), 1), 1.0)
