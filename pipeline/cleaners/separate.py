"""`separate`: images that lie apart from the corpus, in layers that noise has not touched.

After LSA (Albert et al. 2024, "An accurate detection is not all you need to combat label noise in
web-noisy datasets"). Two detectors that err differently take turns: a small loss says that a
label is learnable, a hyperplane in early-block features says that an image lies with the
clean ones. A row is suspect if both say so: the better detector alone would lose the simple,
valuable images on the wrong side of the plane.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import folds, labels, numbers, score, score_schema, vectors
from pipeline.contract import Rows
from pipeline.numeric.head import LARGEST_LOSS, Head
from pipeline.numeric.histogram import Histogram
from pipeline.numeric.irls import Newton, Plane
from pipeline.numeric.lda import FoldLda, spreads
from pipeline.numeric.mixture import Mixture, fit_mixture
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.prototypes import unit
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.temperature import NoisyFit
from pipeline.schema import EARLY, IMAGE, LABEL

Losses = Callable[[pa.Table], NDArray[np.float64]]
HALF = 0.5
"""Where a probability turns to yes, and the entropy of a confident disagreement."""


@dataclass(frozen=True)
class Separated:
    """What `separate` has learned."""

    is_split: bool
    """Whether there was anything to separate; if not, the cleaner abstains."""
    uses_early: bool
    """Whether the features are those of the early block; else the image vectors."""
    plane: Plane
    """Learned from the small losses."""
    head: Head
    """Refitted with the rows beyond the plane relabelled."""
    loss: Mixture
    """Of the losses of the head."""
    entropy: Mixture
    """Of the collision entropies of rows that are not clean."""

    @property
    def feature(self) -> str:
        """The column of the features."""
        return EARLY if self.uses_early else IMAGE


@dataclass(frozen=True, kw_only=True)
class Separate:
    """Tells images that lie apart from the corpus, by small loss and by a hyperplane in turns."""

    name: ClassVar[str] = "separate"
    reads: ClassVar[tuple[str, ...]] = (
        *("image_hash", EARLY, IMAGE, LABEL),
        *("match.image", "match.impurity", "match.prediction", "match.confidence"),
    )
    adds: ClassVar[pa.Schema] = score_schema(
        "separate",
        ("loss", pa.float32(), "P(the loss is one of the large ones)"),
        ("plane", pa.float32(), "P(the image lies beyond the hyperplane)"),
        ("outlier", pa.float32(), "the smaller of the two: both detectors say so"),
        ("entropy", pa.float32(), "of prediction and label: 0 agree, 1/2 disagree, 1 no class"),
        ("kind", pa.int8(), "0 clean, 1 wrong label, 2 image of no class, by the entropy"),
    )

    rounds: int = 2
    """How often the two detectors take turns."""
    flag: float = 0.95
    """Probability of a large loss above which a row teaches the plane to reject."""
    penalty: float = 1.0
    """Weight of the squared slope of the plane, in rows."""
    steps: int = 8
    """Newton steps of the plane."""
    shrinkage: float = 0.1
    """Share of the sphere in the covariance of the head."""
    least_rows: int = 20
    """Rows needed on either side of the plane; with fewer the cleaner abstains."""
    folds: int = 5
    """Parts that the head is fitted without, so that it never scores a row it has seen."""

    def fit(self, rows: Rows) -> Separated:
        rows = rows.select(*self.reads)
        uses_early = bool(rows.reduce(_count_early, np.add))
        feature = EARLY if uses_early else IMAGE
        flat = Plane.flat(rows.reduce(partial(_feature_moments, feature), FoldMoments.merge))
        losses, is_split = given_loss, True
        for _ in range(self.rounds):
            loss = fit_losses(rows, losses)
            target = partial(self._flagged, losses, loss, feature)
            plane, is_split = self._fit_plane(rows, target, flat, feature)
            moved = partial(_beyond, plane if is_split else None, feature)
            head = self._refit(rows, moved)
            losses = partial(_head_loss, head, self.folds)
        entropy = fit_mixture(rows.reduce(_entropy_histogram, Histogram.merge), floor=0.05)
        return Separated(is_split, uses_early, plane, head, fit_losses(rows, losses), entropy)

    def score(self, state: Separated, batch: pa.Table) -> pa.Table:
        labelled = labels(batch) >= 0
        known = labelled & state.is_split & state.loss.is_split
        feature, present = vectors(batch, state.feature)
        large = state.loss.high(np.nan_to_num(_head_loss(state.head, self.folds, batch)))
        beyond = state.plane.beyond(feature)
        entropy = np.nan_to_num(collision_entropy(batch))
        flat = state.entropy.high(entropy) > HALF
        kind = np.where(entropy < HALF, 0, np.where(flat, 2, 1)).astype(np.int8)
        columns = [
            score(large, known),
            score(beyond, present & state.is_split),
            score(np.minimum(large, beyond), known & present),
            score(entropy, labelled),
            pa.array(kind, mask=~labelled),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Separated) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Separated:
        return from_arrays(Separated, arrays)

    def _flagged(
        self, losses: Losses, loss: Mixture, feature: str, batch: pa.Table
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which rows have a large loss, and of which that is known."""
        value = losses(batch)
        known = ~np.isnan(value) & vectors(batch, feature)[1]
        return loss.high(np.nan_to_num(value)) > self.flag, known

    def _fit_plane(
        self, rows: Rows, target: Callable[[pa.Table], Any], flat: Plane, feature: str
    ) -> tuple[Plane, bool]:
        """Return the plane between small and large losses, and whether there is one."""
        sides = rows.reduce(partial(_count_sides, target), np.add)
        if sides.min() < self.least_rows:
            return flat, False
        balance, plane = sides.sum() / (2.0 * sides), flat
        for _ in range(self.steps):
            newton = partial(_newton, target, balance, plane, feature)
            slope = rows.reduce(newton, Newton.merge).step(plane.slope, self.penalty)
            plane = Plane(flat.mean, flat.deviation, slope)
        return plane, True

    def _refit(self, rows: Rows, moved: Callable[[pa.Table], NDArray[np.bool_]]) -> Head:
        """Return the head fitted with the rows that `moved` names given their prediction."""
        shape = (self.folds, len(rows.classes))
        moments = rows.reduce(partial(_moved_moments, moved, shape), FoldMoments.merge)
        count = moments.count.sum(axis=0) + 1.0
        lda, prior = FoldLda.of(spreads(moments), self.shrinkage), count / count.sum()
        fits = rows.reduce(partial(_likelihood, lda, prior, self.folds), NoisyFit.merge)
        return Head(lda, fits.best()[0], prior)


