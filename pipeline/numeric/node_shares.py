"""Class shares of the rows of a graph, in a few classes each, and of any row beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.numeric.graph import link

TOP = 8
"""Classes kept for a row of a graph."""
BLOCK = 4_000_000
"""Numbers that are held in one dense block."""


@dataclass(frozen=True)
class NodeShares:
    """What each row of a graph says of the classes, once per fold that has not told it.

    Examples
    --------
    >>> key, matrix = np.array([3, 5], np.uint64), sparse.csr_array(np.array([[0.9, 0], [0, 0.5]]))
    >>> nodes = NodeShares.of(key, [matrix])
    >>> near, cosine = np.array([[5, 3]], np.uint64), np.array([[1.0, 0.5]])
    >>> nodes.around(near, cosine, np.zeros(1, int), 2).round(4)
    array([[0.1   , 0.4444]])
    """

    key: NDArray[np.uint64]
    """`(m,)` names of the rows, rising."""
    kind: NDArray[np.int32]
    """`(f, m, t)` classes."""
    share: NDArray[np.float32]
    """`(f, m, t)` shares of these classes, falling; 0 where there are fewer."""

    @classmethod
    def of(cls, key: NDArray[np.uint64], matrices: Sequence[sparse.csr_array]) -> "NodeShares":
        """Keep the largest shares of one `(m, k)` matrix per fold."""
        kept = [largest(matrix) for matrix in matrices]
        share = np.stack([s for _, s in kept]).astype(np.float32)
        return cls(key, np.stack([k for k, _ in kept]), share)

    def around(
        self,
        near: NDArray[np.uint64],
        similarity: NDArray[np.floating],
        fold: NDArray[np.integer],
        num_classes: int,
    ) -> NDArray[np.float64]:
        """Return the mean shares of neighbours, by weight.

        Parameters
        ----------
        near
            `(n, s)` keys of the neighbours.
        similarity
            `(n, s)` their cosines.
        fold
            `(n,)` folds: what is said of a row must not stem from it.
        num_classes
            `k`.

        Returns
        -------
        `(n, k)`; zeros for a row without neighbours in the graph.
        """
        weight = link(self.key, near, similarity)
        total = weight.sum(axis=1)
        value = np.zeros((len(near), num_classes))
        for f in range(len(self.kind)):
            rows = np.flatnonzero(fold == f)
            if len(rows):
                value[rows] = (weight[rows] @ self.matrix(f, num_classes)).toarray()
        return value / np.where(total > 0, total, 1.0)[:, None]

    def matrix(self, fold: int, num_classes: int) -> sparse.csr_array:
        """Return the `(m, k)` shares of a fold."""
        num_rows, size = self.kind.shape[1:]
        start = np.arange(num_rows + 1) * size
        value = self.share[fold].astype(np.float64).ravel(), self.kind[fold].ravel(), start
        return sparse.csr_array(value, shape=(num_rows, num_classes))


def largest(
    matrix: sparse.csr_array, size: int = TOP
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the columns and values of the `size` largest entries of each row, falling.

    Examples
    --------
    >>> largest(sparse.csr_array(np.array([[0.0, 3.0, 1.0, 2.0]])), 2)
    (array([[1, 3]], dtype=int32), array([[3., 2.]]))
    """
    num_rows, num_columns = matrix.shape
    size = min(size, num_columns)
    kind, value = np.zeros((num_rows, size), np.int32), np.zeros((num_rows, size))
    step = max(1, BLOCK // max(num_columns, 1))
    for start in range(0, num_rows, step):
        block = matrix[start : start + step].toarray()
        few = np.sort(np.argpartition(-block, size - 1, axis=1)[:, :size], axis=1)
        order = np.argsort(-np.take_along_axis(block, few, 1), axis=1, kind="stable")
        best = np.take_along_axis(few, order, axis=1)
        kind[start : start + step] = best
        value[start : start + step] = np.take_along_axis(block, best, axis=1)
    return kind, value
