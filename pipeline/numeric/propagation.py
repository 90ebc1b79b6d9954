"""Labels smoothed over a graph: what a row is called, drawn to what its neighbours are called."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import softmax

from pipeline.numeric.graph import Graph, one_hot
from pipeline.numeric.node_shares import NodeShares, largest
from pipeline.numeric.prototypes import unit

Near = tuple[NDArray[np.uint64], NDArray[np.float32]]
"""`(n, s)` keys of the neighbours of rows, and their cosines."""
FLOOR = 0.05
"""Share of the prior in the shares of a row."""


@dataclass(frozen=True)
class Smoothed:
    """Denoised labels of the rows of a graph, and prototypes of what they have become."""

    nodes: NodeShares
    """Once per fold, whose labels are hidden."""
    prototype: NDArray[np.float32]
    """`(f, k, d)` unit means of the denoised classes, centred."""
    mean: NDArray[np.float32]
    """`(d,)` mean image."""

    @classmethod
    def of(cls, graph: Graph, shares: list[sparse.csr_array]) -> "Smoothed":
        """Return the prototypes of `(m, k)` denoised labels, one matrix per fold."""
        image = graph.row.column["image"].astype(np.float32)
        mean = image.sum(axis=0) / max(len(image), 1)
        prototype = np.stack([unit(s.T @ (image - mean)) for s in shares]).astype(np.float32)
        return cls(NodeShares.of(graph.row.key, shares), prototype, mean)

    def mix(
        self,
        image: NDArray[np.floating],
        near: Near,
        fold: NDArray[np.integer],
        graph_share: float,
        temperature: float,
    ) -> NDArray[np.float64]:
        """Return `(n, k)` class shares of any rows, of their neighbours and prototypes.

        Parameters
        ----------
        image
            `(n, d)` rows.
        near
            Their neighbours.
        fold
            `(n,)` their folds.
        graph_share
            Weight of the neighbours; the rest, and all where there is none, is the prototypes'.
        temperature
            Of the softmax over centred cosines to the prototypes. Centred: else all are alike.
        """
        num_classes, centred = self.prototype.shape[1], unit(image - self.mean)
        cosine = np.zeros((len(image), num_classes))
        for f in range(len(self.prototype)):
            cosine[fold == f] = centred[fold == f] @ self.prototype[f].T
        around = self.nodes.around(*near, fold, num_classes)
        total = around.sum(axis=1, keepdims=True)
        mixed = graph_share * around / np.where(total > 0, total, 1.0)
        rest = 1.0 - graph_share * (total > 0)
        return np.asarray(mixed + rest * softmax(cosine / temperature, axis=1))


def denoise(
    transition: sparse.csr_array,
    label: NDArray[np.integer],
    num_classes: int,
    num_steps: int,
    keep: float,
) -> sparse.csr_array:
    """Return labels after some steps `Y <- keep Y + (1 - keep) A Y` from indicators.

    Chen et al. 2024, "ERASE: error-resilient representation learning on graphs for label noise
    tolerance", its structural denoising. Of a row the largest shares are kept at each step.

    Parameters
    ----------
    transition
        `(m, m)` rows that sum to 1, or to 0 for a row without edges.
    label
        `(m,)` classes, -1 where there is none: such a row says nothing until it is told.
    num_classes
        `k`.
    num_steps
        How far a label can reach, in edges.
    keep
        Share of a row's own say, per step.

    Returns
    -------
    `(m, k)` shares that sum to at most 1.

    Examples
    --------
    >>> pair = sparse.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> denoise(pair, np.array([0, -1]), 2, 1, 0.6).toarray()
    array([[0.6, 0. ],
           [0.4, 0. ]])
    """
    value = one_hot(label, num_classes)
    for _ in range(num_steps):
        value = _cut(sparse.csr_array(keep * value + (1.0 - keep) * (transition @ value)))
    return value


def _cut(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return the matrix with its largest entries of each row."""
    kind, value = largest(matrix)
    start = np.arange(len(kind) + 1) * kind.shape[1]
    entry = value.ravel(), kind.ravel(), start
    kept = sparse.csr_array(entry, shape=matrix.shape)
    kept.eliminate_zeros()
    return kept


def over_prior(share: NDArray[np.floating], prior: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return `(n, k)` logs of how much more a row is of each class than any row is.

    Smoothing drowns a rare class among the neighbours that any row has: its share is small, but
    not over its prior. Nothing is ruled out by a few neighbours, nor by none.

    Examples
    --------
    >>> over_prior(np.array([[0.7, 0.3], [0.0, 0.0]]), np.array([0.95, 0.05])).argmax(axis=1)
    array([1, 0])
    """
    return np.asarray(np.log((1.0 - FLOOR) * share / prior + FLOOR))
