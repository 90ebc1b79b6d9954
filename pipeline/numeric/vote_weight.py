"""How much each of several correlated voices counts."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components


def effective_say(correlation: NDArray[np.floating], together: float = 0.9) -> NDArray[np.float64]:
    """Return the weight of each voice, so that what is said twice counts once.

    Voices that are correlated above `together` are one cluster and share one vote. Clusters
    that are correlated less share votes in part: a cluster's weight is one over one plus its mean
    correlations with the others, as the effective number of correlated measurements has it.

    Parameters
    ----------
    correlation
        `(m, m)` correlations of the errors, given what is true; negative ones are taken as 0.
    together
        Correlation above which two voices are one.

    Returns
    -------
    `(m,)` weights in (0, 1].

    Examples
    --------
    >>> effective_say(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    array([0.5, 0.5, 1. ])
    """
    shared = np.clip(np.nan_to_num(np.asarray(correlation, np.float64)), 0.0, 1.0)
    num, cluster = connected_components(shared > together, directed=False)
    member = np.eye(num)[cluster]
    size = member.sum(axis=0)
    between = member.T @ shared @ member / np.outer(size, size)
    np.fill_diagonal(between, 0.0)
    return np.asarray(1.0 / (size * (1.0 + between.sum(axis=1))))[cluster]


def conflict(vote: NDArray[np.integer], say: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the share of the say that is not for the strongest class; 0 without votes.

    Parameters
    ----------
    vote
        `(n, m)` classes, -1 where a voice abstains.
    say
        `(m,)` weights of the voices.

    Examples
    --------
    >>> conflict(np.array([[3, 3, 5], [3, 3, -1]]), np.array([0.5, 0.5, 1.0]))
    array([0.5, 0. ])
    """
    loud = np.where(vote >= 0, say, 0.0)
    same = np.where(vote[:, :, None] == vote[:, None, :], loud[:, None, :], 0.0).sum(axis=2)
    total = loud.sum(axis=1)
    strongest = np.where(vote >= 0, same, 0.0).max(axis=1, initial=0.0)
    return np.asarray(1.0 - np.where(total > 0, strongest / np.maximum(total, 1e-12), 1.0))
