"""A small network that weighs rows by what dropout says of their labels, learned by its effect."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax

CATEGORIES = 2
"""Rows whose label most passes predict, and all others."""
QUANTITIES = 4
"""Mean and deviation over the passes of the loss and of the largest probability."""
FEATURES = 3 * QUANTITIES + 3
"""Of each quantity the value and its cell's mean and deviation; KL, overlap, agreement."""
MAJORITY = 0.5
"""Share of passes above which they agree with a label."""
LEAST = 1e-3
"""Smallest deviation: passes that agree entirely would make the divergence infinite."""


@dataclass(frozen=True)
class CellStats:
    """Sums of quantities and of their squares, by class and by agreement.

    Examples
    --------
    >>> quantity, label = np.array([[1.0], [3.0]]), np.array([0, 0])
    >>> stats = CellStats.of(quantity, label, np.array([True, True]), 2)
    >>> mean, deviation = stats.merge(stats).spread(prior_rows=0.0)
    >>> mean[0, 1], deviation[0, 1]
    (array([2.]), array([1.]))
    """

    count: NDArray[np.float64]
    """`(k, 2)` rows."""
    total: NDArray[np.float64]
    """`(k, 2, q)`."""
    square: NDArray[np.float64]
    """`(k, 2, q)`."""

    @classmethod
    def of(
        cls,
        quantity: NDArray[np.floating],
        label: NDArray[np.integer],
        agreed: NDArray[np.bool_],
        num_classes: int,
    ) -> "CellStats":
        """Sum `(n, q)` quantities of `(n,)` classes and agreements."""
        shape = (num_classes, CATEGORIES, quantity.shape[1])
        total, square = np.zeros(shape), np.zeros(shape)
        cell, num_cells = label * CATEGORIES + agreed, num_classes * CATEGORIES
        for j, column in enumerate(quantity.T):
            total[..., j] = np.bincount(cell, column, num_cells).reshape(shape[:2])
            square[..., j] = np.bincount(cell, column**2, num_cells).reshape(shape[:2])
        count = np.bincount(cell, minlength=num_cells).reshape(shape[:2])
        return cls(count.astype(np.float64), total, square)

    def merge(self, other: "CellStats") -> "CellStats":
        """Return the sums over both sets of rows."""
        return CellStats(
            self.count + other.count, self.total + other.total, self.square + other.square
        )

    def spread(self, prior_rows: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return `(k, 2, q)` means and deviations.

        A cell borrows `prior_rows` rows of its category: of many classes most cells are empty.
        """
        rows = np.maximum(self.count.sum(axis=0), 1e-12)[:, None]
        borrowed = [part.sum(axis=0) / rows for part in (self.total, self.square)]
        mass = np.maximum(self.count + prior_rows, 1e-12)[..., None]
        mean = (self.total + prior_rows * borrowed[0]) / mass
        square = (self.square + prior_rows * borrowed[1]) / mass
        return mean, np.maximum(np.sqrt(np.maximum(square - mean**2, 0.0)), LEAST)


def quantities(
    logit: NDArray[np.floating], label: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `(n, 4)` quantities and the `(n,)` shares of passes that predict the label.

    Parameters
    ----------
    logit
        `(g, n, k)`, one per pass.
    label
        `(n,)` classes.
    """
    log = log_softmax(logit, axis=2)
    loss, most = -log[:, np.arange(len(label)), label], np.exp(log.max(axis=2))
    passes = (loss.mean(axis=0), loss.std(axis=0), most.mean(axis=0), most.std(axis=0))
    return np.stack(passes, axis=1), (logit.argmax(axis=2) == label).mean(axis=0)


def features(
    quantity: NDArray[np.float64],
    agreement: NDArray[np.float64],
    label: NDArray[np.integer],
    spread: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Return the `(n, 15)` features of a row among those of its class and agreement.

    Heck et al. 2025, "Learning from noisy labels via self-taught on-the-fly meta loss rescaling":
    the divergence is `KL(N(row) || N(cell))` of the losses, the overlap the Bhattacharyya
    coefficient of the same two.
    """
    agreed = (agreement > MAJORITY).astype(np.int64)
    mean, deviation = (part[label, agreed] for part in spread)
    away, own, cell = quantity[:, 0] - mean[:, 0], quantity[:, 1] + LEAST, deviation[:, 0]
    both = own**2 + cell**2
    divergence = np.log(cell / own) + (own**2 + away**2) / (2.0 * cell**2) - 0.5
    overlap = np.sqrt(2.0 * own * cell / both) * np.exp(-0.25 * away**2 / both)
    parts = (quantity, mean, deviation, np.log1p(np.maximum(divergence, 0.0)), overlap, agreement)
    return np.column_stack(parts)


@dataclass(frozen=True)
class Rescaler:
    """A network of one hidden layer from standardised features to the logit of a weight."""

    centre: NDArray[np.float64]
    """`(15,)` taken from the features first."""
    width: NDArray[np.float64]
    """`(15,)` what the rest is divided by."""
    hidden: NDArray[np.float64]
    """`(16, h)`, the intercepts last."""
    out: NDArray[np.float64]
    """`(h + 1,)`, the intercept last."""

    @classmethod
    def start(cls, size: int = FEATURES) -> "Rescaler":
        """Return a network of small fixed weights that weighs all rows alike."""
        draw = np.random.default_rng(0).normal(size=(FEATURES + 1, size)) / np.sqrt(FEATURES)
        return cls(np.zeros(FEATURES), np.ones(FEATURES), draw, np.zeros(size + 1))

    def standardised(self, feature: NDArray[np.float64]) -> "Rescaler":
        """Return the network with the mean and deviation of `(n, 15)` features."""
        if not len(feature):
            return self
        width = np.maximum(feature.std(axis=0), LEAST)
        return replace(self, centre=feature.mean(axis=0), width=width)

    def layers(self, feature: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Return the `(n, 16)` inputs, the `(n, h + 1)` activations and the `(n,)` logits."""
        rows = np.clip((feature - self.centre) / self.width, -5.0, 5.0)
        inputs = np.column_stack([rows, np.ones(len(rows))])
        active = np.column_stack([np.maximum(inputs @ self.hidden, 0.0), np.ones(len(rows))])
        return inputs, active, active @ self.out

    def weight(self, feature: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the `(n,)` weights in (0, 1)."""
        return expit(self.layers(feature)[2])

    def gradient(
        self, feature: NDArray[np.float64], slope: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the gradients of both layers, given that with respect to the `(n,)` weights."""
        inputs, active, logit = self.layers(feature)
        chance = expit(logit)
        miss = slope * chance * (1.0 - chance)
        back = miss[:, None] * self.out[:-1] * (active[:, :-1] > 0.0)
        return inputs.T @ back, active.T @ miss
