"""How sharp the evidence for tags is, and how many are given to rows at random, or left out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from pipeline.numeric.temperature import NOISES, SCALES

MISSINGS = np.array([0.001, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5])
"""Shares of true tags that are not given."""
EDGE = np.linspace(-16.0, 16.0, 513)
"""Log-odds between which rows without a tag are counted together."""


@dataclass(frozen=True)
class TagNoise:
    """A true tag is given or left out, and tags are given to some rows whatever they show.

    With evidence `e` for a tag of share `prior`, `p = expit(scale * e + logit(prior))` is its
    probability, and `1 - (1 - (1 - missing) * p) * (1 - noise * chance)` that of being given.

    Examples
    --------
    >>> noise = TagNoise(np.array([0.2]), np.array([0.2]), 1.0, 0.3, 0.1)
    >>> noise.wrong(np.array([[4.0], [-4.0]]), np.zeros((2, 1), int)).round(2)
    array([[0.  ],
           [0.94]])
    """

    prior: NDArray[np.float64]
    """`(k,)` shares of rows with each tag."""
    chance: NDArray[np.float64]
    """`(k,)` shares of rows that would have each tag, were all given at random."""
    scale: float
    """Factor on the evidence."""
    noise: float
    """Share of the given tags that say nothing of the row."""
    missing: float
    """Share of the true tags that are not given."""

    def wrong(
        self, evidence: NDArray[np.floating], given: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Return the `(n, s)` probabilities that given tags are wrong; 0 where there is none."""
        tag = np.maximum(given, 0)
        told = np.take_along_axis(np.asarray(evidence, np.float64), tag, axis=1)
        share = expit(self.scale * told + logit(self.prior[tag]))
        by_chance = self.noise * self.chance[tag]
        astray = (1.0 - share) * by_chance
        own = share * (1.0 - self.missing * (1.0 - by_chance))
        return np.asarray(np.where(given >= 0, astray / (own + astray), 0.0))


def fit_noise(
    evidence: NDArray[np.floating],
    given: NDArray[np.integer],
    prior: NDArray[np.float64],
    chance: NDArray[np.float64],
) -> tuple[TagNoise, float]:
    """Return what explains given tags best, and the log-likelihood of every tag in every row.

    Parameters
    ----------
    evidence
        `(n, k)` log-odds beyond the prior, by what has not seen the rows.
    given
        `(n, s)` tags, padded with -1.
    prior
        `(k,)` shares of rows with each tag.
    chance
        `(k,)` the same, were all given at random.

    Examples
    --------
    >>> rng, share = np.random.default_rng(0), np.full(4, 0.4)
    >>> evidence = rng.normal(0.0, 6.0, (2000, 4))
    >>> true = rng.random((2000, 4)) < expit(evidence + logit(0.4))
    >>> given = (true & (rng.random(true.shape) < 0.9)) | (rng.random(true.shape) < 0.3 * 0.4)
    >>> fitted, _ = fit_noise(evidence, np.where(given, np.arange(4), -1), share, share)
    >>> float(fitted.noise), float(fitted.missing)
    (0.3, 0.1)
    """
    row, place = np.nonzero(given >= 0)
    tag, base = given[row, place], logit(prior)
    by_chance = chance[tag][:, None, None] * NOISES[:, None]
    num_absent = len(evidence) - np.bincount(tag, minlength=len(prior))
    never = (num_absent @ np.log1p(-chance[:, None] * NOISES))[:, None]
    silent = np.log1p(-expit(middle())[:, None] * (1.0 - MISSINGS))
    best, chosen = -np.inf, TagNoise(prior, chance, 1.0, NOISES[0], MISSINGS[0])
    for scale in SCALES:
        odds = scale * evidence + base
        own = expit(odds[row, tag].astype(np.float64))[:, None, None]
        unsaid = (1.0 - own * (1.0 - MISSINGS)) * (1.0 - by_chance)
        said = np.log(np.maximum(1.0 - unsaid, 1e-30))
        value = said.sum(axis=0) + never + (counted(odds) - counted(odds[row, tag])) @ silent
        i, j = np.unravel_index(int(value.argmax()), value.shape)
        if value[i, j] > best:
            best = float(value[i, j])
            chosen = TagNoise(prior, chance, scale, NOISES[i], MISSINGS[j])
    return chosen, best


def middle() -> NDArray[np.float64]:
    """Return the log-odds of the bins."""
    return (EDGE[1:] + EDGE[:-1]) / 2.0


def counted(odds: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how many log-odds lie in each bin; the outer ones hold what lies beyond."""
    step, size = EDGE[1] - EDGE[0], len(EDGE) - 1
    place = np.clip((odds.ravel() - EDGE[0]) / step, 0, size - 1).astype(np.int64)
    return np.bincount(place, minlength=size).astype(np.float64)
