"""Which label a class is given: expectation-maximisation with a class of foreign images.

Chen et al. 2024, "Imprecise label learning": noisy labels, sets of possible labels and rows
without a label are one model, `p(labels, class | x) = p(class | x) sum_j T[class, j]`, with `j`
over the labels that a row may have. Here `T` is a plain row-stochastic matrix and its update is
a closed form. A softmax with a bounded scale `s`, as in the released code, could not say that
few labels are wrong: its diagonal is at most `e^s / (e^s + k - 1)`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from pipeline.numeric.clues import Clue

START = 0.7
"""Share of right labels that the first step assumes."""
FOREIGN = 0.05
"""Share of foreign images among those that fit badly, that the first step assumes."""
PRIOR_ROWS = 10.0
"""Rows with a right label, or with an image of a class, that are added to those seen."""


@dataclass(frozen=True)
class Counts:
    """Expected counts of one step: what the next transition is made of."""

    cell: NDArray[np.float64]
    """`(c,)` rows per kept pair of class and label."""
    rest: NDArray[np.float64]
    """`(k,)` rows of a class with a label outside the kept pairs."""
    mass: NDArray[np.float64]
    """`(k,)` rows of a class."""
    given: NDArray[np.float64]
    """`(k,)` rows of a class by the image alone."""
    foreign: NDArray[np.float64]
    """`(b,)` rows of no class, by fit."""
    rows: NDArray[np.float64]
    """`(b,)` rows, by fit."""

    def merge(self, other: "Counts") -> "Counts":
        """Return the counts of both sets of rows."""
        names = ("cell", "rest", "mass", "given", "foreign", "rows")
        return Counts(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True)
class Transition:
    """The chance of every label in every class, and of an image to be of no class.

    Examples
    --------
    >>> every = Transition.start(np.arange(4), 2, 4)
    >>> share, given = np.array([[0.9, 0.1]]), np.array([[1]])
    >>> row = Clue(np.array([[0, 1]]), share, given, np.array([3]))
    >>> every.posterior(row)[0].round(2)
    array([[0.79, 0.21]])
    """

    cell: NDArray[np.int64]
    """`(c,)` rising `class * k + label`: the pairs that are kept; every diagonal one is."""
    chance: NDArray[np.float64]
    """`(c,)` their probabilities given the class."""
    rest: NDArray[np.float64]
    """`(k,)` probability of every single label of a class without a kept pair."""
    ratio: NDArray[np.float64]
    """`(k,)` how much more frequent a class is than its probabilities say."""
    foreign: NDArray[np.float64]
    """`(b,)` share of images of no class, by fit; 0 in the better half of the bins."""

    @classmethod
    def start(cls, cell: NDArray[np.int64], num_classes: int, num_bins: int) -> "Transition":
        """Return a transition with equal errors over kept pairs `cell` and all others."""
        error = (1.0 - START) / max(num_classes - 1, 1)
        right = START if num_classes > 1 else 1.0
        chance = np.where(cell // num_classes == cell % num_classes, right, error)
        foreign = np.where(np.arange(num_bins) < num_bins // 2, FOREIGN, 0.0)
        every = np.ones(num_classes)
        return cls(cell, chance, error * every, every, foreign)

    @property
    def given(self) -> NDArray[np.float64]:
        """Return the `(k, k)` probabilities of a label (column) given the class (row)."""
        size = len(self.rest)
        given = np.repeat(self.rest, size)
        given[self.cell] = self.chance
        return given.reshape(size, size)

    def posterior(self, clue: Clue) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the `(n, m)` probabilities of the classes, and the `(n,)` of no class."""
        return self._posterior(clue, self._emission(clue)[0])[:2]

    def likelihood(self, clue: Clue) -> float:
        """Return the log-likelihood of the labels given the images."""
        return float(np.log(self._posterior(clue, self._emission(clue)[0])[2]).sum())

    def counts(self, clue: Clue) -> Counts:
        """Return the expected counts of `n` rows."""
        chance, place = self._emission(clue)
        member, alien, _ = self._posterior(clue, chance)
        total = np.maximum(chance.sum(axis=2, keepdims=True), 1e-30)
        mass, kept = member[:, :, None] * chance / total, place >= 0
        lost, size = np.where(kept, 0.0, mass).sum(axis=2), len(self.rest)
        named = clue.share * (1.0 - alien)[:, None]
        return Counts(
            _summed(place[kept], mass[kept], len(self.cell)),
            _summed(clue.top, lost, size),
            _summed(clue.top, member, size),
            _summed(clue.top, named, size),
            _summed(clue.fit, alien, len(self.foreign)),
            _summed(clue.fit, np.ones(len(clue.fit)), len(self.foreign)),
        )

    def step(self, counts: Counts) -> "Transition":
        """Return the most likely transition after `counts`, under a Dirichlet prior.

        The prior is `1 + 10 I`: ten rows with a right label per class. The share of foreign
        images never rises with the fit and is 0 in the better half: labels that an image of
        a class does not explain are confusions there.
        """
        size = len(self.rest)
        of_class = self.cell // size
        own = of_class == self.cell % size
        cell = counts.cell + PRIOR_ROWS * own
        total = np.bincount(of_class, cell, minlength=size) + counts.rest
        left = np.maximum(size - np.bincount(of_class, minlength=size), 1)
        ratio = (counts.mass + 1.0) / (counts.given + 1.0)
        bad = slice(0, len(self.foreign) // 2)
        rows = counts.rows[bad] + PRIOR_ROWS
        found = isotonic_regression(counts.foreign[bad] / rows, weights=rows, increasing=False).x
        foreign = np.zeros(len(self.foreign))
        foreign[bad] = found
        return replace(
            self,
            chance=cell / total[of_class],
            rest=counts.rest / total / left,
            ratio=ratio,
            foreign=foreign,
        )

    def _posterior(
        self, clue: Clue, chance: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        may = clue.given >= 0
        labelled = np.any(may, axis=1)
        told = np.where(labelled[:, None], chance.sum(axis=2), 1.0)
        by_chance = np.where(labelled, may.sum(axis=1) / len(self.rest), 1.0)
        share, none = clue.share * self.ratio[clue.top], self.foreign[clue.fit]
        share = share * ((1.0 - none) / np.maximum(share.sum(axis=1), 1e-30))[:, None]
        joint, alien = share * told, none * by_chance
        total = np.maximum(joint.sum(axis=1) + alien, 1e-30)
        return joint / total[:, None], alien / total, total

    def _emission(self, clue: Clue) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return `(n, m, s)` chances of each given label in each class, and their kept pairs.

        The place of a pair is -1 if it is not kept; the chance of a padded label is 0.
        """
        size, given = len(self.rest), clue.given[:, None, :]
        key = np.where(given >= 0, clue.top[:, :, None] * size + given, -1)
        if len(self.cell) == size**2:
            return np.where(key >= 0, self.chance[key], 0.0), key
        place = np.minimum(np.searchsorted(self.cell, key), len(self.cell) - 1)
        place = np.where(self.cell[place] == key, place, -1)
        chance = np.where(place >= 0, self.chance[place], self.rest[clue.top][:, :, None])
        return np.where(given >= 0, chance, 0.0), place


def _summed(index: NDArray[np.int64], value: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    return np.bincount(index.ravel(), value.ravel(), minlength=size).astype(np.float64)
