"""A mixture of two Gaussians on a histogram: how likely a loss is one of the high ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.histogram import Histogram


@dataclass(frozen=True)
class Mixture:
    """Two Gaussian components of one number; the second has the higher mean.

    Examples
    --------
    >>> value = np.r_[np.full(70, 0.1), np.full(30, 0.9)]
    >>> mixture = fit_mixture(Histogram.of(value, 0.0, 1.0, num_bins=64))
    >>> mixture.high(np.array([0.1, 0.9])).round(3)
    array([0., 1.])
    """

    share: NDArray[np.float64]
    """`(2,)` weights, summing to 1."""
    mean: NDArray[np.float64]
    """`(2,)` increasing."""
    deviation: NDArray[np.float64]
    """`(2,)` standard deviations."""
    is_split: bool
    """Whether two components describe the data better than one."""

    def high(self, value: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the `(n,)` probability of the higher component; zeros if there is no split.

        It never falls as the value rises: below the low mean and above the high mean the
        value is taken as that mean.
        """
        if not self.is_split:
            return np.zeros(len(value))
        density = _log_density(np.clip(value, *self.mean), self)
        return np.exp(density[:, 1] - np.logaddexp(density[:, 0], density[:, 1]))


def fit_mixture(
    histogram: Histogram, num_steps: int = 200, floor: float = 1e-3, min_share: float = 0.005
) -> Mixture:
    """Fit by expectation-maximisation over the bins, after clipping 0.1 % at either end.

    Parameters
    ----------
    histogram
        Of the values; may be empty.
    num_steps
        Steps of expectation-maximisation at most.
    floor
        Smallest standard deviation, as a share of the clipped range.
    min_share
        A component with less weight than this is no component.
    """
    data = histogram.clipped(0.001, 0.999)
    value, weight = data.centre[data.count > 0], data.count[data.count > 0]
    if len(value) <= 1:
        middle = np.full(2, value[0] if len(value) else 0.0)
        return Mixture(np.array([1.0, 0.0]), middle, np.ones(2), is_split=False)
    least = floor * float(value[-1] - value[0])
    fitted = _start(value, weight, least)
    for _ in range(num_steps):
        before, fitted = fitted, _step(value, weight, fitted, least)
        if np.abs(fitted.mean - before.mean).max() < 1e-6 * (value[-1] - value[0]):
            break
    better = _gain(value, weight, fitted, least) > 2.0 * np.log(weight.sum())
    split = bool(better and fitted.share.min() >= min_share)
    order = np.argsort(fitted.mean, kind="stable")
    return Mixture(fitted.share[order], fitted.mean[order], fitted.deviation[order], split)


def _start(value: NDArray[np.float64], weight: NDArray[np.float64], least: float) -> Mixture:
    """Return components at the two ends of the data, as k-means with two centres would."""
    mean = np.array([value[0], value[-1]])
    for _ in range(20):
        upper = value > mean.mean()
        mean = np.array([np.average(value[s], weights=weight[s]) for s in (~upper, upper)])
    share = np.array([weight[~upper].sum(), weight[upper].sum()]) / weight.sum()
    spread = [
        np.average((value[s] - m) ** 2, weights=weight[s])
        for s, m in zip((~upper, upper), mean, strict=True)
    ]
    return Mixture(share, mean, np.maximum(np.sqrt(spread), least), is_split=True)


def _log_density(value: NDArray[np.floating], mixture: Mixture) -> NDArray[np.float64]:
    """Return `(n, 2)` log of share times density, up to a constant."""
    z = (np.asarray(value)[:, None] - mixture.mean) / mixture.deviation
    return np.log(np.maximum(mixture.share, 1e-300)) - np.log(mixture.deviation) - 0.5 * z**2


def _step(
    value: NDArray[np.float64], weight: NDArray[np.float64], before: Mixture, least: float
) -> Mixture:
    """Return the mixture after one step of expectation-maximisation."""
    density = _log_density(value, before)
    member = np.exp(density - np.logaddexp(density[:, :1], density[:, 1:])) * weight[:, None]
    mass = np.maximum(member.sum(axis=0), 1e-12)
    mean = (member * value[:, None]).sum(axis=0) / mass
    variance = (member * (value[:, None] - mean) ** 2).sum(axis=0) / mass
    deviation = np.maximum(np.sqrt(variance), least)
    return Mixture(mass / mass.sum(), mean, deviation, is_split=True)


def _gain(
    value: NDArray[np.float64], weight: NDArray[np.float64], fitted: Mixture, least: float
) -> float:
    """Return twice the log-likelihood that two components win over one."""
    mean = float(np.average(value, weights=weight))
    deviation = max(float(np.sqrt(np.average((value - mean) ** 2, weights=weight))), least)
    one = -np.log(deviation) - 0.5 * ((value - mean) / deviation) ** 2
    two = np.logaddexp(*_log_density(value, fitted).T)
    return 2.0 * float(weight @ (two - one))
