"""Flow diffusion of many classes at once: mass poured on seeds spreads until no row overflows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.numeric.graph import one_hot

Entries = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows and columns of the entries of a matrix."""


@dataclass(frozen=True)
class Diffusion:
    """Where the mass of each class came to rest."""

    potential: sparse.csr_array
    """`(m, k)` how much flowed through a row per unit of its degree; 0 where nothing did."""
    mass: sparse.csr_array
    """`(m, k)` at most 1 per row and class, but where `excess` is left."""
    excess: float
    """Share of the mass that had not come to rest after the last step."""


@dataclass(frozen=True)
class LabelledGraph:
    """A graph that is another one for each class: it resists between unlike labels.

    Yang et al. 2024, "Local graph clustering with noisy labels", section 3: an edge keeps its
    weight if both of its rows are labelled with the class, or neither; else it has a small part.
    """

    edge: sparse.csr_array
    """`(m, m)` symmetric weights."""
    label: NDArray[np.int64]
    """`(m,)` classes, -1 where there is none."""
    member: sparse.csr_array
    """`(m, k)` indicators of the labels."""
    total: NDArray[np.float64]
    """`(m,)` sums of the weights of each row."""
    code: NDArray[np.int64]
    """Rows times `k` plus labels of their neighbours, rising."""
    inside: NDArray[np.float64]
    """Weights of the edges of these rows to neighbours with these labels."""
    leak: float
    """Part of its weight that an edge between unlike labels keeps."""

    @classmethod
    def of(
        cls, edge: sparse.csr_array, label: NDArray[np.integer], num_classes: int, leak: float
    ) -> "LabelledGraph":
        """Weigh `(m, m)` edges by `(m,)` labels, -1 where there is none."""
        member = one_hot(label, num_classes)
        inside = sparse.csr_array(edge @ member)
        inside.sort_indices()
        row = np.repeat(np.arange(len(label), dtype=np.int64), np.diff(inside.indptr))
        code, total = row * num_classes + inside.indices, np.asarray(edge.sum(axis=1))
        return cls(edge, label.astype(np.int64), member, total, code, inside.data, leak)

    def degree(self, entry: Entries) -> NDArray[np.float64]:
        """Return the weighted degrees of rows in the graphs of classes."""
        total, like = self.total[entry[0]], np.zeros(len(entry[0]))
        if len(self.code):
            wanted = entry[0] * self.member.shape[1] + entry[1]
            place = np.searchsorted(self.code, wanted).clip(max=len(self.code) - 1)
            like = np.where(self.code[place] == wanted, self.inside[place], 0.0)
        like = np.where(self.label[entry[0]] == entry[1], like, total - like)
        return np.asarray(like + self.leak * (total - like).clip(0.0))

    def spread(self, sent: sparse.csr_array) -> sparse.csr_array:
        """Return the `(m, k)` mass that neighbours get if rows send so much per unit of weight."""
        own = sparse.csr_array(sent * self.member)
        from_own, from_other = self.edge @ own, self.edge @ (sent - own)
        turned = self.member * (from_own - from_other)
        flow = self.leak * from_own + from_other + (1.0 - self.leak) * turned
        return sparse.csr_array(flow)


def diffuse(
    graph: LabelledGraph, source: sparse.csr_array, num_steps: int = 200, tolerance: float = 1e-3
) -> Diffusion:
    """Return where mass comes to rest if each row can hold 1 of each class.

    All rows that overflow push at once what they cannot hold to their neighbours, by weight.
    That converges to the minimum of `1/2 x' L x + (1 - source)' x` over `x >= 0` per class.

    Parameters
    ----------
    graph
        What the mass spreads on.
    source
        `(m, k)` mass of the seeds of each class.
    num_steps
        Rounds of pushes at most: what bounds the work if there is more mass than room.
    tolerance
        Share of the mass that may be left over.

    Examples
    --------
    >>> path = sparse.csr_array(np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))
    >>> graph = LabelledGraph.of(path, np.zeros(3, int), 1, 0.05)
    >>> found = diffuse(graph, sparse.csr_array(np.array([[2.0], [0.0], [0.0]])))
    >>> found.potential.toarray().ravel().round(2), found.mass.toarray().ravel().round(2)
    (array([1., 0., 0.]), array([1., 1., 0.]))
    """
    mass, total = sparse.csr_array(source, dtype=np.float64), max(float(source.sum()), 1e-12)
    potential, left = sparse.csr_array(mass.shape), 0.0
    for _ in range(num_steps):
        entry, over = _overflow(mass)
        degree = graph.degree(entry)
        over = np.where(degree > 0, over, 0.0)  # a row without edges keeps what it has
        left = float(over.sum()) / total
        if left <= tolerance:
            break
        sent = _matrix(over / np.where(degree > 0, degree, 1.0), entry, mass.shape)
        potential = potential + sent
        mass = mass - _matrix(over, entry, mass.shape) + graph.spread(sent)
    return Diffusion(sparse.csr_array(potential), sparse.csr_array(mass), left)


def _overflow(mass: sparse.csr_array) -> tuple[Entries, NDArray[np.float64]]:
    """Return the entries above 1, and by how much they are."""
    flat = mass.tocoo()
    over = flat.data > 1.0
    return (flat.row[over].astype(np.int64), flat.col[over].astype(np.int64)), flat.data[over] - 1.0


def _matrix(value: NDArray[np.float64], entry: Entries, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((value, entry), shape=shape)
