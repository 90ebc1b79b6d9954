"""Tests of two samples of counts: whether both may come from one population."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov
from scipy.stats import chi2, hypergeom

LEAST_EXPECTED = 25.0
"""Expected rows of a cell below which the exact test is taken: far out the G-test is too bold."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def differ(hits: Ints, total: Ints, hits2: Ints, total2: Ints) -> Floats:
    """Return the probability of two proportions as far apart as these, if they were equal.

    A G-test; where a cell expects too few rows, Fisher's exact test, both tails doubled.

    Parameters
    ----------
    hits, hits2
        `(m,)` rows of each sample that have a property.
    total, total2
        `(m,)` rows of each sample.

    Returns
    -------
    `(m,)` p-values in [0, 1]; 1 where a sample is empty.

    Examples
    --------
    >>> p = differ(*(np.array([n, m]) for n, m in ((10, 10), (100, 100), (50, 10), (100, 100))))
    >>> bool(p[0] < 1e-9), float(p[1])
    (True, 1.0)
    """
    table = np.array([[hits, total - hits], [hits2, total2 - hits2]], np.float64)
    both = table.sum(axis=(0, 1))
    expected = table.sum(axis=1)[:, None] * table.sum(axis=0)[None] / np.maximum(both, 1.0)
    ratio = np.where(table > 0, table, 1.0) / np.where(table > 0, expected, 1.0)
    p = chi2.sf(np.maximum(2.0 * (table * np.log(ratio)).sum(axis=(0, 1)), 0.0), 1)
    few = expected.min(axis=(0, 1)) < LEAST_EXPECTED
    if few.any():
        p[few] = _exact(hits[few], total[few], hits2[few], total2[few])
    return np.where((total > 0) & (total2 > 0), p, 1.0)


def _exact(hits: Ints, total: Ints, hits2: Ints, total2: Ints) -> Floats:
    cases, place = np.unique(np.stack([hits, total, hits2, total2]), axis=1, return_inverse=True)
    hits, total, hits2, total2 = cases
    drawn = (total + total2, hits + hits2, total)
    tail = np.minimum(hypergeom.cdf(hits, *drawn), hypergeom.sf(hits - 1, *drawn))
    return np.asarray(np.minimum(2.0 * tail, 1.0)[place.ravel()])


def distance(count: Ints, count2: Ints) -> Floats:
    """Return how far rows must move, on average, to make one histogram the other.

    The earth mover's distance. Unlike the gap of Kolmogorov and Smirnov it hardly sees scores
    that change places within a small range, as those near 0 do whenever a cleaner is fitted anew.

    Parameters
    ----------
    count, count2
        `(m, b)` rows per bin of [0, 1].

    Returns
    -------
    `(m,)` in [-1, 1], above 0 where the second sample lies higher; 0 where a sample is empty.

    Examples
    --------
    >>> distance(np.array([[4, 0, 0, 0]]), np.array([[0, 0, 1, 1]])).tolist()
    [0.625]
    """
    gap = _gap(count, count2)
    return np.where(gap.sum(axis=1) < 0, -1.0, 1.0) * np.abs(gap).sum(axis=1) / count.shape[1]


def shifted(count: Ints, count2: Ints) -> Floats:
    """Return the probability of two histograms as different as these, of one distribution.

    The test of Kolmogorov and Smirnov, whose limit law errs to the safe side on bins and few
    rows: the true probability is smaller.

    Parameters
    ----------
    count, count2
        `(m, b)` rows per bin.

    Returns
    -------
    `(m,)` p-values; 1 where a sample is empty.

    Examples
    --------
    >>> shifted(np.array([[50, 50], [0, 0]]), np.array([[90, 10], [1, 1]])).round(6).tolist()
    [0.0, 1.0]
    """
    total, total2 = count.sum(axis=1), count2.sum(axis=1)
    effective = total * total2 / np.maximum(total + total2, 1)
    return np.asarray(kolmogorov(np.sqrt(effective) * np.abs(_gap(count, count2)).max(axis=1)))


def _gap(count: Ints, count2: Ints) -> Floats:
    """Return the difference of the cumulated shares, bin by bin; zeros where one is empty."""
    total, total2 = count.sum(axis=1, keepdims=True), count2.sum(axis=1, keepdims=True)
    share, share2 = count / np.maximum(total, 1), count2 / np.maximum(total2, 1)
    return np.where((total > 0) & (total2 > 0), np.cumsum(share - share2, axis=1), 0.0)
