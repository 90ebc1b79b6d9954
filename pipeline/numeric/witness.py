"""Three witnesses of one hidden class, the image, the caption and the label: which one lies.

A row has a hidden class. Its image shows the class, or is foreign and shows none; its caption
tells of the image, or belongs to another row; its label is the class, or another one. What
every row's witnesses say of each other gives the share of each fault and, for each row, the
probability that it has it. All that is learned are sums over rows.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

STEPS = 25
"""Steps of the iteration that fits the rates."""


@dataclass(frozen=True)
class Odds:
    """How much likelier a number is under a fault, as a rising curve.

    Examples
    --------
    >>> value, fault = np.arange(8.0), np.array([0, 0, 0, 0, 1, 1, 1, 1.0])
    >>> odds = fit_odds(value, fault, 1.0 - fault, num_bins=4)
    >>> odds.at(np.array([0.0, 7.0])).argmax()
    np.int64(1)
    """

    place: NDArray[np.float64]
    """`(b,)` rising values."""
    log: NDArray[np.float64]
    """`(b,)` rising log-odds."""

    def at(self, value: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the `(n,)` likelihood ratio, fault over no fault."""
        return np.exp(np.interp(value, self.place, self.log))


def fit_odds(
    value: NDArray[np.floating],
    fault: NDArray[np.floating],
    sound: NDArray[np.floating],
    num_bins: int = 40,
    largest: float = 6.0,
) -> Odds:
    """Fit the ratio of two weighted distributions of a number that is higher under a fault.

    Parameters
    ----------
    value
        `(n,)` numbers.
    fault, sound
        `(n,)` weights of each row as faulty and as sound.
    num_bins
        Bins of equal weight.
    largest
        Bound of the log-odds on either side.
    """
    if not len(value):
        return Odds(np.zeros(2), np.zeros(2))
    order = np.argsort(value, kind="stable")
    mass = (fault + sound)[order]
    bins = np.minimum((np.cumsum(mass) / mass.sum() * num_bins).astype(int), num_bins - 1)
    total, bad = (np.bincount(bins, w, num_bins) for w in (mass, fault[order]))
    centre = np.bincount(bins, mass * value[order], num_bins)
    seen = total > 0
    share = float(fault.sum() / mass.sum())
    base = (bad[seen] + 2.0 * share) / (total[seen] + 2.0)
    chance = isotonic_regression(base, weights=total[seen]).x.clip(1e-6, 1.0 - 1e-6)
    ratio = chance / (1.0 - chance) * (1.0 - share) / max(share, 1e-6)
    return Odds(centre[seen] / total[seen], np.log(ratio).clip(-largest, largest))


@dataclass(frozen=True)
class Witnesses:
    """What the witnesses of `n` rows say, each as a likelihood ratio."""

    image: NDArray[np.floating]
    """`(n, k)` density of the image in each class, over that in the corpus."""
    caption: NDArray[np.floating]
    """`(n, k)` the same of the caption; 1 where there is none."""
    label: NDArray[np.integer]
    """`(n,)` given class; negative where there is none."""
    strange: NDArray[np.floating]
    """`(n,)` likelihood ratio of a foreign image over an image of any class."""
    apart: NDArray[np.floating]
    """`(n,)` likelihood ratio of an image and a caption that do not belong together; 1 if none."""


@dataclass(frozen=True)
class Rates:
    """Shares of the classes and of the three faults."""

    prior: NDArray[np.float64]
    """`(k,)` true shares of the classes."""
    given: NDArray[np.float64]
    """`(k, k)` probability of a label (column) given the true class (row)."""
    foreign: float
    """Share of images of no class."""
    swapped: float
    """Share of captions of another row."""

    @classmethod
    def start(cls, prior: NDArray[np.floating], noise: float = 0.1) -> "Rates":
        """Return rates from which to iterate."""
        return cls(np.asarray(prior, np.float64), _blunt(prior, noise), 0.05, 0.05)


@dataclass(frozen=True)
class Verdict:
    """What follows for each row."""

    posterior: NDArray[np.float64]
    """`(n, k)` probability of each class, given all three witnesses."""
    foreign: NDArray[np.float64]
    """`(n,)` probability that the image shows no class."""
    swapped: NDArray[np.float64]
    """`(n,)` probability that the caption belongs to another row."""
    likelihood: NDArray[np.float64]
    """`(n,)` of the three witnesses together, over that of images and captions by themselves."""


