"""Which sharpness, and how much label noise, explain the noisy labels best: one sum per choice."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

SCALES = np.geomspace(0.02, 8.0, 14)
"""Factors on evidence that is already in nats."""
NOISES = np.array([0.002, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8])
"""Shares of labels that say nothing of the row."""


@dataclass(frozen=True)
class NoisyFit:
    """Log-likelihood of noisy labels for every pair of a scale and a noise rate.

    A label is right with probability `1 - noise`; else it is drawn from `prior`:
    `p(label | x) = (1 - noise) softmax(scale * evidence + log prior)[label] + noise prior[label]`.

    Examples
    --------
    >>> evidence = np.array([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 0.0]])
    >>> label = np.array([0, 1, 0, 1])
    >>> fit = NoisyFit.of(evidence, label, np.array([0.5, 0.5]))
    >>> scale, noise, _ = fit.best()
    >>> bool(scale > 0.2), round(float(noise), 2)
    (True, 0.5)
    """

    scale: NDArray[np.float64]
    """`(s,)` factors tried."""
    noise: NDArray[np.float64]
    """`(e,)` noise rates tried."""
    value: NDArray[np.float64]
    """`(s, e)` sums of log-likelihoods."""

    @classmethod
    def of(
        cls,
        evidence: NDArray[np.floating],
        label: NDArray[np.integer],
        prior: NDArray[np.floating],
        grid: tuple[NDArray[np.float64], NDArray[np.float64]] = (SCALES, NOISES),
        weight: NDArray[np.floating] | None = None,
    ) -> "NoisyFit":
        """Sum a batch of `(n, k)` evidence, `(n,)` labels and `(n,)` weights."""
        scale, noise = grid
        mass = np.ones(len(label)) if weight is None else np.asarray(weight, np.float64)
        rows, by_chance = np.arange(len(label)), prior[label][:, None]
        log_prior = np.log(prior).astype(np.float32)
        value = np.empty((len(scale), len(noise)))
        for i, factor in enumerate(scale):
            logit = np.asarray(evidence * float(factor) + log_prior, dtype=np.float32)
            own = log_softmax(logit, axis=1)[rows, label]
            chance = np.exp(own.astype(np.float64))[:, None] * (1.0 - noise) + by_chance * noise
            value[i] = mass @ np.log(np.maximum(chance, 1e-300))
        return cls(scale, noise, value)

    def merge(self, other: "NoisyFit") -> "NoisyFit":
        """Return the sums over both sets of rows."""
        return NoisyFit(self.scale, self.noise, self.value + other.value)

    def best(self) -> tuple[float, float, float]:
        """Return the best scale and noise rate, and their log-likelihood."""
        i, j = np.unravel_index(int(self.value.argmax()), self.value.shape)
        return float(self.scale[i]), float(self.noise[j]), float(self.value[i, j])
