"""Early-learning regularisation: what a head said of a row early on holds it back later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

SIZE = 8
"""Classes that are remembered of a row."""
LEAST = 1e-4
"""What is left at least of 1 minus the agreement: at 0 its logarithm has no bound."""


@dataclass(frozen=True)
class Memory:
    """A moving average of the class probabilities of every row, sparse.

    Examples
    --------
    >>> memory = Memory.empty(2, 3).update(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]), 0.5)
    >>> memory.dense(3).round(2)
    array([[0.35, 0.1 , 0.05],
           [0.05, 0.05, 0.4 ]])
    """

    place: NDArray[np.int32]
    """`(n, m)` classes."""
    value: NDArray[np.float32]
    """`(n, m)` their averages; those of all other classes count as 0."""

    @classmethod
    def empty(cls, num_rows: int, num_classes: int) -> "Memory":
        """Return the memory of rows that no head has seen."""
        size = min(SIZE, num_classes)
        place = np.tile(np.arange(size, dtype=np.int32), (num_rows, 1))
        return cls(place, np.zeros((num_rows, size), np.float32))

    def update(self, chance: NDArray[np.floating], momentum: float) -> "Memory":
        """Return the memory after `(n, k)` probabilities, of which the largest are kept.

        Liu et al. 2020, "Early-learning regularization prevents memorization of noisy labels",
        equation 9: `t <- momentum t + (1 - momentum) p`.
        """
        moved = (1.0 - momentum) * chance
        rows = np.arange(len(moved))[:, None]
        moved[rows, self.place] += momentum * self.value
        size = self.place.shape[1]
        place = np.argsort(-moved, axis=1, kind="stable")[:, :size].astype(np.int32)
        return Memory(place, moved[rows, place].astype(np.float32))

    def dense(self, num_classes: int) -> NDArray[np.float64]:
        """Return the `(n, k)` averages."""
        value = np.zeros((len(self.place), num_classes))
        np.put_along_axis(value, self.place, self.value, axis=1)
        return value


def early_loss(
    logit: NDArray[np.floating],
    label: NDArray[np.integer],
    target: NDArray[np.floating],
    strength: float,
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean loss and its gradient with respect to the logits.

    Liu et al. 2020, equation 6: cross-entropy plus `strength log(1 - <t, p>)`. It falls without
    bound as a head agrees with what it remembers, so it is negative by design. The gradient
    `-strength / (1 - <t, p>) p (t - <t, p>)` cancels that of a label which the memory denies.

    Parameters
    ----------
    logit
        `(n, k)`.
    label
        `(n,)` classes.
    target
        `(n, k)` memory of each row, which is a constant here.
    strength
        Of the regulariser; at 0 the loss is the cross-entropy.
    """
    rows, count = np.arange(len(label)), max(len(label), 1)
    chance = softmax(logit, axis=1)
    agreed = (target * chance).sum(axis=1, keepdims=True)
    left = np.maximum(1.0 - agreed, LEAST)
    entropy = -log_softmax(logit, axis=1)[rows, label].sum()
    value = (entropy + strength * np.log(left).sum()) / count
    slope = chance - strength / left * chance * (target - agreed)
    slope[rows, label] -= 1.0
    return float(value), slope / count
