"""Several suspicions of one fact, calibrated and combined without knowing the fact.

A latent-class model (Dawid and Skene 1979) on binned scores: the label of a row is right or
wrong, and given that, every score falls into its bins by chances of its own, which are free but
for one thing: a higher score is never less suspect. Where a score is silent it says nothing.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from pipeline.numeric.vote_weight import effective_say

Values = NDArray[np.float64]
CLAIM = 0.02
"""Weight of what a score says of itself, as a share of the rows: settles what data cannot."""
LEAST = 0.01
"""Claims nearer to 0 or to 1 are taken as this far from it."""
HALF = 0.5
"""Where a suspicion turns to yes."""
TOGETHER = 0.8
"""Correlation of two scores, given the truth, above which they are one."""


@dataclass(frozen=True)
class Latent:
    """What bins of scores say of a label."""

    wrong: float
    """Share of wrong labels."""
    right: Values
    """`(m, b)` probabilities of the bins of each score if the label is right."""
    astray: Values
    """`(m, b)` the same if it is wrong."""
    say: Values
    """`(m,)` weights: correlated scores share theirs."""
    correlation: Values
    """`(m, m)` rank correlations of the scores, given the truth."""

    @classmethod
    def unknown(cls, num_scores: int, num_bins: int) -> "Latent":
        """Return a model in which no score says anything."""
        even = np.full((num_scores, num_bins), 1.0 / num_bins)
        return cls(0.5, even, even, np.ones(num_scores), np.eye(num_scores))

    @property
    def evidence(self) -> Values:
        """Return `(m, b)` log-odds that each bin adds; they rise with the bin."""
        return np.log(np.maximum(self.astray, 1e-9)) - np.log(np.maximum(self.right, 1e-9))

    @property
    def calibrated(self) -> Values:
        """Return `(m, b)` probabilities that a label is wrong, by one score alone."""
        return np.asarray(expit(self.evidence + logit(self.wrong)))

    def odds(self, place: NDArray[np.integer]) -> Values:
        """Return the `(n,)` log-odds that a label is wrong, of `(n, m)` bins; -1 is silent."""
        odds = np.full(len(place), logit(self.wrong))
        for m, evidence in enumerate(self.evidence):
            odds += np.where(place[:, m] >= 0, self.say[m] * evidence[place[:, m]], 0.0)
        return odds

    def posterior(self, place: NDArray[np.integer]) -> Values:
        """Return the `(n,)` probabilities that a label is wrong, of `(n, m)` bins.

        Examples
        --------
        >>> half = np.array([[0.9, 0.1]])
        >>> model = Latent(0.5, half, half[:, ::-1], np.ones(1), np.eye(1))
        >>> model.posterior(np.array([[0], [1], [-1]])).round(2)
        array([0.1, 0.9, 0.5])
        """
        return np.asarray(expit(self.odds(place)))

    def spread(self, place: NDArray[np.integer]) -> Values:
        """Return `(n,)` differences between the most and the least suspicious score, calibrated."""
        silent, value = place < 0, np.zeros(place.shape)
        for m, share in enumerate(self.calibrated):
            value[:, m] = share[place[:, m]]
        most = np.where(silent, -np.inf, value).max(axis=1, initial=-np.inf)
        least = np.where(silent, np.inf, value).min(axis=1, initial=np.inf)
        return np.where(silent.all(axis=1), 0.0, most - least)


def fit_latent(
    place: NDArray[np.int64], weight: Values, claim: Values, num_steps: int = 60
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
        Steps of expectation-maximisation; the say is measured three times between them.

    Examples
    --------
    >>> place = np.repeat([[0, 0, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]], [70, 20, 5, 5], axis=0)
    >>> model = fit_latent(place, np.ones(100), np.tile([0.1, 0.9], (3, 1)))
    >>> bool(0.15 < model.wrong < 0.3), bool(np.all(np.diff(model.evidence) > 0))
    (True, True)
    """
    count, num_rows = _binned(place, weight, claim.shape[1]), max(float(weight.sum()), 1e-12)
    fitted = Latent.unknown(*claim.shape)
    belief = _mean_claim(place, claim, fitted.say)
    for step in range(num_steps):
        if step % max(num_steps // 3, 1) == 0:
            correlation = _correlation(place, weight, belief, count)
            fitted = replace(
                fitted, correlation=correlation, say=effective_say(correlation, TOGETHER)
            )
            belief = belief if step else _mean_claim(place, claim, fitted.say)
        fitted = _step(fitted, place, weight * belief, num_rows, (count, claim))
        belief = _believe(fitted, place, claim)
    return fitted


def _step(
    before: Latent,
    place: NDArray[np.int64],
    mass: Values,
    num_rows: float,
    seen: tuple[Values, Values],
) -> Latent:
    """Return the model after one step, given the `(p,)` expected rows with a wrong label."""
    count, claim = seen
    part = _binned(place, mass, count.shape[1])
    rows = (1.0 + CLAIM) * count
    share = (part + CLAIM * count * claim) / np.maximum(rows, 1e-12)
    astray, right = np.empty_like(count), np.empty_like(count)
    for m in range(len(count)):
        rising = isotonic_regression(share[m], weights=rows[m] + 1e-6).x
        rising = np.clip(rising, 1e-4, 1.0 - 1e-4)
        seen_rows = rows[m] + 1e-3
        astray[m], right[m] = rising * seen_rows, (1.0 - rising) * seen_rows
    wrong = float(mass.sum()) / num_rows
    return replace(
        before,
        wrong=float(np.clip(wrong, 1e-4, 1.0 - 1e-4)),
        right=right / right.sum(axis=1, keepdims=True),
        astray=astray / astray.sum(axis=1, keepdims=True),
    )


def _binned(place: NDArray[np.int64], weight: Values, num_bins: int) -> Values:
    """Return the `(m, b)` weights of the bins."""
    kept = [column >= 0 for column in place.T]
    parts = zip(place.T, kept, strict=True)
    return np.array([np.bincount(c[k], weight[k], minlength=num_bins) for c, k in parts], float)


def _mean_claim(place: NDArray[np.int64], claim: Values, say: Values) -> Values:
    """Return the `(p,)` means of what the scores claim; 0 where all are silent."""
    loud = np.where(place >= 0, say, 0.0)
    told = np.column_stack([claim[m][place[:, m]] for m in range(len(claim))])
    return np.asarray((loud * told).sum(axis=1) / np.maximum(loud.sum(axis=1), 1e-12))


def _believe(fitted: Latent, place: NDArray[np.int64], claim: Values) -> Values:
    """Return the `(p,)` beliefs that labels are wrong, anchored at what the scores claim.

    Hard rows raise every score a little, and two classes of rows left to themselves are easy
    and hard ones. So what all scores agree on, by their side of 1/2, is taken to be so, and
    elsewhere their mean claim counts as one more voice. A score alone is taken at its word.
    """
    silent = place < 0
    told = np.column_stack([claim[m][place[:, m]] for m in range(len(claim))])
    most = np.where(silent, -np.inf, told).max(axis=1, initial=-np.inf)
    least = np.where(silent, np.inf, told).min(axis=1, initial=np.inf)
    claimed = np.clip(_mean_claim(place, claim, fitted.say), LEAST, 1.0 - LEAST)
    open_to_doubt = expit(fitted.odds(place) + logit(claimed))
    agreed = np.where(most < HALF, 0.0, np.where(least > HALF, 1.0, open_to_doubt))
    return np.where((~silent).sum(axis=1) == 1, most, agreed)


def _correlation(place: NDArray[np.int64], weight: Values, belief: Values, count: Values) -> Values:
    """Return `(m, m)` correlations of mid-ranks, within right and within wrong labels."""
    below = np.cumsum(count, axis=1) - count / 2.0
    rank = below / np.maximum(count.sum(axis=1, keepdims=True), 1e-12)
    value = np.column_stack([rank[m][place[:, m]] for m in range(len(rank))])
    size = place.shape[1]
    shared = np.eye(size)
    for a in range(size):
        for b in range(a):
            both = (place[:, a] >= 0) & (place[:, b] >= 0)
            moments = np.zeros(3)
            for mass in (weight * belief * both, weight * (1.0 - belief) * both):
                total = max(float(mass.sum()), 1e-12)
                x, y = (value[:, m] - (mass @ value[:, m]) / total for m in (a, b))
                moments += np.array([mass @ (x * y), mass @ (x * x), mass @ (y * y)])
            product = max(float(np.sqrt(moments[1] * moments[2])), 1e-9)
            shared[a, b] = shared[b, a] = moments[0] / product
    return shared
