"""`compress`: labels judged by heads that see few, ordered dimensions and half of the rows each.

After Chen et al. 2021, "Boosting co-teaching with compression regularization for label noise".
Wrong labels are fitted by the dimensions that matter least, so a head that sees the first few
alone cannot learn them. The paper orders dimensions by nested dropout; for frozen embeddings the
principal axes are that order, from one pass. How many to keep needs no clean labels here: as few
as explain the labels of the other half, noise allowed for, as well as the best number does.

Two such heads, one per half, then teach each other: a row is judged by the head that has not
seen it, and is left out of its own head if its loss is large for its class. What is large is
read from the losses of the class; a constant share would throw hard clean classes away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import labels, score, score_schema, vectors
from pipeline.cleaners.halves import READS, gather, halves, labelled, parts
from pipeline.contract import Amount, Count, Rows
from pipeline.findings import Findings, LabelNoise
from pipeline.numeric.bottom import Bottom
from pipeline.numeric.class_histogram import ClassHistogram
from pipeline.numeric.class_mixture import ClassMixture, fit_classes
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.principal import Axes, fewest, grid
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.softmax_head import HalfHeads, fit_head
from pipeline.numeric.verdict import (
    Calibration,
    class_noise,
    class_ranks,
    count_odds,
    log_odds,
    wrong,
)
from pipeline.schema import IMAGE

HALF = 0.5
"""Where a probability turns to yes."""


@dataclass(frozen=True)
class Compressed:
    """What `compress` has learned."""

    axes: Axes
    """As many as are kept."""
    heads: HalfHeads
    calibration: Calibration
    odds: ClassMixture
    """Of the log-odds against the labels."""
    count: ClassHistogram
    """The same by class."""
    is_fitted: bool
    """Whether there were labels; if not, the cleaner abstains."""

    def own(self, image: NDArray[np.floating], batch: pa.Table) -> NDArray[np.float64]:
        """Return the `(n,)` probabilities of the labels, by the heads of the other half."""
        logit = self.heads.logits(self.axes.turn(image), halves(batch))
        return self.calibration.own(logit, labels(batch))


@dataclass(frozen=True, kw_only=True)
class Compress:
    """Judges labels by two heads on few principal axes that teach each other."""

    name: ClassVar[str] = "compress"
    reads: ClassVar[tuple[str, ...]] = READS
    adds: ClassVar[pa.Schema] = score_schema(
        "compress",
        ("label", pa.float32(), "P(label is wrong) by the head of the other half"),
        ("loss", pa.float32(), "rank of the loss in its class; above 1/2 the class's wrong share"),
    )

    sample_rows: Count = 20_000
    """Rows that the heads are trained on at most."""
    rounds: Count = 2
    """How often the heads leave out what the other one finds wrong."""
    steps: Count = 50
    """Steps of L-BFGS of a head."""
    penalty: Amount = 10.0
    """Weight of half the squared slopes of a head, in rows."""
    prior_rows: Amount = 100.0
    """Rows of the other classes that a class borrows to tell two groups of labels apart."""

    def fit(self, rows: Rows) -> Compressed:
        rows, num_classes = rows.select(*self.reads), len(rows.classes)
        axes = Axes.of(rows.reduce(_sum_moments, FoldMoments.merge).whole())
        sample = rows.reduce(partial(gather, self.sample_rows), Bottom.merge)
        axes = self._shorten(axes, sample, num_classes)
        heads, calibration = self._teach(axes, sample, num_classes)
        count = rows.reduce(partial(_count, axes, heads, calibration), ClassHistogram.merge)
        odds = fit_classes(count, self.prior_rows, turn=0.0)
        return Compressed(axes, heads, calibration, odds, count, bool(len(sample.hash)))

    def _shorten(self, axes: Axes, sample: Bottom, num_classes: int) -> Axes:
        """Return as few axes as explain the labels of the other half best."""
        image, label, half = parts(sample)
        sizes, kept = grid(image.shape[1]), np.ones(len(label))
        value = np.zeros((len(sizes), len(label)))
        for i, size in enumerate(sizes):
            rows = axes.first(size).turn(image)
            logit = self._heads(rows, label, half, kept, num_classes).logits(rows, half)
            value[i] = Calibration.of(logit, label).likelihood(logit, label)
        return axes.first(sizes[fewest(value)])

    def _teach(self, axes: Axes, sample: Bottom, num_classes: int) -> tuple[HalfHeads, Calibration]:
        """Return the heads after each has left out what the other one finds wrong."""
        image, label, half = parts(sample)
        rows, kept = axes.turn(image), np.ones(len(label))
        heads = self._heads(rows, label, half, kept, num_classes)
        calibration = Calibration.of(heads.logits(rows, half), label)
        for _ in range(self.rounds):
            own = calibration.own(heads.logits(rows, half), label)
            count = count_odds(log_odds(own), label, num_classes)
            odds = fit_classes(count, self.prior_rows, turn=0.0)
            kept = (wrong(own, label, calibration, odds) <= HALF).astype(np.float64)
            heads = self._heads(rows, label, half, kept, num_classes)
            calibration = Calibration.of(heads.logits(rows, half), label)
        return heads, calibration

    def _heads(
        self,
        rows: NDArray[np.float64],
        label: NDArray[np.int64],
        half: NDArray[np.int64],
        kept: NDArray[np.float64],
        num_classes: int,
    ) -> HalfHeads:
        """Return the heads that score either half, trained on the other with weights `kept`."""
        options = self.penalty, self.steps
        return HalfHeads.of(
            [
                fit_head(rows[far], label[far], kept[far], num_classes, *options)
                for far in (half != 0, half != 1)
            ]
        )

    def score(self, state: Compressed, batch: pa.Table) -> pa.Table:
        known, label = labelled(batch) & state.is_fitted, np.maximum(labels(batch), 0)
        own = state.own(vectors(batch, IMAGE)[0], batch)
        judge = partial(wrong, calibration=state.calibration, mixture=state.odds)
        rank = class_ranks(log_odds(own), label, state.count, judge)
        return pa.table([score(judge(own, label), known), score(rank, known)], schema=self.adds)

    def tell(self, state: Compressed) -> Findings:
        if not state.is_fitted:
            return Findings()
        return Findings(noise=LabelNoise.of_rate(class_noise(state.calibration, state.odds)))

    def dump(self, state: Compressed) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Compressed:
        return from_arrays(Compressed, arrays)


def _sum_moments(batch: pa.Table) -> FoldMoments:
    image, present = vectors(batch, IMAGE)
    fold = np.zeros(len(image), np.int64)
    return FoldMoments.of(image, np.where(present, fold, -1), fold, (1, 1))


def _count(
    axes: Axes, heads: HalfHeads, calibration: Calibration, batch: pa.Table
) -> ClassHistogram:
    label = np.where(labelled(batch), labels(batch), -1)
    logit = heads.logits(axes.turn(vectors(batch, IMAGE)[0]), halves(batch))
    return count_odds(log_odds(calibration.own(logit, label)), label, len(calibration.prior))
