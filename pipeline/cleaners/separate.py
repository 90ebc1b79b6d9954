"""`separate`: which images lie apart from the corpus, in the layers that noise has not touched?

After LSA (Albert et al. 2024, "An accurate detection is not all you need to combat label noise in
web-noisy datasets"). Two detectors that err differently take turns: a small loss says that a
label is learnable, a hyperplane in early-block features says that an image lies with the
clean ones. A row is suspect if both say so; the better detector alone would lose the simple,
valuable images on the wrong side of the plane.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import hashes, labels, numbers, score, vectors
from pipeline.contract import Rows
from pipeline.numeric.histogram import Histogram
from pipeline.numeric.irls import Newton, side
from pipeline.numeric.lda import FoldLda, spreads
from pipeline.numeric.mixture import Mixture, fit_mixture
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.prototypes import unit
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.temperature import NoisyFit
from pipeline.schema import EARLY, IMAGE, LABEL

LARGEST_LOSS = 16.0
FLAT_ENTROPY = float(np.log(4.0))
"""Collision entropy of a flat prediction: the most that it can be."""


@dataclass(frozen=True)
class Head:
    """A classifier of image vectors, out of fold, and how sharp it is."""

    lda: FoldLda
    scale: float
    prior: NDArray[np.float64]

    def loss(self, batch: pa.Table, num_folds: int) -> NDArray[np.float64]:
        """Return `(n,)` losses of the given labels; NaN without one."""
        label, fold = labels(batch), folds(batch, num_folds)
        evidence = self.scale * self.lda.evidence(vectors(batch, IMAGE)[0], fold)
        logit = evidence + np.log(self.prior)
        logit -= logit.max(axis=1, keepdims=True, initial=-np.inf)
        own = logit[np.arange(len(label)), label] - np.log(np.exp(logit).sum(axis=1))
        return np.where(label >= 0, np.minimum(-own, LARGEST_LOSS), np.nan)


@dataclass(frozen=True)
class Plane:
    """A hyperplane in standardised early-block features."""

    mean: NDArray[np.float64]
    """`(e,)` of the unit features."""
    deviation: NDArray[np.float64]
    """`(e,)` of the unit features."""
    slope: NDArray[np.float64]
    """`(e + 1,)` hyperplane, the intercept last."""

    def standardise(self, feature: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return unit features of mean 0 and deviation 1."""
        return (unit(feature) - self.mean) / self.deviation


@dataclass(frozen=True)
class Separated:
    """What `separate` has learned."""

    is_split: bool
    """Whether there was anything to separate; if not, every score is null."""
    uses_early: bool
    """Whether the features are those of the early block; else the image vectors."""
    head: Head
    """Refitted with the suspect rows relabelled."""
    loss: Mixture
    """Of its losses."""
    plane: Plane
    """Learned from the small losses."""
    entropy: Mixture
    """Of the collision entropies of rows that are not clean."""


