"""The labels that rows may have, one or several: `(n, s)`, padded with -1 at the end."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def widened(value: NDArray[Any], size: int, missing: float) -> NDArray[Any]:
    """Return `(n, s)` values padded to `(n, size)`.

    Examples
    --------
    >>> widened(np.array([[4], [2]]), 3, -1)
    array([[ 4, -1, -1],
           [ 2, -1, -1]])
    """
    wide = np.full((len(value), size), missing, value.dtype)
    wide[:, : value.shape[1]] = value
    return wide


def narrowed(given: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return `(n, s)` labels without the last columns in which no row has any, but for one.

    Examples
    --------
    >>> narrowed(np.array([[4, 5, -1], [2, -1, -1]]))
    array([[ 4,  5],
           [ 2, -1]])
    """
    used = int((given >= 0).sum(axis=1).max(initial=1))
    return given[:, :used].astype(np.int64)


def drawn(given: NDArray[np.integer], lot: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return one of the `(n, s)` labels of each row by its `(n,)` lots: a noisy label.

    Examples
    --------
    >>> drawn(np.array([[4, 5], [2, -1]]), np.array([7, 7], np.uint64))
    array([5, 2])
    """
    count = np.maximum((given >= 0).sum(axis=1), 1).astype(np.uint64)
    return given[np.arange(len(given)), (lot % count).astype(np.int64)].astype(np.int64)
