"""From the logits of a head to how likely a label is wrong: sharpness, noise and two groups."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from pipeline.numeric.class_histogram import ClassHistogram
from pipeline.numeric.class_mixture import ClassMixture
from pipeline.numeric.temperature import NoisyFit

LARGEST = 16.0
"""Log-odds are cut here: what is less likely than 1e-7 is all the same."""


@dataclass(frozen=True)
class Calibration:
    """How sharp the logits of a head are to be, and how many labels say nothing.

    Examples
    --------
    >>> label = np.arange(100) % 2
    >>> calibration = Calibration.of(4.0 * np.eye(2)[label], label)
    >>> calibration.own(4.0 * np.eye(2), np.array([0, 0])).round(2)
    array([1., 0.])
    """

    scale: float
    """Factor on the evidence, which is the logits without the prior."""
    noise: float
    """Share of labels that are drawn from the prior, as far as the head can tell."""
    prior: NDArray[np.float64]
    """`(k,)` shares of the labels."""

    @classmethod
    def of(cls, logit: NDArray[np.floating], label: NDArray[np.integer]) -> "Calibration":
        """Return what explains `(n,)` labels best, given `(n, k)` logits that never saw them."""
        count = np.bincount(label, minlength=logit.shape[1]) + 1.0
        prior = count / count.sum()
        scale, noise, _ = NoisyFit.of(logit - np.log(prior), label, prior).best()
        return cls(scale, noise, prior)

    def probability(self, logit: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return `(n, k)` class probabilities."""
        log_prior = np.log(self.prior)
        return np.asarray(softmax(self.scale * (logit - log_prior) + log_prior, axis=1))

    def own(self, logit: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the `(n,)` probabilities of the labels; those that are negative count as 0."""
        chance = self.probability(logit)
        return np.asarray(chance[np.arange(len(label)), np.maximum(label, 0)])

    def likelihood(
        self, logit: NDArray[np.floating], label: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Return the `(n,)` log-likelihoods of labels, noise allowed for."""
        right = (1.0 - self.noise) * self.own(logit, label)
        return np.asarray(np.log(right + self.noise * self.prior[label]))


def log_odds(own: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the `(n,)` log-odds against labels of `(n,)` probabilities, in [-16, 16]."""
    chance = np.clip(own, 1e-7, 1.0 - 1e-7)
    return np.asarray(np.log1p(-chance) - np.log(chance))


def count_odds(
    odds: NDArray[np.floating], label: NDArray[np.integer], num_classes: int
) -> ClassHistogram:
    """Return the histogram per class of `(n,)` log-odds."""
    return ClassHistogram.of(odds, label, num_classes, (-LARGEST, LARGEST))


def wrong(
    own: NDArray[np.floating],
    label: NDArray[np.integer],
    calibration: Calibration,
    mixture: ClassMixture,
) -> NDArray[np.float64]:
    """Return the `(n,)` probability that each label is wrong.

    In a class whose labels fall into two groups it is that of the group against it. Else it is
    Bayes' rule for a label that is drawn from the prior at the noise rate: an improbable label
    is not yet a wrong one where nearly all labels are right.

    Parameters
    ----------
    own
        `(n,)` probabilities of the labels.
    label
        `(n,)` labels, none of them negative.
    calibration
        Of the head.
    mixture
        Of the log-odds against the labels.
    """
    by_chance = calibration.noise * calibration.prior[label]
    drawn = by_chance / ((1.0 - calibration.noise) * own + by_chance)
    grouped = mixture.high(log_odds(own), label)
    return np.where(mixture.is_split[label], grouped, drawn)


def class_noise(calibration: Calibration, mixture: ClassMixture) -> NDArray[np.float64]:
    """Return the `(k,)` shares of wrong labels that `wrong` goes by.

    Of labels that are drawn from the prior, some are right by chance.
    """
    by_chance = calibration.noise * (1.0 - calibration.prior)
    return np.where(mixture.is_split, mixture.high_share, by_chance)


def class_ranks(
    odds: NDArray[np.floating],
    label: NDArray[np.integer],
    count: ClassHistogram,
    judge: Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the `(n,)` ranks in [0, 1] of log-odds within their classes.

    Ranks are stretched so that those of the share of wrong labels in a class, which is the mean
    of `judge(own, label)` over it, lie above 1/2.
    """
    num_classes, num_bins = count.count.shape
    centre = np.linspace(count.low, count.high, 2 * num_bins + 1)[1::2]
    value, classes = np.tile(centre, num_classes), np.repeat(np.arange(num_classes), num_bins)
    chance = judge(expit(-value), classes).reshape(count.count.shape)
    rows = np.maximum(count.count.sum(axis=1), 1e-12)
    kept = np.clip(1.0 - (chance * count.count).sum(axis=1) / rows, 1e-6, 1.0 - 1e-6)
    below = np.cumsum(count.count, axis=1) - 0.5 * count.count
    place = (np.clip(odds, count.low, count.high) - count.low) / (count.high - count.low)
    bins = np.minimum((place * num_bins).astype(np.int64), num_bins - 1)
    rank, turn = (below / rows[:, None])[label, bins], kept[label]
    small, large = 0.5 * rank / turn, 0.5 + 0.5 * (rank - turn) / (1.0 - turn)
    return np.where(rank < turn, small, large)
