"""Meta-learned weights: a row counts for as much as learning from it helps with other rows."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from pipeline.numeric.adam import Adam
from pipeline.numeric.rescaler import MAJORITY, CellStats, Rescaler, features, quantities


@dataclass(frozen=True)
class Course:
    """How heads and rescaler are trained together."""

    epochs: int
    """Steps on all rows."""
    warm_up: int
    """Steps before rows are weighed: heads that know nothing say nothing of a label."""
    rate: float
    """Size of a step of the heads."""
    rescaler_rate: float
    """Size of a step of the rescaler."""
    reach: float
    """Size of the plain gradient step whose effect on the other half is looked at."""
    prior_rows: float
    """Rows that the statistics of a class borrow."""


@dataclass(frozen=True)
class Task:
    """The rows of a sample, as the heads see them."""

    inputs: NDArray[np.float64]
    """`(n, d + 1)` standardised rows with a constant."""
    passes: NDArray[np.float64]
    """`(g, n, d + 1)` the same under dropout."""
    label: NDArray[np.int64]
    """`(n,)` classes."""
    half: NDArray[np.int64]
    """`(n,)` 0 or 1."""
    num_classes: int

    def features(self, weight: list[NDArray[np.float64]], prior_rows: float) -> NDArray[np.float64]:
        """Return `(n, 15)` features of every row, by the head of the other half."""
        logit = np.empty((*self.passes.shape[:2], self.num_classes))
        for h in range(2):
            rows = self.half == h
            logit[:, rows] = self.passes[:, rows] @ weight[h]
        quantity, agreement = quantities(logit, self.label)
        stats = CellStats.of(quantity, self.label, agreement > MAJORITY, self.num_classes)
        return features(quantity, agreement, self.label, stats.spread(prior_rows))

    def miss(
        self, weight: NDArray[np.float64], rows: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the `(m,)` losses of some rows and their `(m, k)` gradients by the logits."""
        log, own = log_softmax(self.inputs[rows] @ weight, axis=1), self.label[rows]
        place = np.arange(len(own))
        slope = np.exp(log)
        slope[place, own] -= 1.0
        return -log[place, own], slope


def train(task: Task, course: Course) -> tuple[list[NDArray[np.float64]], Rescaler]:
    """Return the weights of the heads that score either half, and the rescaler.

    Heck et al. 2025, algorithm 1, for linear heads on two halves: each half is in turn what a
    head learns from and what shows whether it learned the right thing. Both are noisy.
    """
    shape = (task.inputs.shape[1], task.num_classes)
    weight = [np.zeros(shape), np.zeros(shape)]
    heads = [Adam(course.rate), Adam(course.rate)]
    layers = [Adam(course.rescaler_rate), Adam(course.rescaler_rate)]
    chance = np.ones(len(task.label))
    rescaler = Rescaler.start()
    for epoch in range(course.epochs):
        if epoch >= course.warm_up:
            feature = task.features(weight, course.prior_rows)
            rescaler = rescaler.standardised(feature)
            slope = effect(task, weight, rescaler.weight(feature), course.reach)
            hidden, out = rescaler.gradient(feature, slope)
            hidden = layers[0].step(rescaler.hidden, hidden)
            rescaler = replace(rescaler, hidden=hidden, out=layers[1].step(rescaler.out, out))
            chance = rescaler.weight(feature)
        for h in range(2):
            rows = task.half != h
            slope = _slope(task, weight[h], rows, relative(chance[rows]))
            weight[h] = heads[h].step(weight[h], slope)
    return weight, rescaler.standardised(task.features(weight, course.prior_rows))


def effect(
    task: Task, weight: list[NDArray[np.float64]], chance: NDArray[np.float64], reach: float
) -> NDArray[np.float64]:
    """Return the `(n,)` gradient of both halves' losses with respect to the weights of the rows.

    The loss of a half is taken after a step of `reach` on the other one, and its rows are weighed
    as well. For a linear head the derivative of the step has a closed form: that of a row is the
    inner product of its gradient with that of the loss, so no second-order autograd is needed.
    """
    slope = np.zeros(len(chance))
    for h in range(2):
        seen, other = task.half != h, task.half == h
        if not seen.any() or not other.any():
            continue
        share = relative(chance[seen])
        moved = weight[h] - reach * _slope(task, weight[h], seen, share)
        loss, _ = task.miss(moved, other)
        outer = relative(chance[other])
        steep = _slope(task, moved, other, outer)
        inner = ((task.inputs[seen] @ steep) * task.miss(weight[h], seen)[1]).sum(axis=1)
        slope[seen] -= reach * _through_mean(inner, share, chance[seen])
        slope[other] += _through_mean(loss, outer, chance[other])
    return slope


def relative(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(m,)` weights over their mean: to make all of them small is no way out."""
    return np.asarray(chance / max(float(chance.mean()), 1e-12) if len(chance) else chance)


def _through_mean(
    slope: NDArray[np.float64], share: NDArray[np.float64], chance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the gradient of a mean by the weights, from that by the relative weights."""
    return np.asarray((slope - (slope * share).mean()) / chance.mean() / len(slope))


def _slope(
    task: Task, weight: NDArray[np.float64], rows: NDArray[np.bool_], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the `(d + 1, k)` gradient of the weighted mean loss of some rows."""
    miss = task.miss(weight, rows)[1]
    return np.asarray(task.inputs[rows].T @ (share[:, None] * miss) / max(len(share), 1))
