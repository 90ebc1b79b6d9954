"""`mixture`: small and large losses told apart class by class, then verified by prototypes.

After CPC (Huang et al. 2022, "Class prototype-based cleaner for label noise learning"). Losses
of a hard class look like those of wrong labels of an easy one, so one mixture for all classes
throws the hard ones away. Here every class has its own, drawn to that of the corpus where its
rows are few; and the prototype of a class says, as a binary verifier, whether a row belongs to it.

The two are joined by expectation-maximisation: whether a label is right decides from which
component its loss comes, and the prototypes say how likely that is before the loss is seen. (In
the paper the verifier alone replaces the mixture; then it only repeats its own last answer.)
Losses are taken as log-odds, which are nearly normal where the losses themselves are skewed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from pipeline.cleaners.columns import folds, labels, numbers, score, score_schema, vectors
from pipeline.contract import Amount, Count, Folds, Rows
from pipeline.findings import Findings, LabelNoise
from pipeline.numeric.class_histogram import ClassHistogram
from pipeline.numeric.class_mixture import ClassMixture, fit_classes
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.verifier import ArrowNewton, CellSums, Verifier
from pipeline.schema import IMAGE, LABEL

LARGEST = 16.0
"""Log-odds are cut here: what is less likely than 1e-7 is all the same."""


@dataclass(frozen=True)
class Mixed:
    """What `mixture` has learned."""

    loss: ClassMixture
    verifier: Verifier


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Tells small from large losses within each class, and verifies them by prototypes."""

    name: ClassVar[str] = "mixture"
    reads: ClassVar[tuple[str, ...]] = ("image_hash", IMAGE, LABEL, "probe.doubt")
    adds: ClassVar[pa.Schema] = score_schema(
        "mixture",
        ("label", pa.float32(), "P(label is wrong) by loss and prototypes; null if one group"),
        ("loss", pa.float32(), "P(the loss is one of the large ones of its class)"),
        ("verified", pa.float32(), "P(label is wrong) by the prototypes alone"),
    )

    rounds: Count = 4
    """Rounds of expectation-maximisation: each moves the prototypes once."""
    steps: Count = 2
    """Newton steps of the verifier in a round."""
    prior_rows: Amount = 100.0
    """Rows of the corpus that every class borrows for its mixture."""
    penalty: Amount = 10.0
    """Weight of the squared intercept of a class, in rows."""
    folds: Folds = 5
    """Parts that prototypes are summed without, so that no row verifies itself."""

    def fit(self, rows: Rows) -> Mixed:
        rows, shape = rows.select(*self.reads), (self.folds, len(rows.classes))
        count = partial(_count_losses, shape[1])
        loss = fit_classes(rows.reduce(count, ClassHistogram.merge), self.prior_rows, turn=0.0)
        sums = rows.reduce(partial(_sum_rows, loss, None, shape), CellSums.merge)
        verifier = Verifier.flat(sums)
        for _ in range(self.rounds if loss.is_split.any() else 0):
            target = verifier if verifier.slope.any() else None
            for _ in range(self.steps):
                newton = partial(_sum_newton, loss, target, verifier)
                verifier = rows.reduce(newton, ArrowNewton.merge).step(verifier, self.penalty)
            sums = rows.reduce(partial(_sum_rows, loss, verifier, shape), CellSums.merge)
            verifier = verifier.moved(sums)
        return Mixed(loss, verifier)

    def score(self, state: Mixed, batch: pa.Table) -> pa.Table:
        known, label = _known(batch), np.maximum(labels(batch), 0)
        judged = known & state.loss.is_split[label]
        feature = _features(state.verifier, batch)
        gate = expit(-state.verifier.logit(feature, label))
        columns = [
            score(1.0 - right(state.loss, state.verifier, batch), judged),
            score(state.loss.high(log_odds(batch), label), judged),
            score(gate, known & state.loss.is_split.any()),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Mixed) -> Findings:
        if not state.loss.is_split.any():
            return Findings()
        return Findings(noise=LabelNoise.of_rate(state.loss.high_share))

    def dump(self, state: Mixed) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Mixed:
        return from_arrays(Mixed, arrays)


def log_odds(batch: pa.Table) -> NDArray[np.float64]:
    """Return the `(n,)` log-odds against the label in [-16, 16]; 0 where there is none."""
    wrong = np.clip(np.nan_to_num(numbers(batch, "probe.doubt"), nan=0.5), 1e-7, 1.0 - 1e-7)
    return np.asarray(np.log(wrong) - np.log1p(-wrong))


def right(loss: ClassMixture, verifier: Verifier | None, batch: pa.Table) -> NDArray[np.float64]:
    """Return the `(n,)` probability that the label is right; 1 in a class of one group.

    Without a verifier it is that of the losses alone.
    """
    label, value = np.maximum(labels(batch), 0), log_odds(batch)
    if verifier is None:
        return 1.0 - loss.high(value, label)
    before = verifier.logit(_features(verifier, batch), label)
    after = expit(before - loss.ratio(value, label))
    return np.where(loss.is_split[label], after, 1.0)


def _known(batch: pa.Table) -> NDArray[np.bool_]:
    scored = ~np.isnan(numbers(batch, "probe.doubt"))
    return (labels(batch) >= 0) & scored & vectors(batch, IMAGE)[1]


def _features(verifier: Verifier, batch: pa.Table) -> NDArray[np.float64]:
    fold = folds(batch, len(verifier.prototype))
    return verifier.features(vectors(batch, IMAGE)[0], np.maximum(labels(batch), 0), fold)


def _count_losses(num_classes: int, batch: pa.Table) -> ClassHistogram:
    label = np.where(_known(batch), labels(batch), -1)
    return ClassHistogram.of(log_odds(batch), label, num_classes, (-LARGEST, LARGEST))


def _sum_rows(
    loss: ClassMixture, verifier: Verifier | None, shape: tuple[int, int], batch: pa.Table
) -> CellSums:
    label = np.where(_known(batch), labels(batch), -1)
    weight, image = right(loss, verifier, batch), vectors(batch, IMAGE)[0]
    return CellSums.of(image, label, folds(batch, shape[0]), weight, shape)


def _sum_newton(
    loss: ClassMixture, before: Verifier | None, verifier: Verifier, batch: pa.Table
) -> ArrowNewton:
    taught = _known(batch) & loss.is_split[np.maximum(labels(batch), 0)]
    rows = batch.filter(pa.array(taught))
    target, label = right(loss, before, rows), labels(rows)
    return ArrowNewton.of(_features(verifier, rows), label, target, verifier)
