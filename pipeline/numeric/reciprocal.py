"""Distances re-ranked by shared reciprocal neighbours, on a bounded set, kept sparse."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.numeric.neighbours import build_index, search_others

LARGEST = 4.0
"""Largest squared distance of unit vectors, in the place of each row's own maximum."""


def reciprocal_distance(
    embedding: NDArray[np.floating],
    query: int,
    near: int = 20,
    expand: int = 6,
    blend: float = 0.3,
) -> NDArray[np.float32]:
    """Return the re-ranked distance of every row to the row `query`.

    Zhong et al. 2017, "Re-ranking person re-identification with k-reciprocal encoding",
    equations 3-12, with squared distances divided by 4 and not by each row's maximum, so
    that the distance of two rows depends on their neighbourhoods alone.

    Parameters
    ----------
    embedding
        `(m, d)` unit rows, the query among them.
    query
        Its position.
    near, expand
        `k1` and `k2` of the paper.
    blend
        Share of the plain distance, `lambda` of the paper.

    Returns
    -------
    `(m,)` float32 in [0, 1]; smaller is nearer.

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]])
    >>> reciprocal_distance(rows, 0, near=1, expand=1).argsort().tolist()
    [0, 1, 2]
    """
    rows = np.asarray(embedding, dtype=np.float32)
    nearest = _nearest_first(rows, min(near, len(rows) - 1))
    encoded = _encode(rows, nearest, near)
    smoothed = _member(nearest[:, :expand]) @ encoded / min(expand, nearest.shape[1])
    target = smoothed[[query]]
    shared = smoothed[:, target.indices].minimum(
        sparse.csr_array(np.tile(target.data, (len(rows), 1)))
    )
    overlap = np.asarray(shared.sum(axis=1)).ravel()
    jaccard = 1.0 - overlap / (2.0 - overlap)
    plain = np.maximum(2.0 - 2.0 * rows @ rows[query], 0.0) / LARGEST
    return ((1.0 - blend) * jaccard + blend * plain).clip(0.0, 1.0).astype(np.float32)


def _nearest_first(rows: NDArray[np.float32], near: int) -> NDArray[np.int64]:
    """Return the `(m, near + 1)` nearest rows of each row, itself first."""
    name = np.arange(len(rows), dtype=np.uint64)
    _, place = search_others(build_index(rows), rows, near, (name, name), spare=1)
    return np.column_stack([np.arange(len(rows)), place])


def _member(place: NDArray[np.int64]) -> sparse.csr_array:
    """Return the `(m, m)` 0/1 matrix of neighbour lists."""
    row = np.repeat(np.arange(len(place)), place.shape[1])[place.ravel() >= 0]
    column = place.ravel()[place.ravel() >= 0]
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=(len(place),) * 2)


def _encode(rows: NDArray[np.float32], nearest: NDArray[np.int64], near: int) -> sparse.csr_array:
    """Return `(m, m)` weights of each row's expanded reciprocal neighbours, rows summing to 1."""
    full, half = _member(nearest), _member(nearest[:, : round(near / 2) + 1])
    full, half = full.multiply(full.T).tocsr(), half.multiply(half.T).tocsr()
    overlap = (full @ half.T).multiply(full).tocoo()
    size = np.asarray(half.sum(axis=1)).ravel()
    joins = overlap.data > 2.0 / 3.0 * size[overlap.col]
    joined = sparse.csr_array(
        (np.ones(int(joins.sum())), (overlap.row[joins], overlap.col[joins])), shape=full.shape
    )
    support = (full + joined @ half).tocoo()
    squared = 2.0 - 2.0 * np.einsum("nd,nd->n", rows[support.row], rows[support.col])
    value = np.exp(-np.maximum(squared, 0.0) / LARGEST)
    weight = sparse.csr_array((value, (support.row, support.col)), shape=full.shape)
    return sparse.csr_array(weight / np.asarray(weight.sum(axis=1)).reshape(-1, 1))
