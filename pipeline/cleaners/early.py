"""`early`: what a linear head believed before it had learned its labels by heart.

After ELR (Liu et al. 2020, "Early-learning regularization prevents memorization of noisy labels").
A head learns the right labels first. A memory of its own early predictions then keeps it from
learning the wrong ones: where label and memory disagree, the gradient of the label is cancelled.

The head is linear on frozen embeddings and is trained on a bounded sample in two halves; every
row, sampled or not, is scored by the head of the other half. So the memory, which the paper keeps
for every row, is needed for the sample alone, and all else is a map. A linear head with many more
rows than dimensions can hardly memorise at all: then little is gained on plain cross-entropy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import softmax

from pipeline.cleaners.columns import labels, score, score_schema, vectors
from pipeline.cleaners.halves import READS, gather, halves, labelled, parts
from pipeline.contract import Amount, Count, Positive, Rows, Share
from pipeline.findings import Findings, LabelNoise
from pipeline.numeric.bottom import Bottom
from pipeline.numeric.class_histogram import ClassHistogram
from pipeline.numeric.class_mixture import ClassMixture, fit_classes
from pipeline.numeric.early_learning import Memory, early_loss
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.softmax_head import HalfHeads, SoftmaxHead, descend
from pipeline.numeric.verdict import Calibration, class_noise, count_odds, log_odds, wrong
from pipeline.schema import IMAGE


@dataclass(frozen=True)
class Learned:
    """What `early` has learned."""

    heads: HalfHeads
    """After the last epoch."""
    snapshot: NDArray[np.float32]
    """`(s, 2, d + 1, k)` weights of the heads on the way there."""
    calibration: Calibration
    """Of the last heads."""
    odds: ClassMixture
    """Of the log-odds against the labels."""
    is_fitted: bool
    """Whether there were labels; if not, the cleaner abstains."""


@dataclass(frozen=True, kw_only=True)
class Early:
    """Judges labels by a head that is kept from learning the wrong ones by heart."""

    name: ClassVar[str] = "early"
    reads: ClassVar[tuple[str, ...]] = READS
    adds: ClassVar[pa.Schema] = score_schema(
        "early",
        ("label", pa.float32(), "P(label is wrong) by the head of the other half"),
        ("time", pa.float32(), "when that head first named the label: 0 at once, 1 never"),
        ("prediction", pa.int32(), "the most likely class"),
        ("confidence", pa.float32(), "its probability: high is good"),
    )

    sample_rows: Count = 20_000
    """Rows that the heads are trained on at most."""
    epochs: Count = 60
    """Steps on all rows of a half."""
    snapshots: Count = 8
    """Heads that are kept, at epochs that grow by a factor."""
    strength: Amount = 3.0
    """Weight of the regulariser; at 0 the heads are plain logistic regressions."""
    momentum: Share = 0.7
    """Share of the memory that an epoch leaves."""
    rate: Positive = 0.02
    """Size of a step."""
    prior_rows: Amount = 100.0
    """Rows of the other classes that a class borrows to tell two groups of labels apart."""

    def fit(self, rows: Rows) -> Learned:
        rows, num_classes = rows.select(*self.reads), len(rows.classes)
        sample = rows.reduce(partial(gather, self.sample_rows), Bottom.merge)
        image, label, half = parts(sample)
        course = [self._train(image[half != h], label[half != h], num_classes) for h in range(2)]
        heads = HalfHeads.of([heads[-1] for heads in course])
        snapshot = np.stack([[head.weight for head in pair] for pair in zip(*course, strict=True)])
        calibration = Calibration.of(heads.logits(image, half), label)
        count = partial(_count, heads, calibration)
        odds = fit_classes(rows.reduce(count, ClassHistogram.merge), self.prior_rows, turn=0.0)
        return Learned(heads, snapshot.astype(np.float32), calibration, odds, bool(len(label)))

    def _train(
        self, image: NDArray[np.float64], label: NDArray[np.int64], num_classes: int
    ) -> list[SoftmaxHead]:
        """Return the heads at the epochs of the snapshots."""
        memory = Memory.empty(len(label), num_classes)

        def gradient(logit: NDArray[np.float64]) -> NDArray[np.float64]:
            nonlocal memory
            memory = memory.update(softmax(logit, axis=1), self.momentum)
            return early_loss(logit, label, memory.dense(num_classes), self.strength)[1]

        start = SoftmaxHead.zeros(image, num_classes)
        course = list(islice(descend(start, image, gradient, self.rate), self.epochs))
        epoch = np.unique(np.geomspace(1, self.epochs, self.snapshots).round().astype(int))
        return [course[e - 1] for e in epoch]

    def score(self, state: Learned, batch: pa.Table) -> pa.Table:
        label, image, half = np.maximum(labels(batch), 0), vectors(batch, IMAGE)[0], halves(batch)
        known, seen = labelled(batch) & state.is_fitted, vectors(batch, IMAGE)[1] & state.is_fitted
        chance = state.calibration.probability(state.heads.logits(image, half))
        own = chance[np.arange(len(label)), label]
        best = chance.argmax(axis=1)
        columns = [
            score(wrong(own, label, state.calibration, state.odds), known),
            score(_time(state, image, half, label), known),
            pa.array(best.astype(np.int32), mask=~seen),
            score(chance.max(axis=1), seen),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Learned) -> Findings:
        if not state.is_fitted:
            return Findings()
        return Findings(noise=LabelNoise.of_rate(class_noise(state.calibration, state.odds)))

    def dump(self, state: Learned) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Learned:
        return from_arrays(Learned, arrays)


def _count(heads: HalfHeads, calibration: Calibration, batch: pa.Table) -> ClassHistogram:
    label = np.where(labelled(batch), labels(batch), -1)
    own = calibration.own(heads.logits(vectors(batch, IMAGE)[0], halves(batch)), label)
    return count_odds(log_odds(own), label, len(calibration.prior))


def _time(
    state: Learned,
    image: NDArray[np.floating],
    half: NDArray[np.integer],
    label: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Return the `(n,)` shares of snapshots that pass before one predicts the label."""
    named = [
        replace(state.heads, weight=weight).logits(image, half).argmax(axis=1) == label
        for weight in state.snapshot
    ]
    found = np.stack([*named, np.ones(len(label), bool)])
    return found.argmax(axis=0) / len(named)
