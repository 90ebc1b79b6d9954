"""Pairs of Gaussian components, one pair per class, climbed together on histograms."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEPS = 100
"""Steps of expectation-maximisation."""


@dataclass(frozen=True)
class Components:
    """Two Gaussian components for each of `k` classes.

    Examples
    --------
    >>> pair = Components.repeat(np.array([0.5, 0.5]), np.array([0.0, 1.0]), np.ones(2), 3)
    >>> pair.log_density(np.zeros(4)).shape
    (3, 4, 2)
    """

    share: NDArray[np.float64]
    """`(k, 2)` weights, summing to 1."""
    mean: NDArray[np.float64]
    """`(k, 2)`."""
    deviation: NDArray[np.float64]
    """`(k, 2)` standard deviations."""

    @classmethod
    def repeat(
        cls,
        share: NDArray[np.float64],
        mean: NDArray[np.float64],
        deviation: NDArray[np.float64],
        num_classes: int,
    ) -> "Components":
        """Return the same two components for every class."""
        return cls(*(np.tile(part, (num_classes, 1)) for part in (share, mean, deviation)))

    @classmethod
    def at_ends(
        cls, value: NDArray[np.float64], count: NDArray[np.float64], least: float
    ) -> "Components":
        """Return components at the 5 % and 95 % quantiles of `(k, b)` counts at `(b,)` values."""
        reached = np.cumsum(count, axis=1) / np.maximum(count.sum(axis=1, keepdims=True), 1e-12)
        place = [(reached > share).argmax(axis=1) for share in (0.05, 0.95)]
        mean = np.stack([value[p] for p in place], axis=1)
        quarter = np.maximum(np.diff(mean) / 4.0, least)
        return cls(np.full_like(mean, 0.5), mean, np.repeat(quarter, 2, axis=1))

    def where(self, first: NDArray[np.bool_], other: "Components") -> "Components":
        """Return these for the classes in `(k,)` `first`, and the other's for the rest."""
        pick = first[:, None]
        return Components(
            np.where(pick, self.share, other.share),
            np.where(pick, self.mean, other.mean),
            np.where(pick, self.deviation, other.deviation),
        )

    def pooled(self, weight: NDArray[np.float64], *, apart: bool) -> "Components":
        """Return for every class the weighted mean of all of them.

        With `apart` the means stay, and the deviations are those within classes; without, the
        deviations hold how far the classes lie from each other as well.
        """
        mass = self.share * weight[:, None]
        total = np.maximum(mass.sum(axis=0), 1e-12)
        mean = (mass * self.mean).sum(axis=0) / total
        away = 0.0 if apart else (self.mean - mean) ** 2
        spread = np.sqrt((mass * (self.deviation**2 + away)).sum(axis=0) / total)
        common = Components.repeat(total / total.sum(), mean, spread, len(weight))
        return Components(common.share, self.mean, common.deviation) if apart else common

    def log_density(self, value: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return `(k, b, 2)` logs of share times density at `(b,)` or `(k, b)` values."""
        share, mean, deviation = self.share[:, None], self.mean[:, None], self.deviation[:, None]
        z = (np.atleast_2d(value)[..., None] - mean) / deviation
        return np.asarray(np.log(np.maximum(share, 1e-300)) - np.log(deviation) - 0.5 * z**2)

    def gain(self, value: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return twice the log-likelihood that two components win over one, `(k,)`."""
        rows = np.maximum(count.sum(axis=1), 1e-12)
        middle = count @ value / rows
        spread = np.sqrt(np.maximum(count @ value**2 / rows - middle**2, 1e-12))
        one = -np.log(spread)[:, None] - 0.5 * ((value - middle[:, None]) / spread[:, None]) ** 2
        two = np.logaddexp(*np.moveaxis(self.log_density(value), -1, 0))
        return np.asarray(2.0 * (count * (two - one)).sum(axis=1))

    def has_dip(self, depth: float) -> NDArray[np.bool_]:
        """Return for which classes the density falls below `depth` of a peak between the means."""
        line = np.linspace(self.mean[:, 0], self.mean[:, 1], 33, axis=1)
        density = np.logaddexp(*np.moveaxis(self.log_density(line), -1, 0))
        lower = density[:, [0, -1]].min(axis=1)
        return np.asarray(density.min(axis=1) < lower + np.log(depth))

    def climb(
        self,
        value: NDArray[np.float64],
        count: NDArray[np.float64],
        prior: "Components",
        prior_rows: float,
        least: float,
    ) -> "Components":
        """Return the components after expectation-maximisation, in rising order.

        Parameters
        ----------
        value
            `(b,)` middles of the bins.
        count
            `(k, b)` rows.
        prior
            Shares, means and deviations of the rows that each class borrows.
        prior_rows
            How many those are.
        least
            Smallest standard deviation.
        """
        borrowed, fitted = prior_rows * prior.share, self
        for _ in range(STEPS):
            member = fitted.members(value, count)
            mass = np.maximum(member.sum(axis=1) + borrowed, 1e-12)
            mean = (np.einsum("kbc,b->kc", member, value) + borrowed * prior.mean) / mass
            away = (value[None, :, None] - mean[:, None]) ** 2
            spread = (member * away).sum(axis=1) + borrowed * prior.deviation**2
            deviation = np.maximum(np.sqrt(spread / mass), least)
            fitted = Components(mass / mass.sum(axis=1, keepdims=True), mean, deviation)
        order = np.argsort(fitted.mean, axis=1, kind="stable")
        parts = (fitted.share, fitted.mean, fitted.deviation)
        return Components(*(np.take_along_axis(part, order, axis=1) for part in parts))

    def weigh(
        self, value: NDArray[np.float64], count: NDArray[np.float64], prior_rows: float
    ) -> "Components":
        """Return the components with shares of their own, `prior_rows` rows of which are given."""
        fitted = self
        for _ in range(STEPS):
            mass = fitted.members(value, count).sum(axis=1) + prior_rows * self.share
            share = mass / np.maximum(mass.sum(axis=1, keepdims=True), 1e-12)
            fitted = Components(share, self.mean, self.deviation)
        return fitted

    def members(
        self, value: NDArray[np.float64], count: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return `(k, b, 2)` rows of each component in each bin."""
        density = self.log_density(value)
        whole = np.logaddexp(density[..., :1], density[..., 1:])
        return np.asarray(np.exp(density - whole) * count[..., None])
