"""`confident`: confident learning, exact and in a few passes over any number of rows.

Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels". A
class is confident of a row if it gives it more than it gives its own rows on average. Label
against confident class counts how many rows of each label belong to each class; that many are
flagged, those that look it most. The results are those of cleanlab, which holds all rows by all
classes; here one pass sums thresholds, one counts pairs, a few find each pair's n-th row.

What `probe.top` leaves out counts as 0. Thresholds are always exact. The joint is exact if every
class that is confident of a row is among its top (always, with no more classes than that), and
so is a flag by the label's own probability. A pair takes its rows from those that list its
class; with more classes, cleanlab may reach past them, to rows with hardly a share of either.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import keys, labels, lists, numbers, score, score_schema
from pipeline.contract import Rows
from pipeline.findings import Findings
from pipeline.numeric.confident import Joint, SelfConfidence
from pipeline.numeric.counter import Counter
from pipeline.numeric.label_noise import noise_of_pairs
from pipeline.numeric.ranking import Judged, Ranking
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.select import Cuts, Search, select
from pipeline.numeric.shares import Shares
from pipeline.schema import LABEL

ABOVE_HALF = np.nextafter(np.float32(0.5), np.float32(1.0))
PAIRWISE = ("prune_by_noise_rate", "both")
LOWEST = ("low_self_confidence", "low_normalized_margin")


@dataclass(frozen=True)
class Counted:
    """The confident joint, and how many labels it contradicts."""

    joint: Joint
    issues: int
    """Rows that are confidently of another class than their label says."""

    def merge(self, other: "Counted") -> "Counted":
        """Return the counts over both sets of rows."""
        return Counted(self.joint.merge(other.joint), self.issues + other.issues)


@dataclass(frozen=True)
class Learned:
    """What `confident` has learned."""

    threshold: NDArray[np.float64]
    """`(k,)` probabilities from which a class is confident of a row."""
    joint: Joint
    """How many rows of each label belong to each class."""
    by_pair: Cuts
    """Largest margins flagged, per pair of label and class; empty if the filter needs none."""
    by_row: Cuts
    """Largest probabilities or margins flagged, per label or of all; empty likewise."""


@dataclass(frozen=True, kw_only=True)
class Confident:
    """Flags as many labels as classes confidently contradict, those that they contradict most."""

    name: ClassVar[str] = "confident"
    reads: ClassVar[tuple[str, ...]] = ("uid", LABEL, "probe.doubt", "probe.top", "probe.share")
    adds: ClassVar[pa.Schema] = score_schema(
        "confident",
        ("label", pa.float32(), "P(label wrong): one half at the cut, above it where flagged"),
        ("flag", pa.bool_(), "whether the filter flags the label"),
        ("uncertain", pa.bool_(), "no class is confident of the row: it may be of none"),
        ("prediction", pa.int32(), "the class that is confident of the row, or null"),
        ("confidence", pa.float32(), "its probability: high is good"),
    )

    filter_by: Literal[
        "prune_by_noise_rate",
        "prune_by_class",
        "both",
        "confident_learning",
        "predicted_neq_given",
        "low_self_confidence",
        "low_normalized_margin",
    ] = "prune_by_noise_rate"
    """Which rows are flagged, by the names that cleanlab gives them."""

    def fit(self, rows: Rows) -> Learned:
        rows, num_classes = rows.select(*self.reads), len(rows.classes)
        own = rows.reduce(partial(_sum_own, num_classes), SelfConfidence.merge)
        counted = rows.reduce(partial(_count_pairs, own.threshold), Counted.merge)
        joint, by_pair = counted.joint.calibrate(own.count), partial(Ranking.by_pair, num_classes)
        pairs, row = self._pairs(joint, own.count), self._rows(joint, own.count, counted.issues)
        return Learned(
            threshold=own.threshold,
            joint=joint,
            by_pair=select(pairs, partial(_sum_digits, rows, by_pair)),
            by_row=select(row, partial(_sum_digits, rows, self._rank)),
        )

    def _pairs(self, joint: Joint, num_rows: NDArray[np.int64]) -> Search:
        """Return how many rows of each label to flag for each other class."""
        many = num_rows[joint.pair // joint.num_classes] > 1
        used = many & ~joint.is_diagonal & (self.filter_by in PAIRWISE)
        return Search.of(joint.pair, np.where(used, joint.keep_one().count, 0))

    def _rows(self, joint: Joint, num_rows: NDArray[np.int64], issues: int) -> Search:
        """Return how many rows to flag, of each label or of the whole corpus."""
        if self.filter_by in LOWEST:
            return Search.of(np.zeros(1, np.int64), np.array([issues]))
        wrong = num_rows - joint.keep_one().count[joint.is_diagonal]
        used = (num_rows > 1) & (self.filter_by in ("prune_by_class", "both"))
        return Search.of(np.arange(len(wrong)), np.where(used, wrong, 0))

    def _rank(self, rows: Shares) -> Ranking:
        """Rank rows by what the filter goes by."""
        if self.filter_by == "low_normalized_margin":
            return Ranking.by_margin(rows)
        return Ranking.by_own(rows) if self.filter_by in LOWEST else Ranking.by_label(rows)

    def score(self, state: Learned, batch: pa.Table) -> pa.Table:
        rows, known = _read(batch)
        confident = rows.confident(state.threshold)
        suspect, flag = self._judge(state, rows, confident)
        side = np.where(flag, np.maximum(suspect, ABOVE_HALF), np.minimum(suspect, 0.5))
        given = np.where(rows.kind == confident[:, None], rows.share, 0).max(axis=1)
        certain = _spread(confident >= 0, known)
        columns = [
            score(_spread(side, known), known),
            pa.array(_spread(flag, known), mask=~known),
            pa.array(~certain, mask=~known),
            pa.array(_spread(confident, known).astype(np.int32), mask=~certain),
            score(_spread(given, known), certain),
        ]
        return pa.table(columns, schema=self.adds)

    def _judge(self, state: Learned, rows: Shares, confident: NDArray[np.int64]) -> Judged:
        """Return how suspect each label is, and whether it is flagged."""
        if self.filter_by in LOWEST:
            return self._beyond(state, rows)
        other = ~rows.agrees
        if self.filter_by == "confident_learning":
            other = other & (confident >= 0) & (confident != rows.label)
        if self.filter_by in ("confident_learning", "predicted_neq_given"):
            return (1.0 - rows.margin) / 2.0, np.asarray(other)
        suspect, beyond = self._beyond(state, rows)
        return suspect, np.asarray(other & beyond)

    def _beyond(self, state: Learned, rows: Shares) -> Judged:
        """Return how suspect each row is by the cuts of the filter, and which are beyond them."""
        if self.filter_by not in PAIRWISE:
            return self._rank(rows).judge(state.by_row)
        odds, taken = Ranking.by_pair(len(state.threshold), rows).judge(state.by_pair)
        worst, some = odds.max(axis=1), np.any(taken, axis=1)
        if self.filter_by != "both":
            return worst, some
        odds, taken = self._rank(rows).judge(state.by_row)
        return np.minimum(worst, odds), np.asarray(some & taken)

    def tell(self, state: Learned) -> Findings:
        joint, total = state.joint, int(state.joint.count.sum())
        if not total:
            return Findings()
        wrong = float(joint.count[~joint.is_diagonal].sum()) / total
        noise = noise_of_pairs(joint.pair, joint.count, joint.num_classes)
        return Findings(noise=noise, shares={"wrong labels": wrong})

    def dump(self, state: Learned) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Learned:
        return from_arrays(Learned, arrays)


def _sum_own(num_classes: int, batch: pa.Table) -> SelfConfidence:
    rows, _ = _read(batch)
    return SelfConfidence.of(rows.label, rows.own, num_classes)


def _count_pairs(threshold: NDArray[np.float64], batch: pa.Table) -> Counted:
    rows, _ = _read(batch)
    confident = rows.confident(threshold)
    issue = (confident >= 0) & (confident != rows.label) & ~rows.agrees
    return Counted(Joint.of(rows.label, confident, len(threshold)), int(issue.sum()))


def _sum_digits(rows: Rows, rank: Callable[[Shares], Ranking], search: Search) -> Counter:
    return rows.reduce(partial(_count_digits, rank, search), Counter.merge)


def _count_digits(rank: Callable[[Shares], Ranking], search: Search, batch: pa.Table) -> Counter:
    ranking = rank(_read(batch)[0])
    return search.count(ranking.cell, ranking.key)


def _read(batch: pa.Table) -> tuple[Shares, NDArray[np.bool_]]:
    """Return the rows that have a label and its probability, and which rows those are."""
    label, wrong = labels(batch), numbers(batch, "probe.doubt")
    known = (label >= 0) & ~np.isnan(wrong)
    top = lists(batch, "probe.top")[known].astype(np.int64)
    share, own = lists(batch, "probe.share")[known], (1.0 - wrong[known]).astype(np.float32)
    return Shares.of(keys(batch)[known], label[known], own, top, share), known


def _spread(value: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the values of the known rows at their places among all rows, zeros elsewhere."""
    spread = np.zeros(len(known), value.dtype)
    spread[known] = value
    return spread
