"""`combine`: one probability that a label is wrong, from the scores of several cleaners.

Scores are never averaged blindly: the better of two detectors may lose the rows that matter, one
cleaner's 0.6 is another's 0.9, and cleaners built alike err together where the picture is hard.
Each score is cut into bins; a latent-class model learns from their joint counts what a bin says of
a label, without any label of truth. Hard rows with a right label are a class of their own, and
cleaners whose scores still move together share a vote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import numbers, score, score_schema
from pipeline.contract import Count, Rows
from pipeline.findings import Findings, Kinship
from pipeline.numeric.latent import Latent, fit_latent
from pipeline.numeric.patterns import Patterns
from pipeline.numeric.record import from_arrays, to_arrays

LOW = (0.0025, 0.01, 0.05, 0.12, 0.27, 0.4)
BOUNDS = np.array([*LOW, 0.5, *(1.0 - bound for bound in reversed(LOW))])
"""Where a score goes from one bin to the next, about evenly in log-odds: what a cleaner claims
keeps its meaning, and rows that are all clean are not split into the less and the more clean."""
NUM_BINS = len(BOUNDS) + 1


@dataclass(frozen=True)
class Tally:
    """How often each combination of bins occurs, and what the scores in a bin claim."""

    patterns: Patterns
    claim: NDArray[np.float64]
    """`(2, m, b)` sums of the scores of a bin, and their number."""

    def merge(self, other: "Tally") -> "Tally":
        """Return the sums over both sets of rows."""
        return Tally(self.patterns.merge(other.patterns), self.claim + other.claim)


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

    def fit(self, rows: Rows) -> Latent:
        tally = rows.select(*self.reads).reduce(self._tally, Tally.merge)
        total, count = tally.claim
        patterns = tally.patterns
        return fit_latent(patterns.vote, patterns.weight, total / np.maximum(count, 1.0))

    def _tally(self, batch: pa.Table) -> Tally:
        value = self._read(batch)
        place = _place(value)
        claim = np.zeros((2, len(self.reads), NUM_BINS))
        for m, said in enumerate(place.T):
            seen = said >= 0
            claim[0, m] = np.bincount(said[seen], value[seen, m], minlength=NUM_BINS)
            claim[1, m] = np.bincount(said[seen], minlength=NUM_BINS)
        told = place[(place >= 0).any(axis=1)]
        return Tally(Patterns.of(self.max_patterns, told), claim)

    def _read(self, batch: pa.Table) -> NDArray[np.float64]:
        """Return the `(n, m)` scores, NaN where a cleaner abstains."""
        return np.column_stack([numbers(batch, column) for column in self.reads])

    def score(self, state: Latent, batch: pa.Table) -> pa.Table:
        place = _place(self._read(batch))
        told = (place >= 0).sum(axis=1)
        columns = [
            score(state.posterior(place), told > 0),
            score(state.spread(place), told > 1),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Latent) -> Findings:
        kinship = Kinship(self.reads, state.correlation, state.say)
        return Findings(shares={"wrong labels": state.wrong}, kinship=kinship)

    def dump(self, state: Latent) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Latent:
        return from_arrays(Latent, arrays)


def _place(value: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bins of `(n, m)` scores; -1 where a cleaner abstains."""
    return np.where(np.isnan(value), -1, np.searchsorted(BOUNDS, value))
