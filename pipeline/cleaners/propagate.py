"""`propagate`: labels that do not survive being smoothed over the graph of nearest images.

After ERASE (Chen et al. 2024, "ERASE: error-resilient representation learning on graphs for label
noise tolerance"). Labels are denoised on a graph of bounded size, a sample of the corpus: each
step draws a row to its neighbours. Then every row, sampled or not, is compared with what its own
neighbours have become and with prototypes made of them. No label vouches for itself: the
rows of a fold are judged by a graph on which the labels of that fold are hidden.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import (
    folds,
    hashes,
    keys,
    labels,
    lists,
    score,
    score_schema,
    vectors,
)
from pipeline.contract import Count, Folds, Positive, Rows, Share
from pipeline.findings import Findings, LabelNoise
from pipeline.numeric.bottom import Bottom, Columns
from pipeline.numeric.calibration import HALF, Calibration, own_share
from pipeline.numeric.coding_rate import Axes, ClassOuter, Compactness
from pipeline.numeric.graph import Graph
from pipeline.numeric.propagation import Near, Smoothed, denoise, over_prior
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.schema import IMAGE, LABEL

CALIBRATED_ROWS = 8_000
"""Rows on which the sharpness of the shares is chosen."""
OUTER_NUMBERS = 4_000_000
"""Size at most of the outer products of all classes."""


@dataclass(frozen=True)
class Propagated:
    """What `propagate` has learned."""

    smoothed: Smoothed
    calibration: Calibration
    is_fitted: bool
    """Whether there were labels; if not, the cleaner abstains."""
    compactness: Compactness
    """Of each class, for the report."""


@dataclass(frozen=True, kw_only=True)
class Propagate:
    """Finds labels that do not survive being smoothed over the graph of nearest images."""

    name: ClassVar[str] = "propagate"
    reads: ClassVar[tuple[str, ...]] = (
        *("uid", "image_hash", IMAGE, LABEL),
        *("neighbours.anchor", "neighbours.nearness"),
    )
    adds: ClassVar[pa.Schema] = score_schema(
        "propagate",
        ("label", pa.float32(), "P(the label is wrong), given its smoothed neighbours"),
        ("prediction", pa.int32(), "the most likely class"),
        ("confidence", pa.float32(), "its probability: high is good"),
    )

    graph_rows: Count = 50_000
    """Rows of the graph at most."""
    steps: Count = 4
    """Edges that a label can reach on the graph."""
    keep: Share = 0.6
    """Share of its own say that a row of the graph keeps per step."""
    graph_share: Share = 0.85
    """Share of the neighbours in a judgement; the rest is that of the prototypes."""
    temperature: Positive = 0.1
    """Of the softmax over centred cosines to the prototypes."""
    folds: Folds = 5
    """Parts whose labels are hidden in turn."""
    axes: Count = 64
    """Principal axes in which the compactness of a class is measured; fewer with many classes."""
    distortion: Positive = 0.5
    """Error up to which features are coded."""

    def fit(self, rows: Rows) -> Propagated:
        rows, num_classes = rows.select(*self.reads), len(rows.classes)
        graph = Graph.of(rows.reduce(self._gather, Bottom.merge))
        label, transition = graph.row.column["label"], graph.transition
        fold = (graph.row.hash % np.uint64(self.folds)).astype(np.int64)
        told = [np.where(fold == f, -1, label) for f in range(self.folds)]
        smoothed = Smoothed.of(
            graph, [denoise(transition, t, num_classes, self.steps, self.keep) for t in told]
        )
        calibration = self._calibrate(smoothed, graph.row, num_classes)
        size = max(1, min(self.axes, int(np.sqrt(OUTER_NUMBERS / num_classes))))
        axes = Axes.of(graph.row.column["image"], size)
        outer = partial(self._outer, smoothed, calibration, axes)
        compactness = Compactness.of(*rows.reduce(outer, _merge_pairs), self.distortion)
        return Propagated(smoothed, calibration, bool((label >= 0).any()), compactness)

    def _gather(self, batch: pa.Table) -> Bottom:
        image, present = vectors(batch, IMAGE)
        column: Columns = {
            "image": image.astype(np.float16)[present],
            "label": labels(batch)[present],
            "near": lists(batch, "neighbours.anchor")[present],
            "similarity": lists(batch, "neighbours.nearness")[present],
        }
        return Bottom.of(self.graph_rows, hashes(batch)[present], keys(batch)[present], column)

    def _calibrate(self, smoothed: Smoothed, row: Bottom, num_classes: int) -> Calibration:
        """Return how much the shares are worth, by the labelled rows of the graph."""
        row = row.take(row.column["label"] >= 0)
        count = np.bincount(row.column["label"], minlength=num_classes) + 1.0
        row = row.take(np.sort(np.argsort(row.hash, kind="stable")[:CALIBRATED_ROWS]))
        column, fold = row.column, (row.hash % np.uint64(self.folds)).astype(np.int64)
        near, prior = (column["near"], column["similarity"]), count / count.sum()
        share = self._shares(smoothed, column["image"].astype(np.float32), near, fold)
        return Calibration.of(over_prior(share, prior), column["label"], prior)

    def _shares(
        self, smoothed: Smoothed, image: NDArray[np.float32], near: Near, fold: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        return smoothed.mix(image, near, fold, self.graph_share, self.temperature)

    def _probability(
        self, smoothed: Smoothed, calibration: Calibration, batch: pa.Table
    ) -> NDArray[np.float64]:
        """Return `(n, k)` probabilities of the classes, of which no label told its own row."""
        near = lists(batch, "neighbours.anchor"), lists(batch, "neighbours.nearness")
        fold = folds(batch, self.folds)
        share = self._shares(smoothed, vectors(batch, IMAGE)[0], near, fold)
        return calibration.probability(over_prior(share, calibration.prior))

    def _outer(
        self, smoothed: Smoothed, calibration: Calibration, axes: Axes, batch: pa.Table
    ) -> tuple[ClassOuter, ClassOuter]:
        """Return the outer products of all labelled rows, and of the suspects among them."""
        (image, present), label = vectors(batch, IMAGE), labels(batch)
        share = self._probability(smoothed, calibration, batch)
        known = np.where(present, label, -1)
        suspect = np.where(calibration.wrong(own_share(share, label)) > HALF, known, -1)
        feature, size = axes.project(image), share.shape[1]
        return ClassOuter.of(feature, known, size), ClassOuter.of(feature, suspect, size)

    def score(self, state: Propagated, batch: pa.Table) -> pa.Table:
        label, judged = labels(batch), vectors(batch, IMAGE)[1] & state.is_fitted
        share = self._probability(state.smoothed, state.calibration, batch)
        wrong = state.calibration.wrong(own_share(share, label))
        columns = [
            score(wrong, judged & (label >= 0)),
            pa.array(share.argmax(axis=1).astype(np.int32), mask=~judged),
            score(share.max(axis=1, initial=0.0), judged),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Propagated) -> Findings:
        found = state.compactness
        if not state.is_fitted:
            return Findings()
        seen = found.count > 0
        of_class = found.flagged / np.where(seen, found.count, np.nan)
        rate, gain = (np.where(seen, value, np.nan) for value in (found.rate, found.gain))
        return Findings(
            noise=LabelNoise.of_rate(of_class),
            coding_rate=rate,
            gain=gain,
            shares={"wrong labels": state.calibration.rate},
        )

    def dump(self, state: Propagated) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Propagated:
        return from_arrays(Propagated, arrays)


def _merge_pairs(
    one: tuple[ClassOuter, ClassOuter], other: tuple[ClassOuter, ClassOuter]
) -> tuple[ClassOuter, ClassOuter]:
    return one[0].merge(other[0]), one[1].merge(other[1])