@dataclass(frozen=True, kw_only=True)
class Separate:
    """Tells images that lie apart from the corpus, by small loss and by a hyperplane in turns."""

    name: ClassVar[str] = "separate"
    reads: ClassVar[tuple[str, ...]] = (
        "image_hash", EARLY, IMAGE, LABEL,
        "match.image", "match.impurity", "match.prediction", "match.confidence",
    )  # fmt: skip
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field("separate.loss", pa.float32(), metadata={"is": "P(large loss)"}),
            pa.field("separate.plane", pa.float32(), metadata={"is": "P(beyond the hyperplane)"}),
            pa.field("separate.outlier", pa.float32(), metadata={"is": "the smaller of the two"}),
            pa.field(
                "separate.entropy",
                pa.float32(),
                metadata={"is": "collision entropy: 0 agrees, 1/2 a wrong label, 1 no class"},
            ),
            pa.field(
                "separate.kind",
                pa.int8(),
                metadata={"is": "0 clean, 1 wrong label, 2 image of no class"},
            ),
        ]
    )

    rounds: int = 2
    """How often the two detectors take turns."""
    flag: float = 0.95
    """Probability of a large loss above which a row teaches the hyperplane to reject."""
    penalty: float = 1.0
    """Weight of the squared slope of the hyperplane, in rows."""
    steps: int = 8
    """Newton steps of the hyperplane."""
    shrinkage: float = 0.1
    """Share of the sphere in the covariance of the head."""
    least_rows: int = 20
    """Rows needed on either side; with fewer there is nothing to learn from."""
    folds: int = 5
    """Parts that the head is fitted without, so that it never scores a row it has seen."""

    def fit(self, rows: Rows) -> Separated:
        losses = partial(given_loss)
        uses_early = bool(rows.reduce(_count_early, np.add))
        blank = self._blank_plane(rows, uses_early)
        head, plane, is_split = None, blank, True
        loss = self._mixture(rows, losses)
        for _ in range(self.rounds):
            plane, is_split = self._fit_plane(rows, losses, loss, blank, uses_early)
            head = self._refit(rows, plane, is_split, uses_early)
            losses = partial(_head_loss, head, self.folds)
            loss = self._mixture(rows, losses)
        entropy = fit_mixture(rows.reduce(_entropy_histogram, Histogram.merge), floor=0.05)
        return Separated(is_split and loss.is_split, uses_early, head, loss, plane, entropy)

    def score(self, state: Separated, batch: pa.Table) -> pa.Table:
        labelled = labels(batch) >= 0
        known = labelled & state.is_split
        feature, present = self._feature(batch, state.uses_early)
        large = state.loss.high(np.nan_to_num(state.head.loss(batch, self.folds)))
        beyond = side(state.plane.standardise(feature), state.plane.slope)
        entropy = collision_entropy(batch)
        columns = [
            score(large, known),
            score(beyond, present & state.is_split),
            score(np.minimum(large, beyond), known & present),
            score(np.nan_to_num(entropy), labelled),
            pa.array(_kind(entropy, state.entropy), pa.int8(), mask=~labelled),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Separated) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Separated:
        return from_arrays(Separated, arrays)

    def _feature(
        self,
        batch: pa.Table,
        uses_early: bool,  # noqa: FBT001  # internal
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return vectors(batch, EARLY if uses_early else IMAGE)

    def _mixture(self, rows: Rows, losses: Any) -> Mixture:
        def histogram(batch: pa.Table) -> Histogram:
            return Histogram.of(losses(batch), 0.0, LARGEST_LOSS)

        return fit_mixture(rows.reduce(histogram, Histogram.merge), floor=0.02)

    def _blank_plane(self, rows: Rows, uses_early: bool) -> Plane:  # noqa: FBT001
        def moments(batch: pa.Table) -> FoldMoments:
            feature, present = self._feature(batch, uses_early)
            zero = np.zeros(len(feature), np.int64)
            return FoldMoments.of(unit(feature), np.where(present, zero, -1), zero, (1, 1))

        whole = rows.reduce(moments, FoldMoments.merge).whole()
        deviation = np.sqrt(np.maximum(np.diag(whole.overall()), 0.0))
        constant = deviation < 1e-6
        return Plane(
            whole.mean, np.where(constant, np.inf, deviation), np.zeros(len(deviation) + 1)
        )

    def _fit_plane(
        self,
        rows: Rows,
        losses: Any,
        loss: Mixture,
        blank: Plane,
        uses_early: bool,  # noqa: FBT001
    ) -> tuple[Plane, bool]:
        """Return the hyperplane between small and large losses, and whether there is one."""

        def target(batch: pa.Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
            value = losses(batch)
            known = ~np.isnan(value) & self._feature(batch, uses_early)[1]
            return loss.high(np.nan_to_num(value)) > self.flag, known

        def count(batch: pa.Table) -> NDArray[np.float64]:
            flagged, known = target(batch)
            return np.array([(known & ~flagged).sum(), (known & flagged).sum()], np.float64)

        sides = rows.reduce(count, np.add)
        if sides.min() < self.least_rows:
            return blank, False
        balance = sides.sum() / (2.0 * sides)
        slope = blank.slope

        def newton(slope: NDArray[np.float64], batch: pa.Table) -> Newton:
            flagged, known = target(batch)
            feature = blank.standardise(self._feature(batch, uses_early)[0])
            weight = np.where(known, balance[flagged.astype(int)], 0.0)
            return Newton.of(feature, flagged.astype(float), weight, slope)

        for _ in range(self.steps):
            slope = rows.reduce(partial(newton, slope), Newton.merge).step(slope, self.penalty)
        return Plane(blank.mean, blank.deviation, slope), True

    def _refit(
        self,
        rows: Rows,
        plane: Plane,
        is_split: bool,
        uses_early: bool,  # noqa: FBT001
    ) -> Head:
        """Return the head fitted with the rows beyond the hyperplane given their prediction."""
        num_classes = len(rows.classes)

        def moments(batch: pa.Table) -> FoldMoments:
            feature, present = self._feature(batch, uses_early)
            beyond = side(plane.standardise(feature), plane.slope) > 0.5
            moved = beyond & present & is_split
            label = np.where(moved, batch["match.prediction"].to_numpy(), labels(batch))
            weight = np.where(moved, numbers(batch, "match.confidence") ** 2, 1.0)
            fold = folds(batch, self.folds)
            shape = (self.folds, num_classes)
            return FoldMoments.of(vectors(batch, IMAGE)[0], label, fold, shape, weight)

        summed = rows.reduce(moments, FoldMoments.merge)
        count = summed.count.sum(axis=0) + 1.0
        prior = count / count.sum()
        lda = FoldLda.of(spreads(summed), self.shrinkage)

        def likelihood(batch: pa.Table) -> NoisyFit:
            label = labels(batch)
            seen = label >= 0
            evidence = lda.evidence(vectors(batch, IMAGE)[0], folds(batch, self.folds))
            return NoisyFit.of(evidence[seen], label[seen], prior)

        scale, _, _ = rows.reduce(likelihood, NoisyFit.merge).best()
        return Head(lda, scale, prior)


def folds(batch: pa.Table, num_folds: int) -> NDArray[np.int64]:
    """Return the `(n,)` folds of rows: copies of a picture are in one."""
    return (hashes(batch) % np.uint64(num_folds)).astype(np.int64)


def given_loss(batch: pa.Table) -> NDArray[np.float64]:
    """Return the `(n,)` losses that `match` gave the labels; NaN without one."""
    wrong = numbers(batch, "match.image")
    return np.minimum(-np.log(np.maximum(1.0 - wrong, 1e-7)), LARGEST_LOSS)


def _head_loss(head: Head, num_folds: int, batch: pa.Table) -> NDArray[np.float64]:
    return head.loss(batch, num_folds)


def collision_entropy(batch: pa.Table) -> NDArray[np.float64]:
    """Return `(n,)` collision entropies of the mean of prediction and label, in [0, 1].

    Albert et al. 2022, "Addressing out-of-distribution label noise in webly-labelled data",
    equation 3: `-log sum ((p + y) / 2)^2`, over `log 4`.
    """
    own = 1.0 - numbers(batch, "match.image")
    purity = 1.0 - numbers(batch, "match.impurity")
    return -np.log((purity + 2.0 * own + 1.0) / 4.0) / FLAT_ENTROPY


def _count_early(batch: pa.Table) -> NDArray[np.int64]:
    return np.array(len(batch) - batch[EARLY].null_count)


def _entropy_histogram(batch: pa.Table) -> Histogram:
    value = collision_entropy(batch)
    return Histogram.of(np.where(value > 0.5, value, np.nan), 0.5, 1.0, 1024)


def _kind(entropy: NDArray[np.float64], mixture: Mixture) -> NDArray[np.int8]:
    """Return 0 where label and prediction agree, 2 where the prediction is flat, else 1."""
    flat = mixture.high(np.nan_to_num(entropy)) > 0.5
    return np.where(np.nan_to_num(entropy) < 0.5, 0, np.where(flat, 2, 1)).astype(np.int8)
