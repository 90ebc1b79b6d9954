"""Who stands for whom: rows linked to the best row that is near them, never through a third."""

import numpy as np
from numpy.typing import NDArray


def representatives(num_rows: int, pair: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which row stands for each of `n` rows: itself, or one that it is paired with.

    Rows are taken best first. A row that is near an earlier row that stands for itself is a copy
    of the best such; else it stands for itself. So a chain in which only neighbours are near never
    becomes one group. Taken in rounds (Luby's, with the ranks as priorities): the same answer.

    Parameters
    ----------
    num_rows
        `n`; rows are numbered from the best.
    pair
        `(p, 2)` rows that are near each other, the better first.

    Returns
    -------
    `(n,)` positions.

    Examples
    --------
    >>> representatives(4, np.array([[0, 1], [1, 2], [2, 3]]))
    array([0, 0, 2, 2])
    """
    is_open, stands, rest = np.ones(num_rows, bool), np.zeros(num_rows, bool), pair
    while is_open.any():
        waits = np.zeros(num_rows, bool)
        waits[rest[:, 1]] = True
        stands |= is_open & ~waits
        is_open &= waits
        is_open[rest[stands[rest[:, 0]], 1]] = False
        rest = rest[is_open[rest].all(axis=1)]
    lead = np.arange(num_rows)
    lead[~stands] = num_rows
    near = pair[stands[pair[:, 0]] & ~stands[pair[:, 1]]]
    np.minimum.at(lead, near[:, 1], near[:, 0])
    return lead
