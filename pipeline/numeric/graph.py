"""A bounded graph: the rows of a sample, and edges between those that are near each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.numeric.bottom import Bottom

POWER = 3
"""Exponent of cosines: what is a little further off counts much less."""


@dataclass(frozen=True)
class Graph:
    """Rows of a sample in the order of their keys, and what links them.

    Examples
    --------
    >>> key, near = np.array([7, 8, 9], np.uint64), np.array([[8], [9], [5]], np.uint64)
    >>> column = {"near": near, "similarity": np.array([[1.0], [0.5], [0.9]])}
    >>> Graph.of(Bottom.of(3, key, key, column)).edge.toarray()
    array([[0.    , 0.5   , 0.    ],
           [0.5   , 0.    , 0.0625],
           [0.    , 0.0625, 0.    ]])
    """

    row: Bottom
    """`m` rows, each of another image, keys rising."""
    edge: sparse.csr_array
    """`(m, m)` symmetric weights, none from a row to itself."""

    @classmethod
    def of(cls, sample: Bottom) -> "Graph":
        """Link the rows of a sample that carries the columns `near` and `similarity`.

        An edge has the mean weight of its two directions: mutual neighbours count twice.
        Neighbours that are not in the sample are left out.
        """
        row = sample.distinct()
        row = row.take(np.argsort(row.key, kind="stable"))
        one_way = link(row.key, row.column["near"], row.column["similarity"])
        edge = sparse.csr_array((one_way + one_way.T) / 2.0)
        edge.setdiag(0.0)
        edge.eliminate_zeros()
        return cls(row, edge)

    @property
    def transition(self) -> sparse.csr_array:
        """Return the `(m, m)` weights over their sums per row; a row without edges keeps none."""
        degree = self.edge.sum(axis=1)
        inverse = np.where(degree > 0, 1.0 / np.where(degree > 0, degree, 1.0), 0.0)
        return sparse.csr_array(sparse.diags_array(inverse) @ self.edge)


def link(
    key: NDArray[np.uint64], near: NDArray[np.uint64], similarity: NDArray[np.floating]
) -> sparse.csr_array:
    """Return the weights of neighbours that are among the rows of a graph.

    Parameters
    ----------
    key
        `(m,)` keys of the graph, rising.
    near
        `(n, s)` keys of the neighbours of any rows.
    similarity
        `(n, s)` their cosines; those below 0 are no neighbours.

    Returns
    -------
    `(n, m)` weights `max(0, cosine)^3`.

    Examples
    --------
    >>> link(np.array([4, 6]), np.array([[6, 5]]), np.array([[1.0, 0.9]])).toarray()
    array([[0., 1.]])
    """
    place = np.searchsorted(key, near).clip(max=max(len(key) - 1, 0))
    known = (key[place] == near) & (similarity > 0) if len(key) else np.zeros(near.shape, bool)
    weight = similarity[known].astype(np.float64) ** POWER
    start = np.r_[0, np.cumsum(known.sum(axis=1))]
    linked = sparse.csr_array((weight, place[known], start), shape=(len(near), len(key)))
    linked.sum_duplicates()
    return linked


def one_hot(label: NDArray[np.integer], num_classes: int) -> sparse.csr_array:
    """Return `(m, k)` indicators of `(m,)` labels; no entry for a negative one.

    Examples
    --------
    >>> one_hot(np.array([1, -1]), 2).toarray()
    array([[0., 1.],
           [0., 0.]])
    """
    seen = np.flatnonzero(label >= 0)
    shape = (len(label), num_classes)
    return sparse.csr_array((np.ones(len(seen)), (seen, label[seen])), shape=shape)
