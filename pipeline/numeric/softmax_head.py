"""A linear softmax head on frozen embeddings, trained on all rows of a bounded sample at once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from pipeline.numeric.adam import Adam

Gradient = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From `(n, k)` logits to the gradient of the mean loss with respect to them."""


@dataclass(frozen=True)
class SoftmaxHead:
    """A linear classifier of standardised embeddings.

    Examples
    --------
    >>> rows, label = np.eye(2)[[0, 0, 1, 1]], np.array([0, 0, 1, 1])
    >>> head = fit_head(rows, label, np.ones(4), 2, penalty=0.1)
    >>> head.logits(rows).argmax(axis=1)
    array([0, 0, 1, 1])
    """

    mean: NDArray[np.float64]
    """`(d,)` what is taken from the rows first."""
    scale: float
    """What the rest is divided by: the root of the mean variance of a dimension."""
    weight: NDArray[np.float64]
    """`(d + 1, k)`, the intercepts last."""

    @classmethod
    def zeros(cls, embedding: NDArray[np.floating], num_classes: int) -> "SoftmaxHead":
        """Return the head that knows nothing yet, standardised to `(n, d)` rows."""
        rows = np.asarray(embedding, np.float64)
        mean = rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1])
        spread = float(np.sqrt(((rows - mean) ** 2).mean())) if rows.size else 1.0
        return cls(mean, max(spread, 1e-6), np.zeros((rows.shape[1] + 1, num_classes)))

    def inputs(self, embedding: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return `(n, d + 1)` standardised rows with a constant."""
        rows = (np.asarray(embedding, np.float64) - self.mean) / self.scale
        return np.column_stack([rows, np.ones(len(rows))])

    def logits(self, embedding: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return `(n, k)` logits."""
        return self.inputs(embedding) @ self.weight

    def with_weight(self, weight: NDArray[np.float64]) -> "SoftmaxHead":
        """Return the head with other weights."""
        return SoftmaxHead(self.mean, self.scale, weight)


@dataclass(frozen=True)
class HalfHeads:
    """One head per half of the rows, trained on the other half: no row is scored by its own.

    Examples
    --------
    >>> head = SoftmaxHead(np.zeros(2), 1.0, np.eye(3, 2))
    >>> other = head.with_weight(-head.weight)
    >>> HalfHeads.of([head, other]).logits(np.eye(2), np.array([0, 1]))
    array([[ 1.,  0.],
           [ 0., -1.]])
    """

    mean: NDArray[np.float64]
    """`(2, d)`, one row per head, as the others."""
    scale: NDArray[np.float64]
    """`(2,)`."""
    weight: NDArray[np.float64]
    """`(2, d + 1, k)`."""

    @classmethod
    def of(cls, head: list[SoftmaxHead]) -> "HalfHeads":
        """Return the heads that score the first and the second half."""
        mean, weight = (
            np.stack(part) for part in zip(*((h.mean, h.weight) for h in head), strict=True)
        )
        return cls(mean, np.array([h.scale for h in head]), weight)

    def logits(
        self, embedding: NDArray[np.floating], half: NDArray[np.integer]
    ) -> NDArray[np.float64]:
        """Return `(n, k)` logits of `(n, d)` rows of the `(n,)` halves 0 and 1."""
        value = np.empty((len(embedding), self.weight.shape[2]))
        for h in range(2):
            head = SoftmaxHead(self.mean[h], float(self.scale[h]), self.weight[h])
            value[half == h] = head.logits(embedding[half == h])
        return value


def fit_head(
    embedding: NDArray[np.floating],
    label: NDArray[np.integer],
    weight: NDArray[np.floating],
    num_classes: int,
    penalty: float = 1.0,
    steps: int = 100,
) -> SoftmaxHead:
    """Return the multinomial logistic regression of some rows, by L-BFGS.

    Parameters
    ----------
    embedding
        `(n, d)` rows.
    label
        `(n,)` classes.
    weight
        `(n,)` non-negative weights of the rows.
    num_classes
        `k`.
    penalty
        Weight of half the squared slopes, in rows: the inverse of scikit-learn's `C`.
    steps
        Steps of L-BFGS at most.
    """
    head, target = SoftmaxHead.zeros(embedding, num_classes), np.eye(num_classes)[label]
    rows = head.inputs(embedding)
    ridge = np.r_[np.full(rows.shape[1] - 1, penalty), 1e-9][:, None]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope = flat.reshape(head.weight.shape)
        log_chance = log_softmax(rows @ slope, axis=1)
        value = -(weight[:, None] * target * log_chance).sum() + 0.5 * (ridge * slope**2).sum()
        miss = weight[:, None] * (np.exp(log_chance) - target)
        return float(value), (rows.T @ miss + ridge * slope).ravel()

    limit = {"maxiter": steps}
    found = minimize(loss, head.weight.ravel(), jac=True, method="L-BFGS-B", options=limit)
    return head.with_weight(found.x.reshape(head.weight.shape))


def descend(
    head: SoftmaxHead,
    embedding: NDArray[np.floating],
    gradient: Gradient,
    rate: float,
    decay: float = 0.0,
) -> Iterator[SoftmaxHead]:
    """Yield the head after each step of Adam on all rows, for ever.

    Parameters
    ----------
    head
        Where to start.
    embedding
        `(n, d)` rows.
    gradient
        Of the mean loss with respect to the logits; called once per step.
    rate
        Size of a step.
    decay
        Weight of half the squared slopes.
    """
    rows, weight, adam = head.inputs(embedding), head.weight, Adam(rate)
    ridge = np.r_[np.full(len(weight) - 1, decay), 0.0][:, None]
    while True:
        weight = adam.step(weight, rows.T @ gradient(rows @ weight) + ridge * weight)
        yield head.with_weight(weight)
