"""Several suspicions of one fact, calibrated and combined without knowing the fact.

A latent-class model (Dawid and Skene 1979) on binned scores. Given only whether a label is right,
scores are not independent: a hard row, whose label is right, raises all that see the same picture
together, and their number outvotes the one that knows better. Conditional dependence of tests by
a difficulty that they share is a latent variable of its own (Qu, Tan and Kutner 1996); here it is
a third class (Hagenaars 1988). So a row is easy, hard or wrong, in this order, and given that,
every score falls into its bins by chances of its own, free but for one thing: a higher score
never speaks for the lower of two neighbouring classes. Where a score is silent it says nothing.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import logit, softmax

from pipeline.numeric.rank_correlation import rank_correlation
from pipeline.numeric.vote_weight import effective_say

Values = NDArray[np.float64]
EASY, HARD, WRONG = range(3)
"""Classes of rows: the first two have the right label."""
LEAST = 0.01
"""Claims nearer to 0 or to 1 are taken as this far from it."""
HALF = 0.5
"""Claim above which a score calls a label wrong."""
COPIES = 0.95
"""Correlation of two scores, given what all claim, above which one repeats the other."""
TOGETHER = 0.8
"""Correlation of two scores, given the class, above which they are one."""
PRIOR_ROWS = 1.0
"""Rows by which the bins of a class are drawn to those of all rows."""
HARDNESS = 2e-4
"""Rows, as a share of those with a right label, by which each bin is drawn to telling hard from
easy rows no better than chance: what no other score confirms is no hardness."""
TINY = 1e-6
"""Least share of a class among the rows of a bin that are of it or of its neighbour."""


@dataclass(frozen=True)
class Latent:
    """What bins of scores say of a label."""

    share: Values
    """`(3,)` shares of easy, hard and wrong rows."""
    chance: Values
    """`(3, m, b)` probabilities of the bins of each score, by class."""
    say: Values
    """`(m,)` weights: correlated scores share theirs."""
    correlation: Values
    """`(m, m)` rank correlations of the scores, given the class."""

    @classmethod
    def unknown(cls, num_scores: int, num_bins: int) -> "Latent":
        """Return a model in which no score says anything."""
        even = np.full((3, num_scores, num_bins), 1.0 / num_bins)
        share = np.array([0.25, 0.25, 0.5])
        return cls(share, even, np.ones(num_scores), np.eye(num_scores))

    @property
    def wrong(self) -> float:
        """Return the share of wrong labels."""
        return float(self.share[WRONG])

    @property
    def calibrated(self) -> Values:
        """Return `(m, b)` probabilities that a label is wrong, by one score alone."""
        joint = self.share[:, None, None] * self.chance
        return np.asarray(joint[WRONG] / joint.sum(axis=0))

    @property
    def evidence(self) -> Values:
        """Return `(m, b)` log-odds that each bin adds alone; they rise with the bin."""
        return np.asarray(logit(self.calibrated) - logit(self.wrong))

    def belief(self, place: NDArray[np.integer]) -> Values:
        """Return `(n, 3)` probabilities of the classes, of `(n, m)` bins; -1 is silent."""
        odds = np.tile(np.log(self.share), (len(place), 1))
        for m, said in enumerate(place.T):
            told = np.log(self.chance[:, m, said]).T
            odds += np.where(said[:, None] >= 0, self.say[m] * told, 0.0)
        return np.asarray(softmax(odds, axis=1))

    def posterior(self, place: NDArray[np.integer]) -> Values:
        """Return the `(n,)` probabilities that a label is wrong, of `(n, m)` bins.

        Examples
        --------
        >>> chance = np.array([[[0.9, 0.1]], [[0.9, 0.1]], [[0.1, 0.9]]])
        >>> model = Latent(np.array([0.25, 0.25, 0.5]), chance, np.ones(1), np.eye(1))
        >>> model.posterior(np.array([[0], [1], [-1]])).round(2)
        array([0.1, 0.9, 0.5])
        """
        return self.belief(place)[:, WRONG]

    def spread(self, place: NDArray[np.integer]) -> Values:
        """Return `(n,)` differences between the most and the least suspicious score, calibrated."""
        silent, value = place < 0, np.zeros(place.shape)
        for m, share in enumerate(self.calibrated):
            value[:, m] = share[place[:, m]]
        most = np.where(silent, -np.inf, value).max(axis=1, initial=-np.inf)
        least = np.where(silent, np.inf, value).min(axis=1, initial=np.inf)
        return np.where(silent.all(axis=1), 0.0, most - least)


def fit_latent(
    place: NDArray[np.int64], weight: Values, claim: Values, num_steps: int = 90
) -> Latent:
    """Fit by expectation-maximisation, from what the scores claim.

    Parameters
    ----------
    place
        `(p, m)` distinct combinations of bins, -1 where a score is silent.
    weight
        `(p,)` how often each occurs.
    claim
        `(m, b)` mean scores of the bins: the probability that each claims.
    num_steps
        Steps of expectation-maximisation. Copies share a vote from the start; other scores do
        by the correlation that is left once the classes explain what they can, measured twice.

    Examples
    --------
    >>> place = np.repeat([[0, 0, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]], [70, 20, 5, 5], axis=0)
    >>> model = fit_latent(place, np.ones(100), np.tile([0.1, 0.9], (3, 1)))
    >>> bool(0.15 < model.wrong < 0.3), bool(np.all(np.diff(model.evidence) > 0))
    (True, True)
    """
    fitted, claimed = Latent.unknown(*claim.shape), _claimed(place, claim)
    known = ((place >= 0).sum(axis=1) == 1) | _is_claimed_by_all(place, claim)
    belief = claimed
    for step in range(num_steps):
        if step % max(num_steps // 3, 1) == 0:
            correlation = rank_correlation(place, weight, belief)
            shared = correlation if step else np.where(correlation > COPIES, 1.0, 0.0)
            say = effective_say(shared, TOGETHER)
            fitted = replace(fitted, correlation=correlation, say=say)
        fitted = _step(fitted, place, weight[:, None] * belief)
        belief = np.where(known[:, None], claimed, fitted.belief(place))
    return fitted


def _claimed(place: NDArray[np.int64], claim: Values) -> Values:
    """Return the `(p, 3)` classes that the scores claim: where the model starts.

    A label is wrong by their mean claim; of the right ones the same share is hard. A score alone
    is taken at its word, and so are all if they agree that a label is wrong: two kinds of wrong
    labels, such as those of a class and of its sister, would else pass for hard rows and wrong.
    """
    spoken, told = place >= 0, _told(place, claim)
    mean = np.where(spoken, told, 0.0).sum(axis=1) / np.maximum(spoken.sum(axis=1), 1)
    mean = np.clip(mean, LEAST, 1.0 - LEAST)
    start = np.column_stack([(1.0 - mean) ** 2, mean * (1.0 - mean), mean])
    agreed = _is_claimed_by_all(place, claim) & (spoken.sum(axis=1) > 1)
    return np.where(agreed[:, None], np.eye(3)[WRONG], start)


def _is_claimed_by_all(place: NDArray[np.int64], claim: Values) -> NDArray[np.bool_]:
    """Return in which of the `(p,)` combinations every score that speaks calls the label wrong."""
    return np.asarray(((_told(place, claim) > HALF) | (place < 0)).all(axis=1))


def _told(place: NDArray[np.int64], claim: Values) -> Values:
    """Return `(p, m)` what the bins claim; no matter what where a score is silent."""
    return np.column_stack([share[said] for share, said in zip(claim, place.T, strict=True)])


def _step(before: Latent, place: NDArray[np.int64], mass: Values) -> Latent:
    """Return the model after one step, given the `(p, 3)` expected rows of each class."""
    num_bins = before.chance.shape[2]
    share = mass.sum(axis=0) + TINY
    share /= share.sum()
    chance = np.empty_like(before.chance)
    for m in range(place.shape[1]):
        count = _binned(place[:, m], mass, num_bins)
        whole = count.sum(axis=0) + 1.0 / num_bins
        count += PRIOR_ROWS * share[:, None] * (whole / whole.sum())
        chance[:, m] = _rising(count)
    return replace(before, share=share, chance=chance)


def _rising(count: Values) -> Values:
    """Return `(3, b)` chances of bins in which no higher bin speaks for a lower class.

    The share of a class among the rows of it and of the one below is made to rise from bin to
    bin, so the likelihood ratio of neighbouring classes does, and so that of any two.
    """
    odds = np.ones_like(count)
    for low, high, drawn in ((EASY, HARD, HARDNESS), (HARD, WRONG, 0.0)):
        both = count[low] + count[high]
        prior = drawn * both.sum()
        part = count[high] + prior * count[high].sum() / both.sum()
        rising = isotonic_regression(part / (both + prior), weights=both + prior).x
        rising = np.clip(rising, TINY, 1.0 - TINY)
        odds[high] = odds[low] * rising / (1.0 - rising)
    rows = odds / odds.sum(axis=0) * count.sum(axis=0)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def _binned(said: NDArray[np.int64], mass: Values, num_bins: int) -> Values:
    """Return the `(3, b)` expected rows of each class in the bins of a score."""
    spoken = said >= 0
    parts = [np.bincount(said[spoken], part[spoken], minlength=num_bins) for part in mass.T]
    return np.array(parts, np.float64)
