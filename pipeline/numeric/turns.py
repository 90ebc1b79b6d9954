"""Two detectors that teach each other: small losses of a head, and a hyperplane between them."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.head import LARGEST_LOSS, Head
from pipeline.numeric.histogram import Histogram
from pipeline.numeric.irls import Newton, Plane
from pipeline.numeric.judged import Judged
from pipeline.numeric.lda import FoldLda, spreads
from pipeline.numeric.mixture import Mixture, fit_mixture
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.prototypes import unit
from pipeline.numeric.temperature import NoisyFit

Losses = Callable[[Judged], NDArray[np.float64]]
"""`(n,)` losses of the labels; NaN without one."""
Target = Callable[[Judged], tuple[NDArray[np.bool_], NDArray[np.bool_]]]
"""`(n,)` whether the loss is large, and whether that is known."""
HALF = 0.5
"""Where a probability turns to yes, and the entropy of a confident disagreement."""


def given_loss(rows: Judged) -> NDArray[np.float64]:
    """Return the `(n,)` losses of the labels by the first judgement; NaN without one."""
    return np.minimum(-np.log(np.maximum(1.0 - rows.wrong, 1e-7)), LARGEST_LOSS)


def collision_entropy(
    wrong: NDArray[np.floating], impurity: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return `(n,)` collision entropies of the mean of prediction and label, in [0, 1].

    Albert et al. 2022, "Addressing out-of-distribution label noise in webly-labelled data",
    equation 3: `-log sum ((p + y) / 2)^2`, over its largest value `log 4`.

    Parameters
    ----------
    wrong
        `(n,)` probabilities that the label is wrong.
    impurity
        `(n,)` Gini impurities of the prediction.

    Examples
    --------
    >>> collision_entropy(np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0])).round(3) + 0.0
    array([0. , 0.5, 1. ])
    """
    return np.asarray(-np.log((2.0 - impurity + 2.0 * (1.0 - wrong)) / 4.0) / np.log(4.0))


def fit_losses(rows: Judged, losses: Losses) -> Mixture:
    """Return the mixture of small and large losses."""

    def count(block: Judged) -> Histogram:
        return Histogram.of(losses(block), 0.0, LARGEST_LOSS)

    return fit_mixture(rows.reduce(count, Histogram.merge), floor=0.02)


def fit_entropy(rows: Judged) -> Mixture:
    """Return the mixture of the entropies of rows that are not clean: wrong label, no class."""

    def count(block: Judged) -> Histogram:
        value = collision_entropy(block.wrong, block.impurity)
        return Histogram.of(np.where(value > HALF, value, np.nan), HALF, 1.0, 1024)

    return fit_mixture(rows.reduce(count, Histogram.merge), floor=0.05)


def flagged(
    losses: Losses, loss: Mixture, least: float, rows: Judged
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows have a large loss with probability `least`, and of which that is known."""
    value = losses(rows)
    known = ~np.isnan(value) & rows.feature()[1]
    return loss.high(np.nan_to_num(value)) > least, known


def count_sides(rows: Judged, target: Target) -> NDArray[np.float64]:
    """Return the `(2,)` numbers of rows with small and with large losses."""

    def count(block: Judged) -> NDArray[np.float64]:
        large, known = target(block)
        return np.array([(known & ~large).sum(), (known & large).sum()], np.float64)

    return rows.reduce(count, np.add)


def flat_plane(rows: Judged) -> Plane:
    """Return the hyperplane that knows nothing but the moments of the features."""

    def total(block: Judged) -> FoldMoments:
        feature, present = block.feature()
        fold = np.zeros(len(feature), np.int64)
        return FoldMoments.of(unit(feature), np.where(present, fold, -1), fold, (1, 1))

    return Plane.flat(rows.reduce(total, FoldMoments.merge))


def step_plane(
    rows: Judged, target: Target, sides: NDArray[np.float64], plane: Plane, penalty: float
) -> Plane:
    """Return the hyperplane after one Newton step; both sides weigh the same."""
    balance = sides.sum() / (2.0 * sides)

    def newton(block: Judged) -> Newton:
        large, known = target(block)
        weight = np.where(known, balance[large.astype(np.int64)], 0.0)
        feature = plane.standardise(block.feature()[0])
        return Newton.of(feature, large.astype(np.float64), weight, plane.slope)

    slope = rows.reduce(newton, Newton.merge).step(plane.slope, penalty)
    return Plane(plane.mean, plane.deviation, slope)


def beyond(plane: Plane | None, rows: Judged) -> NDArray[np.bool_]:
    """Return which rows lie beyond a hyperplane; none where there is no plane."""
    feature, present = rows.feature()
    if plane is None:
        return np.zeros(len(feature), bool)
    return present & (plane.beyond(feature) > HALF)


def refit_head(
    rows: Judged,
    moved: Callable[[Judged], NDArray[np.bool_]],
    shape: tuple[int, int],
    shrinkage: float,
) -> Head:
    """Return the head fitted with the rows that `moved` names given their prediction.

    Parameters
    ----------
    rows
        The sample.
    moved
        Which rows of a block lie apart.
    shape
        `(f, k)`: folds and classes.
    shrinkage
        Share of the sphere in the covariance.
    """

    def total(block: Judged) -> FoldMoments:
        away = moved(block) & (block.label >= 0)
        label = np.where(away, block.prediction, block.label)
        weight = np.where(away, block.confidence**2, 1.0)
        return FoldMoments.of(block.image, label, block.fold(shape[0]), shape, weight)

    moments = rows.reduce(total, FoldMoments.merge)
    count = moments.count.sum(axis=0) + 1.0
    lda, prior = FoldLda.of(spreads(moments), shrinkage), count / count.sum()
    fits = rows.reduce(partial(_likelihood, lda, prior), NoisyFit.merge)
    return Head(lda, fits.best()[0], prior)


def head_loss(head: Head, rows: Judged) -> NDArray[np.float64]:
    """Return the `(n,)` losses of the labels by a head that has not seen them."""
    fold = rows.fold(len(head.lda.mean))
    return head.loss(np.asarray(rows.image, np.float32), rows.label, fold)


def _likelihood(lda: FoldLda, prior: NDArray[np.float64], rows: Judged) -> NoisyFit:
    seen = rows.label >= 0
    evidence = lda.evidence(np.asarray(rows.image, np.float32), rows.fold(len(lda.mean)))
    return NoisyFit.of(evidence[seen], rows.label[seen], prior)
