"""Pool several kinds of evidence for the same classes, each trusted as far as it proves right."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit


def fit_pool(
    evidence: NDArray[np.floating],
    label: NDArray[np.integer],
    prior: NDArray[np.floating],
    weight: NDArray[np.floating],
    noise: float | None = None,
    penalty: float = 1e-3,
) -> tuple[NDArray[np.float64], float]:
    """Return the weights of a logarithmic opinion pool, and the noise rate of the labels.

    Maximises the likelihood of noisy labels,
    `(1 - noise) softmax(sum_m a_m evidence_m + log prior)[label] + noise prior[label]`, over
    `a >= 0` and the noise rate. A constant factor on a source (a temperature) is part of
    its weight, so no source needs one of its own.

    Parameters
    ----------
    evidence
        `(m, n, k)` log-evidence of `m` sources, out of fold.
    label
        `(n,)` noisy labels.
    prior
        `(k,)` shares of the classes.
    weight
        `(n,)` rows that each row stands for.
    noise
        The noise rate, if it is known from elsewhere.
    penalty
        On the squared weights of the standardised sources, per row.

    Returns
    -------
    `(m,)` weights and the noise rate; zeros without rows.

    Examples
    --------
    >>> source = np.eye(2)[np.array([0, 1] * 20)][None] * 4.0
    >>> pool, noise = fit_pool(source, np.array([0, 1] * 20), np.full(2, 0.5), np.ones(40))
    >>> bool(pool[0] > 1.0), bool(noise < 0.05)
    (True, True)
    """
    if not len(label):
        return np.zeros(len(evidence)), 0.0
    deviation = np.maximum(evidence.std(axis=2).mean(axis=1), 1e-9)
    source = np.asarray(evidence, dtype=np.float64) / deviation[:, None, None]
    mass = weight / max(float(weight.sum()), 1e-12)
    rows, log_prior = np.arange(len(label)), np.log(np.maximum(prior, 1e-12))

    def loss(free: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        rate = expit(free[-1])
        chance = np.exp(log_softmax(np.tensordot(free[:-1], source, 1) + log_prior, axis=1))
        right = (1.0 - rate) * chance[rows, label]
        likely = np.maximum(right + rate * prior[label], 1e-300)
        trusted = mass * right / likely
        gain = source[:, rows, label] - np.einsum("mnk,nk->mn", source, chance)
        slope = gain @ trusted - 2.0 * penalty * free[:-1]
        by_noise = mass @ ((prior[label] - chance[rows, label]) / likely) * rate * (1.0 - rate)
        value = mass @ np.log(likely) - penalty * float(free[:-1] @ free[:-1])
        return -float(value), -np.r_[slope, by_noise]

    range_ = (1e-3, 0.9) if noise is None else (noise, noise)
    start = np.r_[np.full(len(source), 1.0 / len(source)), logit(min(0.2, range_[1]))]
    bounds = [(0.0, 50.0)] * len(source) + [(logit(range_[0]), logit(range_[1]))]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:-1] / deviation, float(expit(found.x[-1]))
