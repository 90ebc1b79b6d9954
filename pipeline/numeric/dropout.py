"""Dropout by hash: the same row is always given the same masks."""

import numpy as np
from numpy.typing import NDArray


def dropped(
    embedding: NDArray[np.floating],
    hash: NDArray[np.uint64],  # noqa: A002  # the field's name
    num_passes: int,
    rate: float,
) -> NDArray[np.float64]:
    """Return `(g, n, d)` rows with a share `rate` of their dimensions set to zero.

    What is left is scaled up, so that the mean over masks is the row (Srivastava et al. 2014).

    Examples
    --------
    >>> rows = dropped(np.ones((1000, 8)), np.arange(1000, dtype=np.uint64), 3, 0.25)
    >>> np.unique(rows).round(2), round(float(rows.mean()), 1)
    (array([0.  , 1.33]), 1.0)
    """
    passes = np.arange(1, num_passes + 1, dtype=np.uint64)[:, None, None]
    dims = np.arange(1, embedding.shape[1] + 1, dtype=np.uint64)
    seed = hash.astype(np.uint64)[None, :, None]
    bits = seed + passes * np.uint64(0x9E3779B97F4A7C15) + dims * np.uint64(0xD1B54A32D192ED03)
    # The finaliser of splitmix64 (Steele et al. 2014).
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    chance = (bits ^ (bits >> np.uint64(31))) / 2.0**64
    return np.asarray(np.where(chance >= rate, embedding / (1.0 - rate), 0.0))
