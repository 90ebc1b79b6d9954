"""From evidence for classes to probabilities, and to that of a label being wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from pipeline.numeric.temperature import NoisyFit

HALF = 0.5
"""What a label that is as likely wrong as right counts."""


@dataclass(frozen=True)
class Calibration:
    """How sharp the evidence for classes is, and how often labels are wrong at all.

    Examples
    --------
    >>> evidence = np.array([[9.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 0.0]])
    >>> fitted = Calibration.of(evidence, np.array([0, 1, 0, 1]), np.array([0.5, 0.5]))
    >>> fitted.wrong(np.array([0.9, 0.5, 0.1])).round(2), round(fitted.rate, 2)
    (array([0.04, 0.25, 0.75]), 0.25)
    """

    prior: NDArray[np.float64]
    """`(k,)` shares of the labels."""
    scale: float
    """Factor on the evidence, by which it explains the labels best."""
    rate: float
    """Share of wrong labels, 1/2 at most."""

    @classmethod
    def of(
        cls, evidence: NDArray[np.floating], label: NDArray[np.integer], prior: NDArray[np.float64]
    ) -> "Calibration":
        """Choose by `(n, k)` logs of how much likelier than its prior each class is.

        The labels must not have told the evidence of their own rows.
        """
        scale = NoisyFit.of(evidence, label, prior).best()[0]
        share = softmax(scale * evidence + np.log(prior), axis=1)
        return cls(prior, scale, wrong_rate(own_share(share, label)))

    def probability(self, evidence: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return `(n, k)` probabilities of the classes, whatever the rows are labelled."""
        return np.asarray(softmax(self.scale * evidence + np.log(self.prior), axis=1))

    def wrong(self, own: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the `(n,)` probabilities that labels of these probabilities are wrong."""
        return _posterior(own, self.rate)


def own_share(share: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.floating]:
    """Return the `(n,)` probabilities of labels; that of class 0 where there is none."""
    return np.take_along_axis(share, np.maximum(label, 0)[:, None], axis=1)[:, 0]


def wrong_rate(own: NDArray[np.floating], num_steps: int = 100) -> float:
    """Return the share of wrong labels among rows, given the probabilities of their labels.

    Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori probabilities":
    the rate is that which, as the prior, returns itself as the mean. Without it, rows that lie
    badly would count as wrong in a corpus where nothing is.

    Examples
    --------
    >>> round(wrong_rate(np.r_[np.full(90, 0.95), np.full(10, 0.001)]), 3)
    0.105
    """
    rate = HALF
    for _ in range(num_steps if len(own) else 0):
        rate = float(_posterior(own, rate).mean())
    return min(rate, HALF)


def _posterior(own: NDArray[np.floating], rate: float) -> NDArray[np.float64]:
    wrong, right = rate * (1.0 - own), (1.0 - rate) * own
    return np.asarray(wrong / np.maximum(wrong + right, np.finfo(float).tiny))
