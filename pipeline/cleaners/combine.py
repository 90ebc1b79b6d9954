"""`combine`: one probability that a label is wrong, from the scores of several cleaners.

Scores are never averaged blindly: the better of two detectors may lose the rows that matter, one
cleaner's 0.6 is another's 0.9, and cleaners built alike repeat each other. Each score is cut into
bins; a latent-class model learns from their joint counts what a bin says of a label, without any
label of truth; cleaners whose scores move together, given the truth, share one vote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import logit

from pipeline.cleaners.columns import numbers, score, score_schema
from pipeline.contract import Count, Rows
from pipeline.findings import Findings, Kinship
from pipeline.numeric.histogram import Histogram
from pipeline.numeric.latent import Latent, fit_latent
from pipeline.numeric.patterns import Patterns
from pipeline.numeric.record import from_arrays, to_arrays

SHARES = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
"""Shares of the rows below the bounds of the bins: finer where scores are high."""
FURTHEST = 16.0
"""Log-odds beyond which scores are alike."""


@dataclass(frozen=True)
class Spans:
    """How the log-odds of each score are distributed."""

    of_score: tuple[Histogram, ...]

    def merge(self, other: "Spans") -> "Spans":
        """Return the histograms of both sets of rows."""
        pairs = zip(self.of_score, other.of_score, strict=True)
        return Spans(tuple(one.merge(two) for one, two in pairs))


@dataclass(frozen=True)
class Tally:
    """How often each combination of bins occurs, and what the scores in a bin claim."""

    patterns: Patterns
    claim: NDArray[np.float64]
    """`(2, m, b)` sums of the scores of a bin, and their number."""

    def merge(self, other: "Tally") -> "Tally":
        """Return the sums over both sets of rows."""
        return Tally(self.patterns.merge(other.patterns), self.claim + other.claim)


@dataclass(frozen=True)
class Combined:
    """What `combine` has learned."""

    edge: NDArray[np.float64]
    """`(m, b - 1)` bounds of the bins, in log-odds."""
    model: Latent
    """Calibration of each score, correlations of all, and the weight of each."""

    def place(self, value: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the `(n, m)` bins of `(n, m)` log-odds; -1 where a cleaner abstains."""
        pairs = zip(self.edge, value.T, strict=True)
        place = np.column_stack([np.searchsorted(edge, column) for edge, column in pairs])
        return np.where(np.isnan(value), -1, place)


@dataclass(frozen=True, kw_only=True)
class Combine:
    """Calibrates the scores of several cleaners and combines them into one probability."""

    name: ClassVar[str] = "combine"
    adds: ClassVar[pa.Schema] = score_schema(
        "combine",
        ("label", pa.float32(), "P(the label is wrong), by all cleaners; null if all abstain"),
        ("spread", pa.float32(), "most minus least calibrated suspicion; null with one cleaner"),
    )

    scores: tuple[str, ...] = ("match.label", "probe.label", "imprecise.label", "vote.label")
    """Columns of suspicion to combine; three or more calibrate one another."""
    max_patterns: Count = 50_000
    """Combinations of bins kept; of more a random share."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the scores, each once."""
        return tuple(dict.fromkeys(self.scores))

    def fit(self, rows: Rows) -> Combined:
        rows = rows.select(*self.reads)
        spans = rows.reduce(self._span, Spans.merge)
        edge = np.array([[h.quantile(share) for share in SHARES] for h in spans.of_score])
        shape = len(self.reads), len(SHARES) + 1
        state = Combined(edge, Latent.unknown(*shape))
        tally = rows.reduce(partial(self._tally, state), Tally.merge)
        total, count = tally.claim
        claim = np.maximum.accumulate(total / np.maximum(count, 1.0), axis=1)
        patterns = tally.patterns
        return Combined(edge, fit_latent(patterns.vote, patterns.weight, claim))

    def _span(self, batch: pa.Table) -> Spans:
        value = self._read(batch)
        return Spans(tuple(Histogram.of(column, -FURTHEST, FURTHEST) for column in value.T))

    def _tally(self, state: Combined, batch: pa.Table) -> Tally:
        place = state.place(self._read(batch))
        claim = np.zeros((2, len(self.reads), len(SHARES) + 1))
        for m, column in enumerate(self.reads):
            seen = place[:, m] >= 0
            np.add.at(claim[0, m], place[seen, m], numbers(batch, column)[seen])
            np.add.at(claim[1, m], place[seen, m], 1.0)
        told = place[(place >= 0).any(axis=1)]
        return Tally(Patterns.of(self.max_patterns, told), claim)

    def _read(self, batch: pa.Table) -> NDArray[np.float64]:
        """Return the `(n, m)` log-odds of the scores, NaN where a cleaner abstains."""
        value = np.column_stack([numbers(batch, column) for column in self.reads])
        return np.clip(logit(np.clip(value, 1e-12, 1.0 - 1e-12)), -FURTHEST, FURTHEST)

    def score(self, state: Combined, batch: pa.Table) -> pa.Table:
        place = state.place(self._read(batch))
        told = (place >= 0).sum(axis=1)
        columns = [
            score(state.model.posterior(place), told > 0),
            score(state.model.spread(place), told > 1),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Combined) -> Findings:
        model = state.model
        kinship = Kinship(self.reads, model.correlation, model.say)
        return Findings(shares={"wrong labels": model.wrong}, kinship=kinship)

    def dump(self, state: Combined) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Combined:
        return from_arrays(Combined, arrays)
