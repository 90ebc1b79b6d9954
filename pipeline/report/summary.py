"""The numbers of a report as a sum over ledger tables: bounded, whatever the rows."""

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.ledger import NUM_BINS, bins, by_class, counts, exploded, scores, text_values
from pipeline.report.agreement import Overlap, Overlaps, overlaps
from pipeline.report.deciding import Thresholds
from pipeline.report.gallery import SIZES, Entry, Name, galleries, merged

NO_OVERLAP: Final = Overlap(0, 0, 0, 0)

Counted = TypeVar("Counted", bound=Hashable)


@dataclass(frozen=True)
class Histogram:
    """How the values of one score spread over `NUM_BINS` equal bins; nulls are not counted."""

    kept: tuple[int, ...] = (0,) * NUM_BINS
    flagged: tuple[int, ...] = (0,) * NUM_BINS
    """Rows whose action is any other than keep."""


@dataclass(frozen=True)
class Summary:
    """What a report says of any number of ledger rows."""

    actions: Counter[str]
    """Rows per action."""
    classes: Counter[tuple[str | None, str]]
    """Rows per label and action."""
    reasons: Counter[tuple[str, str]]
    """Rows per reason and action; a row counts once for each of its reasons."""
    only: Counter[tuple[str, str]]
    """Rows per reason and action that have no other reason."""
    relabels: Counter[tuple[str | None, str | None]]
    """Relabelled rows per old and new label."""
    histograms: Mapping[str, Histogram]
    """By score column."""
    overlaps: Overlaps
    """Rows that two cleaners doubt, or one of them, or none."""
    galleries: Mapping[Name, tuple[Entry, ...]]
    """Examples, at most `gallery.SIZES` in each."""

    @property
    def rows(self) -> int:
        """Number of rows that were summed up."""
        return self.actions.total()

    @classmethod
    def of(cls, table: pa.Table, thresholds: Thresholds) -> "Summary":
        """Return the summary of one table.

        Parameters
        ----------
        table
            Columns of `schema.LEDGER`, a `caption` and any float32 columns named
            `<cleaner>.<what>`.
        thresholds
            The rules of the policy; their reasons are those of the `reasons` column.
        """
        pairs = exploded(table)
        return cls(
            actions=Counter({action: num for (action,), num in counts(table, "action").items()}),
            classes=counts(by_class(table), "label", "action"),
            reasons=counts(pairs, "reason", "action"),
            only=counts(pairs.filter(pc.equal(pairs["num"], 1)), "reason", "action"),
            relabels=counts(
                by_class(table.filter(pc.equal(table["action"], "relabel"))), "label", "new_label"
            ),
            histograms=_histograms(table),
            overlaps=overlaps(table),
            galleries=galleries(table, thresholds),
        )


def merge(one: Summary, other: Summary) -> Summary:
    """Return the summary of the rows of both: associative, commutative, and pure."""
    nothing = Histogram()
    return Summary(
        actions=_sum(one.actions, other.actions),
        classes=_sum(one.classes, other.classes),
        reasons=_sum(one.reasons, other.reasons),
        only=_sum(one.only, other.only),
        relabels=_sum(one.relabels, other.relabels),
        histograms={
            column: _added(
                one.histograms.get(column, nothing), other.histograms.get(column, nothing)
            )
            for column in one.histograms.keys() | other.histograms.keys()
        },
        overlaps={
            pair: one.overlaps.get(pair, NO_OVERLAP) + other.overlaps.get(pair, NO_OVERLAP)
            for pair in one.overlaps.keys() | other.overlaps.keys()
        },
        galleries={
            name: merged(one.galleries.get(name, ()), other.galleries.get(name, ()), SIZES[name[0]])
            for name in one.galleries.keys() | other.galleries.keys()
        },
    )


def _sum(one: Counter[Counted], other: Counter[Counted]) -> Counter[Counted]:
    """Return `one + other`, many times faster where one of the two is much larger."""
    large, small = (one, other) if len(one) >= len(other) else (other, one)
    total = Counter(large)
    total.update(small)
    return total


def _added(one: Histogram, other: Histogram) -> Histogram:
    return Histogram(
        kept=tuple(a + b for a, b in zip(one.kept, other.kept, strict=True)),
        flagged=tuple(a + b for a, b in zip(one.flagged, other.flagged, strict=True)),
    )


def _histograms(table: pa.Table) -> dict[str, Histogram]:
    is_kept = text_values(table, "action") == "keep"
    return {
        column: Histogram(_bins(score[is_kept]), _bins(score[~is_kept]))
        for column, score in scores(table).items()
    }


def _bins(score: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(bins(score).tolist())
