"""The largest entries of every row."""

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 20
"""Entries worked on at once: few enough to stay in the cache."""
LOW = np.uint64(2**32 - 1)


def top(share: NDArray[np.float32], size: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return where the largest entries of each row are, and what they are.

    A float and its place make one integer, so that a partition, several times faster than a
    sort, still tells equal entries apart.

    Parameters
    ----------
    share
        `(n, k)` non-negative numbers.
    size
        Entries wanted; `k` are returned if there are no more.

    Returns
    -------
    `(n, m)` places and `(n, m)` entries, falling; of equal ones the first comes first.

    Examples
    --------
    >>> top(np.array([[0.1, 0.4, 0.1, 0.4]], np.float32), 3)[0]
    array([[1, 3, 0]])
    """
    num_rows, width = share.shape
    size = min(size, width)
    place = LOW - np.arange(width, dtype=np.uint64)
    best, step = np.empty((num_rows, size), np.uint64), max(BLOCK // max(width, 1), 1)
    for start in range(0, num_rows, step):
        bits = np.ascontiguousarray(share[start : start + step]).view(np.uint32)
        key = (bits.astype(np.uint64) << np.uint64(32)) | place
        best[start : start + step] = np.partition(key, width - size, axis=1)[:, width - size :]
    best = np.sort(best, axis=1)[:, ::-1]
    value = (best >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return (LOW - (best & LOW)).astype(np.int64), value