def fit_losses(rows: Rows, losses: Losses) -> Mixture:
    """Return the mixture of small and large losses."""
    return fit_mixture(rows.reduce(partial(_loss_histogram, losses), Histogram.merge), floor=0.02)


def given_loss(batch: pa.Table) -> NDArray[np.float64]:
    """Return the `(n,)` losses that `match` gave the labels; NaN without one."""
    right = 1.0 - numbers(batch, "match.image")
    return np.minimum(-np.log(np.maximum(right, 1e-7)), LARGEST_LOSS)


def collision_entropy(batch: pa.Table) -> NDArray[np.float64]:
    """Return `(n,)` collision entropies of the mean of prediction and label, in [0, 1].

    Albert et al. 2022, "Addressing out-of-distribution label noise in webly-labelled data",
    equation 3: `-log sum ((p + y) / 2)^2`, over its largest value `log 4`.
    """
    own, impurity = 1.0 - numbers(batch, "match.image"), numbers(batch, "match.impurity")
    return np.asarray(-np.log((2.0 - impurity + 2.0 * own) / 4.0) / np.log(4.0))


def _count_early(batch: pa.Table) -> NDArray[np.int64]:
    return np.array(len(batch) - batch[EARLY].null_count)


def _feature_moments(feature: str, batch: pa.Table) -> FoldMoments:
    rows, present = vectors(batch, feature)
    fold = np.zeros(len(rows), np.int64)
    return FoldMoments.of(unit(rows), np.where(present, fold, -1), fold, (1, 1))


def _loss_histogram(losses: Losses, batch: pa.Table) -> Histogram:
    return Histogram.of(losses(batch), 0.0, LARGEST_LOSS)


def _entropy_histogram(batch: pa.Table) -> Histogram:
    value = collision_entropy(batch)
    return Histogram.of(np.where(value > HALF, value, np.nan), HALF, 1.0, 1024)


def _count_sides(target: Callable[[pa.Table], Any], batch: pa.Table) -> NDArray[np.float64]:
    flagged, known = target(batch)
    return np.array([(known & ~flagged).sum(), (known & flagged).sum()], np.float64)


def _newton(
    target: Callable[[pa.Table], Any],
    balance: NDArray[np.float64],
    plane: Plane,
    feature: str,
    batch: pa.Table,
) -> Newton:
    flagged, known = target(batch)
    rows = plane.standardise(vectors(batch, feature)[0])
    weight = np.where(known, balance[flagged.astype(np.int64)], 0.0)
    return Newton.of(rows, flagged.astype(np.float64), weight, plane.slope)


def _beyond(plane: Plane | None, feature: str, batch: pa.Table) -> NDArray[np.bool_]:
    rows, present = vectors(batch, feature)
    return np.zeros(len(rows), bool) if plane is None else present & (plane.beyond(rows) > HALF)


def _moved_moments(
    moved: Callable[[pa.Table], NDArray[np.bool_]], shape: tuple[int, int], batch: pa.Table
) -> FoldMoments:
    away = moved(batch) & (labels(batch) >= 0)
    label = np.where(away, batch["match.prediction"].to_numpy(), labels(batch))
    weight = np.where(away, numbers(batch, "match.confidence") ** 2, 1.0)
    image, _ = vectors(batch, IMAGE)
    return FoldMoments.of(image, label, folds(batch, shape[0]), shape, weight)


def _likelihood(
    lda: FoldLda, prior: NDArray[np.float64], num_folds: int, batch: pa.Table
) -> NoisyFit:
    label = labels(batch)
    evidence = lda.evidence(vectors(batch, IMAGE)[0], folds(batch, num_folds))
    return NoisyFit.of(evidence[label >= 0], label[label >= 0], prior)


def _head_loss(head: Head, num_folds: int, batch: pa.Table) -> NDArray[np.float64]:
    return head.loss(vectors(batch, IMAGE)[0], labels(batch), folds(batch, num_folds))
