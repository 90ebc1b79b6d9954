"""`rescale`: a weight for every label, learned from whether learning from it helps elsewhere.

After STORM (Heck et al. 2025, "Learning from noisy labels via self-taught on-the-fly meta loss
rescaling"). A head that is told a wrong label gets worse at other rows, even where their labels
are noisy too. A small network learns which rows do that, from how a few passes under dropout
judge them among the rows of their class; it weighs the rows that the head learns from.

Reduced to linear heads on frozen embeddings: each half of a bounded sample in turn is learned from
and looked at, a row is always judged by the head of the other half, and one network serves all
classes. The paper normalises weights within a batch, so half the rows of a clean class would fall
below 1/2: here weights and losses are read per class, and only where they form two groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import hashes, labels, score, score_schema, vectors
from pipeline.cleaners.halves import READS, gather, halves, labelled, parts
from pipeline.contract import Amount, Count, Number, Positive, Rows, Share
from pipeline.findings import Findings, LabelNoise
from pipeline.numeric.bottom import Bottom
from pipeline.numeric.class_histogram import ClassHistogram
from pipeline.numeric.class_mixture import ClassMixture, fit_classes
from pipeline.numeric.dropout import dropped
from pipeline.numeric.meta import Course, Task, train
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.rescaler import MAJORITY, CellStats, Rescaler, features, quantities
from pipeline.numeric.softmax_head import HalfHeads, SoftmaxHead
from pipeline.numeric.verdict import Calibration, class_noise, count_odds, log_odds, wrong
from pipeline.schema import IMAGE


@dataclass(frozen=True)
class Scales:
    """What scores a row, before classes are calibrated."""

    heads: HalfHeads
    rescaler: Rescaler
    mean: NDArray[np.float64]
    """`(k, 2, 4)` of the quantities of a class, by agreement."""
    deviation: NDArray[np.float64]
    """`(k, 2, 4)`."""
    calibration: Calibration


@dataclass(frozen=True)
class Rescaled:
    """What `rescale` has learned."""

    scales: Scales
    odds: ClassMixture
    """Of the log-odds against the labels, by heads that learned from weighted rows."""
    weight: ClassMixture
    """Of the log-odds against a weight."""
    is_fitted: bool
    """Whether there were labels; if not, the cleaner abstains."""


@dataclass(frozen=True, kw_only=True)
class Rescale:
    """Weighs labels by whether learning from them helps with other rows."""

    name: ClassVar[str] = "rescale"
    reads: ClassVar[tuple[str, ...]] = READS
    adds: ClassVar[pa.Schema] = score_schema(
        "rescale",
        ("label", pa.float32(), "P(label is wrong) by a head that learned from weighted rows"),
        ("weight", pa.float32(), "P(the weight is one of the small ones of its class)"),
        ("agreement", pa.float32(), "share of passes under dropout that deny the label"),
    )

    sample_rows: Count = 8_000
    """Rows that heads and rescaler are trained on at most."""
    epochs: Count = 60
    """Steps on all rows of a half."""
    warm_up: Number = 5
    """Steps before rows are weighed."""
    rate: Positive = 0.02
    """Size of a step of the heads."""
    rescaler_rate: Positive = 0.01
    """Size of a step of the rescaler; at 0 all rows weigh the same."""
    reach: Positive = 10.0
    """Size of the step whose effect on the other half is looked at."""
    passes: Count = 3
    """Passes under dropout."""
    dropout: Share = 0.1
    """Share of the dimensions that a pass does not see."""
    prior_rows: Amount = 20.0
    """Rows that the statistics of a class borrow from the others."""

    def fit(self, rows: Rows) -> Rescaled:
        rows, num_classes = rows.select(*self.reads), len(rows.classes)
        sample = rows.reduce(partial(gather, self.sample_rows), Bottom.merge)
        scales = self._train(sample, num_classes)
        stats = rows.reduce(partial(self._sum_cells, scales), CellStats.merge)
        mean, deviation = stats.spread(self.prior_rows)
        scales = Scales(scales.heads, scales.rescaler, mean, deviation, scales.calibration)
        odds = rows.reduce(partial(_count_odds, scales), ClassHistogram.merge)
        weight = rows.reduce(partial(self._count_weights, scales), ClassHistogram.merge)
        groups = [fit_classes(histogram, turn=0.0) for histogram in (odds, weight)]
        return Rescaled(scales, groups[0], groups[1], bool(len(sample.hash)))

    def _train(self, sample: Bottom, num_classes: int) -> Scales:
        """Return heads and rescaler of a sample; the statistics are left blank."""
        image, label, half = parts(sample)
        head = SoftmaxHead.zeros(image, num_classes)
        inputs, constant = head.inputs(image), np.ones((self.passes, len(label), 1))
        blurred = dropped(inputs[:, :-1], sample.hash, self.passes, self.dropout)
        passes = np.concatenate([blurred, constant], axis=2)
        course = Course(
            *(self.epochs, self.warm_up, self.rate, self.rescaler_rate),
            *(self.reach, self.prior_rows),
        )
        weight, rescaler = train(Task(inputs, passes, label, half, num_classes), course)
        heads = HalfHeads.of([head.with_weight(w) for w in weight])
        calibration = Calibration.of(heads.logits(image, half), label)
        blank = np.zeros((num_classes, 2, 4))
        return Scales(heads, rescaler, blank, blank, calibration)

    def score(self, state: Rescaled, batch: pa.Table) -> pa.Table:
        known, label = labelled(batch) & state.is_fitted, np.maximum(labels(batch), 0)
        scales, (quantity, agreement) = state.scales, self._passes(state.scales, batch)
        against = _against(scales, quantity, agreement, label)
        split = state.odds.is_split[label] & state.weight.is_split[label]
        columns = [
            score(wrong(_own(scales, batch), label, scales.calibration, state.odds), known),
            score(state.weight.high(against, label), known & split),
            score(1.0 - agreement, known),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Rescaled) -> Findings:
        if not state.is_fitted:
            return Findings()
        return Findings(noise=LabelNoise.of_rate(class_noise(state.scales.calibration, state.odds)))

    def dump(self, state: Rescaled) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Rescaled:
        return from_arrays(Rescaled, arrays)

    def _passes(
        self, scales: Scales, batch: pa.Table
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the passes under dropout say of each row of a batch."""
        image, half = vectors(batch, IMAGE)[0], halves(batch)
        away = image - scales.heads.mean[half]
        blurred = dropped(away, hashes(batch), self.passes, self.dropout)
        logit = np.stack([scales.heads.logits(b + scales.heads.mean[half], half) for b in blurred])
        return quantities(logit, np.maximum(labels(batch), 0))

    def _sum_cells(self, scales: Scales, batch: pa.Table) -> CellStats:
        known, (quantity, agreement) = labelled(batch), self._passes(scales, batch)
        label, agreed = labels(batch)[known], agreement[known] > MAJORITY
        return CellStats.of(quantity[known], label, agreed, len(scales.mean))

    def _count_weights(self, scales: Scales, batch: pa.Table) -> ClassHistogram:
        quantity, agreement = self._passes(scales, batch)
        label = np.where(labelled(batch), labels(batch), -1)
        against = _against(scales, quantity, agreement, np.maximum(label, 0))
        return count_odds(against, label, len(scales.mean))


def _own(scales: Scales, batch: pa.Table) -> NDArray[np.float64]:
    logit = scales.heads.logits(vectors(batch, IMAGE)[0], halves(batch))
    return scales.calibration.own(logit, labels(batch))


def _against(
    scales: Scales,
    quantity: NDArray[np.float64],
    agreement: NDArray[np.float64],
    label: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the `(n,)` log-odds against the weights of rows."""
    feature = features(quantity, agreement, label, (scales.mean, scales.deviation))
    return log_odds(scales.rescaler.weight(feature))


def _count_odds(scales: Scales, batch: pa.Table) -> ClassHistogram:
    label = np.where(labelled(batch), labels(batch), -1)
    return count_odds(log_odds(_own(scales, batch)), label, len(scales.mean))
