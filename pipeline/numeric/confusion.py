"""How labels of one class come to be called another, and how sharp probabilities are beside it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHARPER = (0.5, 0.65, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5)
"""Exponents of the probabilities that are tried."""
STEPS = 30
"""Steps of expectation-maximisation."""
BACKING = 10.0
"""Imagined rows of each class whose labels go wrong by chance: few rows prove no confusion."""


@dataclass(frozen=True)
class Confusion:
    """The label that each class is given, and the sharpness under which that explains most."""

    given: NDArray[np.float64]
    """`(k, k)` probability of a label (column) given the class (row)."""
    sharper: float
    """Exponent of the probabilities."""

    def wrong(
        self, share: NDArray[np.floating], label: NDArray[np.integer]
    ) -> NDArray[np.floating]:
        """Return the `(n,)` probabilities that labels in `[0, k)` are wrong, by Bayes' rule.

        Examples
        --------
        >>> confusion = Confusion(np.array([[0.9, 0.1], [0.1, 0.9]]), 1.0)
        >>> confusion.wrong(np.array([[0.5, 0.5], [0.1, 0.9]]), np.array([0, 0])).round(2)
        array([0.1, 0.5])
        """
        return 1.0 - _own(_posterior(_sharpened(share, self.sharper), self.given, label), label)


def fit_confusion(
    share: NDArray[np.floating],
    label: NDArray[np.integer],
    prior: NDArray[np.floating],
    noise: float,
) -> Confusion:
    """Fit confusions and sharpness to noisy labels: the pair under which they are likeliest.

    Chen et al. 2024, "Imprecise label learning", equation 6, for the noisy-label case. The
    probabilities must not have seen the labels of their own rows.

    Parameters
    ----------
    share
        `(n, k)` class probabilities.
    label
        `(n,)` noisy labels in `[0, k)`.
    prior
        `(k,)` shares of the labels.
    noise
        Rate of labels that go wrong by chance: where to start, and what few rows fall back on.

    Examples
    --------
    >>> label = np.arange(400) % 2
    >>> share = np.where(np.eye(2)[label] > 0, 0.99, 0.01)
    >>> noisy = np.where(np.arange(400) % 8 == 0, 1, label)
    >>> fit_confusion(share, noisy, np.full(2, 0.5), 0.1).given.round(1)
    array([[0.8, 0.2],
           [0. , 1. ]])
    """
    by_chance = (1.0 - noise) * np.eye(len(prior)) + noise * np.asarray(prior, np.float64)
    tried = []
    for sharper in SHARPER:
        sharpened, given = _sharpened(share, sharper), by_chance
        for _ in range(STEPS):
            counts = BACKING * by_chance
            np.add.at(counts.T, label, _posterior(sharpened, given, label))
            given = counts / counts.sum(axis=1, keepdims=True)
        evidence = _joint(sharpened, given, label).sum(axis=1)
        likelihood = float(np.log(np.maximum(evidence, 1e-300)).sum())
        tried.append((likelihood, Confusion(given, sharper)))
    return max(tried, key=lambda pair: pair[0])[1]


def _sharpened(share: NDArray[np.floating], exponent: float) -> NDArray[np.floating]:
    value = np.asarray(share, np.float64) ** exponent
    return value / np.maximum(value.sum(axis=1, keepdims=True), 1e-300)


def _joint(
    share: NDArray[np.floating], given: NDArray[np.floating], label: NDArray[np.integer]
) -> NDArray[np.floating]:
    return share * given[:, label].T


def _posterior(
    share: NDArray[np.floating], given: NDArray[np.floating], label: NDArray[np.integer]
) -> NDArray[np.floating]:
    joint = _joint(share, given, label)
    return joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)


def _own(value: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.floating]:
    return value[np.arange(len(label)), label]
