"""`diffuse`: labels that a flow from the trusted rows of their class does not reach.

After Local Graph Clustering with Noisy Labels (Yang et al. 2024). On a graph of bounded size, a
sample of the corpus, mass is poured on the most trusted rows of each class, and flows on until no
row holds more than it can: easily between rows of the class, hardly from them to others. Each row,
sampled or not, is then judged by the classes whose flow its neighbours have seen most of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from pipeline.cleaners.columns import (
    hashes,
    keys,
    labels,
    lists,
    numbers,
    score,
    score_schema,
)
from pipeline.contract import Count, Positive, Rows, Share
from pipeline.findings import Findings
from pipeline.numeric.bottom import Bottom, Columns
from pipeline.numeric.calibration import Calibration, own_share
from pipeline.numeric.diffusion import LabelledGraph, diffuse
from pipeline.numeric.graph import Graph, link
from pipeline.numeric.node_shares import NodeShares
from pipeline.numeric.propagation import over_prior
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.schema import LABEL

CALIBRATED_ROWS = 8_000
"""Rows on which the sharpness of the flows is chosen."""


@dataclass(frozen=True)
class Diffused:
    """What `diffuse` has learned."""

    nodes: NodeShares
    """Shares of the flows that went through each row of the graph."""
    calibration: Calibration
    is_fitted: bool
    """Whether there were labels; if not, the cleaner abstains."""
    excess: float
    """Share of the mass that did not come to rest."""


@dataclass(frozen=True, kw_only=True)
class Diffuse:
    """Finds labels that a flow from the trusted rows of their class does not reach."""

    name: ClassVar[str] = "diffuse"
    reads: ClassVar[tuple[str, ...]] = (
        *("uid", "image_hash", LABEL, "probe.doubt"),
        *("neighbours.anchor", "neighbours.nearness"),
    )
    adds: ClassVar[pa.Schema] = score_schema(
        "diffuse",
        ("label", pa.float32(), "P(the label is wrong), given the flows around the row"),
        ("prediction", pa.int32(), "the class with most flow around the row"),
        ("confidence", pa.float32(), "its probability: high is good"),
    )

    graph_rows: Count = 50_000
    """Rows of the graph at most."""
    leak: Share = 0.05
    """Part of its weight that an edge between unlike labels keeps."""
    mass: Positive = 2.0
    """What is poured, over the clean rows expected in the class."""
    seeds: Share = 0.2
    """Share of the rows of a class that it is poured on, the most trusted ones."""
    steps: Count = 100
    """Rounds of pushes at most."""

    def fit(self, rows: Rows) -> Diffused:
        rows, num_classes = rows.select(*self.reads), len(rows.classes)
        graph = Graph.of(rows.reduce(self._gather, Bottom.merge))
        label = graph.row.column["label"]
        source = self._source(graph.row, num_classes)
        labelled = LabelledGraph.of(graph.edge, label, num_classes, self.leak)
        flow = diffuse(labelled, source, self.steps)
        nodes = NodeShares.of(graph.row.key, [_shares(flow.potential)])
        calibration = _calibrate(nodes, graph.row, num_classes)
        return Diffused(nodes, calibration, bool((label >= 0).any()), flow.excess)

    def _gather(self, batch: pa.Table) -> Bottom:
        column: Columns = {
            "label": labels(batch),
            "doubt": numbers(batch, "probe.doubt"),
            "near": lists(batch, "neighbours.anchor"),
            "similarity": lists(batch, "neighbours.nearness"),
        }
        return Bottom.of(self.graph_rows, hashes(batch), keys(batch), column)

    def _source(self, row: Bottom, num_classes: int) -> sparse.csr_array:
        """Return the `(m, k)` mass on the seeds: many, since one may lie in a wrong mode."""
        label, doubt = row.column["label"], np.nan_to_num(row.column["doubt"], nan=1.0)
        known = label >= 0
        size = np.bincount(label[known], minlength=num_classes)
        clean = np.bincount(label[known], 1.0 - doubt[known], num_classes)
        order = np.lexsort((row.hash, doubt, label))
        order = order[known[order]]
        first = np.r_[0, np.cumsum(size)][label[order]]
        few = np.ceil(self.seeds * size)
        seed = order[np.arange(len(order)) - first < few[label[order]]]
        poured = self.mass * np.maximum(clean, 1.0) / np.maximum(few, 1.0)
        shape = (len(label), num_classes)
        return sparse.csr_array((poured[label[seed]], (seed, label[seed])), shape=shape)

    def score(self, state: Diffused, batch: pa.Table) -> pa.Table:
        label, prior = labels(batch), state.calibration.prior
        near = lists(batch, "neighbours.anchor"), lists(batch, "neighbours.nearness")
        evidence, reached = _evidence(state.nodes, near, prior)
        linked = (link(state.nodes.key, *near).sum(axis=1) > 0) & state.is_fitted
        share = state.calibration.probability(evidence)
        own = own_share(share, label)
        wrong = np.where(reached, state.calibration.wrong(own), 1.0 - own)
        columns = [
            score(wrong, linked & (label >= 0)),
            pa.array(share.argmax(axis=1).astype(np.int32), mask=~(linked & reached)),
            score(share.max(axis=1, initial=0.0), linked & reached),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Diffused) -> Findings:
        if not state.is_fitted:
            return Findings()
        return Findings(shares={"wrong labels": state.calibration.rate})

    def dump(self, state: Diffused) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Diffused:
        return from_arrays(Diffused, arrays)


def _shares(potential: sparse.csr_array) -> sparse.csr_array:
    """Return flows over the mean of their class where it flows: else large classes flood all."""
    reached = np.maximum(np.bincount(potential.indices, minlength=potential.shape[1]), 1)
    mean = potential.sum(axis=0) / reached
    inverse = np.where(mean > 0, 1.0 / np.where(mean > 0, mean, 1.0), 0.0)
    return sparse.csr_array(potential @ sparse.diags_array(inverse))


def _evidence(
    nodes: NodeShares,
    near: tuple[NDArray[np.uint64], NDArray[np.float32]],
    prior: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the `(n, k)` evidence of the flows around rows, and where there was any flow."""
    around = nodes.around(*near, np.zeros(len(near[0]), np.int64), len(prior))
    total = around.sum(axis=1)
    share = around / np.where(total > 0, total, 1.0)[:, None]
    return over_prior(share, np.full(len(prior), 1.0 / len(prior))), total > 0


def _calibrate(nodes: NodeShares, row: Bottom, num_classes: int) -> Calibration:
    """Return how much the flows are worth, by the labelled rows of the graph that they reach."""
    row = row.take(row.column["label"] >= 0)
    count = np.bincount(row.column["label"], minlength=num_classes) + 1.0
    row = row.take(np.sort(np.argsort(row.hash, kind="stable")[:CALIBRATED_ROWS]))
    near, prior = (row.column["near"], row.column["similarity"]), count / count.sum()
    evidence, reached = _evidence(nodes, near, prior)
    return Calibration.of(evidence[reached], row.column["label"][reached], prior)
