"""Nearest neighbours by inner product: the only file that knows FAISS."""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

FLAT_ROWS = 50_000
"""Above this many vectors an inverted file replaces the exhaustive index, unless told."""


def build_index(vector: NDArray[np.floating], flat_rows: int = FLAT_ROWS) -> NDArray[np.uint8]:
    """Return the serialised inner-product index of some vectors.

    Parameters
    ----------
    vector
        `(m, d)` rows.
    flat_rows
        Up to so many rows the index is exhaustive, and what it finds exact.

    Examples
    --------
    >>> sim, place = search(build_index(np.eye(3)), np.eye(3)[:1], 1)
    >>> sim, place
    (array([[1.]], dtype=float32), array([[0]]))
    """
    rows = np.ascontiguousarray(vector, dtype=np.float32)
    index: Any = faiss.IndexFlatIP(rows.shape[1])
    if len(rows) > flat_rows:
        index = _inverted_file(index, len(rows))
        index.train(rows)
    index.add(rows)
    return faiss.serialize_index(index)


def _inverted_file(quantizer: Any, num_rows: int) -> Any:
    """Return an untrained inverted file that searches about 3 % of its rows."""
    cells = int(4 * np.sqrt(num_rows))
    metric = faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexIVFFlat(quantizer, quantizer.d, cells, metric)
    index.own_fields = True
    quantizer.this.disown()
    index.nprobe = max(8, cells // 32)
    return index


def search(
    index: NDArray[np.uint8], query: NDArray[np.floating], size: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the similarities and positions of the `size` nearest vectors of each query.

    Returns
    -------
    Two `(n, size)` arrays, nearest first; missing neighbours have position -1 and
    similarity `-inf`.
    """
    found = faiss.deserialize_index(np.ascontiguousarray(index, dtype=np.uint8))
    rows = np.ascontiguousarray(query, dtype=np.float32)
    if not len(rows):
        return np.empty((0, size), np.float32), np.empty((0, size), np.int64)
    similarity, place = found.search(rows, size)
    return np.where(place < 0, -np.inf, similarity).astype(np.float32), place.astype(np.int64)


def search_others(
    index: NDArray[np.uint8],
    query: NDArray[np.floating],
    size: int,
    name: tuple[NDArray[np.uint64], NDArray[np.uint64]],
    spare: int = 8,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the nearest vectors of each query that do not bear its own name.

    A row is told apart from its neighbours by name, never by rank: an exact copy may stand
    before it.

    Parameters
    ----------
    index
        From `build_index`.
    query
        `(n, d)` rows.
    size
        Neighbours wanted.
    name
        `(n,)` names of the queries and `(m,)` names of the indexed vectors.
    spare
        Neighbours searched in addition, to make up for those that bear the same name.

    Examples
    --------
    >>> rows, name = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([7, 7, 8])
    >>> search_others(build_index(rows), rows, 1, (name, name))[1][:2].ravel().tolist()
    [2, 2]
    """
    similarity, place = search(index, query, size + spare)
    own = name[1][place] == name[0][:, None] if len(name[1]) else np.ones(place.shape, bool)
    gone = own | (place < 0)
    order = np.argsort(gone, axis=1, kind="stable")[:, :size]
    place = np.where(np.take_along_axis(gone, order, 1), -1, np.take_along_axis(place, order, 1))
    return np.where(place < 0, -np.inf, np.take_along_axis(similarity, order, 1)), place


def similarity_weight(similarity: NDArray[np.floating], temperature: float) -> NDArray[np.float32]:
    """Return weights `exp(similarity / temperature)`, normalised per row; zeros if all are absent.

    Examples
    --------
    >>> similarity_weight(np.array([[0.9, -np.inf], [-np.inf, -np.inf]]), 0.1)
    array([[1., 0.],
           [0., 0.]], dtype=float32)
    """
    best = similarity.max(axis=1, keepdims=True, initial=-np.inf)
    weight = np.exp((similarity - np.where(np.isfinite(best), best, 0.0)) / temperature)
    total = weight.sum(axis=1, keepdims=True)
    return (weight / np.where(total > 0, total, 1.0)).astype(np.float32)
