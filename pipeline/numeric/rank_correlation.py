"""How scores move together within classes: what they share beyond the classes themselves."""

import numpy as np
from numpy.typing import NDArray


def rank_correlation(
    place: NDArray[np.int64], weight: NDArray[np.float64], belief: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return `(m, m)` correlations of the mid-ranks of binned scores, pooled over classes.

    Moments are taken about the mean of each class, over the rows where both scores speak.

    Parameters
    ----------
    place
        `(p, m)` bins of `m` scores, -1 where a score is silent.
    weight
        `(p,)` rows that are alike.
    belief
        `(p, k)` probabilities of the classes.

    Examples
    --------
    >>> place = np.array([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]])
    >>> rank_correlation(place, np.ones(4), np.ones((4, 1))).round(2)
    array([[1., 1., 0.],
           [1., 1., 0.],
           [0., 0., 1.]])
    """
    value = np.column_stack([_rank(said, weight) for said in place.T])
    size = place.shape[1]
    shared = np.eye(size)
    for a in range(size):
        for b in range(a):
            both = (place[:, a] >= 0) & (place[:, b] >= 0)
            moments = np.zeros(3)
            for part in belief.T:
                mass = weight * part * both
                total = max(float(mass.sum()), 1e-12)
                x, y = (value[:, m] - (mass @ value[:, m]) / total for m in (a, b))
                moments += np.array([mass @ (x * y), mass @ (x * x), mass @ (y * y)])
            product = max(float(np.sqrt(moments[1] * moments[2])), 1e-9)
            shared[a, b] = shared[b, a] = moments[0] / product
    return shared


def _rank(said: NDArray[np.int64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `(p,)` mid-ranks of the bins of a score, in [0, 1]; no matter where silent."""
    count = np.bincount(said + 1, weight)[1:]
    below = np.cumsum(count) - count / 2.0
    rank = np.r_[0.0, below / max(float(count.sum()), 1e-12)]
    return np.asarray(rank[said + 1])
