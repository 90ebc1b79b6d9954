"""A mixture of small and large losses per class, where rare classes borrow from the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipeline.numeric.class_histogram import ClassHistogram
from pipeline.numeric.components import Components
from pipeline.numeric.mixture import fit_mixture

CLIP = (0.001, 0.999)
"""Quantiles of the corpus beyond which a loss is cut: one wild value must not set the scale."""
DIP = 0.9
"""Two groups are told apart where the density between them falls below this share of a peak."""


@dataclass(frozen=True)
class ClassMixture:
    """Two Gaussian components per class; the second has the higher mean.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> easy = np.r_[rng.normal(0, 0.2, 300), rng.normal(2, 0.2, 100)]
    >>> loss, label = np.r_[easy, easy + 2], np.repeat([0, 1], 400)
    >>> mixture = fit_classes(ClassHistogram.of(loss, label, 2, (-1.0, 5.0)))
    >>> mixture.high(np.array([2.0, 2.0, 4.0]), np.array([0, 1, 1])).round(2)
    array([1., 0., 1.])
    """

    part: Components
    is_split: NDArray[np.bool_]
    """`(k,)`: whether there are two groups at all; a class without a second one is all low."""
    edge: NDArray[np.float64]
    """`(2,)` values between which the mixture was fitted."""

    @property
    def high_share(self) -> NDArray[np.float64]:
        """Return the `(k,)` shares of rows in the higher component; NaN without two groups."""
        return np.where(self.is_split, self.part.share[:, 1], np.nan)

    def high(self, value: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the `(n,)` probability of the higher component of each row's class.

        It never falls as the value rises: beyond a mean the value is taken as that mean.
        """
        share = np.log(np.maximum(self.part.share, 1e-300))
        odds = self.ratio(value, label) + (share[:, 1] - share[:, 0])[label]
        return np.where(self.is_split[label], expit(odds), 0.0)

    def ratio(self, value: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the `(n,)` log-density of the higher component over that of the lower."""
        mean, deviation = self.part.mean[label], self.part.deviation[label]
        inside = np.clip(np.clip(value, *self.edge), *mean.T)
        log = -0.5 * ((inside[:, None] - mean) / deviation) ** 2 - np.log(deviation)
        return np.asarray(log[:, 1] - log[:, 0])


def fit_classes(
    histogram: ClassHistogram, prior_rows: float = 100.0, turn: float = -np.inf
) -> ClassMixture:
    """Fit a mixture per class by expectation-maximisation over the bins.

    A class that shows two groups keeps its own means, since classes differ in difficulty, and
    borrows shares and deviations as `prior_rows` rows of the other such classes have them. One
    that does not is judged by the components of the others, with its own share of them: all its
    labels may be right, or all wrong, and its losses alone could not tell. Where most rows are
    in classes of the second kind, and all losses together show one group, those get no split.

    Parameters
    ----------
    histogram
        Of the losses, or of any number that rises with them.
    prior_rows
        Rows that a class borrows.
    turn
        A second group whose mean lies below this is none of wrong labels: a class may well
        have two kinds of clean images.
    """
    data = histogram.whole().clipped(*CLIP)
    edge = np.array([data.quantile(CLIP[0]), data.quantile(CLIP[1])])
    value, count = np.clip(data.centre, *edge), histogram.count
    least = max(0.02 * float(edge[1] - edge[0]), 1e-9)
    whole = fit_mixture(histogram.whole(), floor=0.02)
    common = Components.repeat(whole.share, whole.mean, whole.deviation, len(count))
    own = _fit_alone(value, count, common, least)
    is_split = _two_groups(value, count, own, turn)
    rows = np.where(is_split, count.sum(axis=1), 0.0)
    if rows.any():
        common = own.pooled(rows, apart=False)
    shrunk = own.climb(value, count, own.pooled(rows, apart=True), prior_rows, least)
    part = shrunk.where(is_split, common.weigh(value, count, prior_rows))
    total = np.broadcast_to(data.count, count.shape)
    borrows = _two_groups(value, total, common, turn) | (2.0 * rows.sum() > count.sum())
    return ClassMixture(part, is_split | borrows, edge)


def _fit_alone(
    value: NDArray[np.float64], count: NDArray[np.float64], common: Components, least: float
) -> Components:
    """Return components fitted to each class, from the better of two starts.

    Those of the corpus may miss a class of another difficulty, its own ends a small group.
    """
    starts = (Components.at_ends(value, count, least), common)
    one, other = (start.climb(value, count, start, 1.0, least) for start in starts)
    return one.where(one.gain(value, count) >= other.gain(value, count), other)


def _two_groups(
    value: NDArray[np.float64], count: NDArray[np.float64], part: Components, turn: float
) -> NDArray[np.bool_]:
    """Return for which of `k` classes there is a dip and two components explain more than one.

    The gain in likelihood alone would split one skewed group, such as the losses of clean rows.
    """
    least = 3.0 * np.log(np.maximum(count.sum(axis=1), 2.0))
    turned = part.mean[:, 1] > turn
    return np.asarray(turned & part.has_dip(DIP) & (part.gain(value, count) > least))