def judge(said: Witnesses, rates: Rates) -> Verdict:
    """Return the posterior of every row.

    Examples
    --------
    >>> sure = np.array([[1.9, 0.1]])
    >>> said = Witnesses(sure, sure, np.array([1]), np.ones(1), np.ones(1))
    >>> int(judge(said, Rates.start(np.full(2, 0.5))).posterior.argmax())
    0
    """
    labelled = (said.label >= 0)[:, None]
    fits = np.where(labelled, rates.given[:, said.label].T, 1.0) * rates.prior
    strange = (rates.foreign * said.strange)[:, None]
    apart = (rates.swapped * said.apart)[:, None]
    seen = (1.0 - rates.foreign) * said.image
    told = (1.0 - rates.swapped) * said.caption
    foreign = (fits * strange * (told * said.apart[:, None] + apart)).sum(axis=1)
    swapped = (fits * apart * (seen + strange)).sum(axis=1)
    joint = fits * (seen * (told + apart) + strange * (told * said.apart[:, None] + apart))
    total = np.maximum(joint.sum(axis=1), 1e-300)
    posterior = joint / total[:, None]
    return Verdict(posterior, foreign / total, swapped / total, total)


def learn_rates(
    said: Witnesses,
    rates: Rates,
    weight: NDArray[np.floating],
    verdict: Verdict,
    backing: float,
) -> Rates:
    """Return the rates that the verdicts of weighted rows add up to: one step of the iteration.

    Every share is drawn to a small fault by a few imagined rows, so that a clean corpus
    stays clean; `backing` rows of each class have labels that go wrong by chance.
    """
    captioned = said.caption.max(axis=1, initial=0.0) != said.caption.min(axis=1, initial=0.0)
    num_classes = len(rates.prior)
    share = (weight @ verdict.posterior + 1.0) / (weight.sum() + num_classes)
    seen = said.label >= 0
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts.T, said.label[seen], (weight[:, None] * verdict.posterior)[seen])
    noise = (counts.sum() - np.trace(counts) + 1.0) / (counts.sum() + 20.0)
    backed = counts + backing * _blunt(counts.sum(axis=0) + 1.0, noise)
    return replace(
        rates,
        prior=share,
        given=backed / backed.sum(axis=1, keepdims=True),
        foreign=_share(verdict.foreign, weight),
        swapped=_share(verdict.swapped, weight * captioned),
    )


def fit_rates(
    said: Witnesses,
    distance: NDArray[np.floating],
    start: Rates,
    weight: NDArray[np.floating],
    backing: float = 100.0,
) -> tuple[Rates, Odds]:
    """Return the rates, and the odds by distance that an image is foreign, by iteration.

    Parameters
    ----------
    said
        Of weighted rows; its `strange` is where to start.
    distance
        `(n,)` distance of each image to the nearest class, over that to the corpus.
    start
        Rates to start from.
    weight
        `(n,)` rows of the corpus that each stands for.
    backing
        Imagined rows of each class whose labels go wrong by chance: few rows prove no confusion.
    """
    rates, odds = start, Odds(np.zeros(2), np.zeros(2))
    for _ in range(STEPS):
        verdict = judge(said, rates)
        rates = learn_rates(said, rates, weight, verdict, backing)
        odds = fit_odds(distance, weight * verdict.foreign, weight * (1.0 - verdict.foreign))
        said = replace(said, strange=odds.at(distance))
    return rates, odds


def _share(chance: NDArray[np.floating], weight: NDArray[np.floating]) -> float:
    """Return the weighted mean of a fault's probability, drawn to 1 % by 50 imagined rows."""
    return float((weight @ chance + 0.5) / (weight.sum() + 50.0))


def _blunt(prior: NDArray[np.floating], noise: float) -> NDArray[np.float64]:
    """Return `(k, k)` label probabilities where a wrong label says nothing of the true class."""
    share = np.maximum(np.asarray(prior, np.float64), 1e-12)
    wrong = np.tile(share, (len(share), 1))
    np.fill_diagonal(wrong, 0.0)
    if len(share) == 1:
        return np.ones((1, 1))
    return noise * wrong / wrong.sum(axis=1, keepdims=True) + (1.0 - noise) * np.eye(len(share))
