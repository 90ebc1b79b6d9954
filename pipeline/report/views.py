"""A summary as the lists that the page shows: sorted, shortened and put into words."""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from markupsafe import Markup

from pipeline.report.deciding import Thresholds
from pipeline.report.gallery import Entry
from pipeline.report.plots import histogram
from pipeline.report.summary import Summary
from pipeline.schema import ACTIONS

TITLES: Final = {
    "keep": "Kept",
    "relabel": "Relabelled",
    "drop": "Dropped",
    "quarantine": "Quarantined",
}
NUM_WORST, NUM_BEST, NUM_PAIRS = 50, 10, 24
"""Classes and pairs of classes that are listed."""


class ReasonRow(NamedTuple):
    """A reason and the rows that have it."""

    reason: str
    rows: int
    only: int
    """Rows that have no other reason."""
    actions: dict[str, int]
    """Rows per action."""


class ClassRow(NamedTuple):
    """What became of the rows of one web label."""

    label: str | None
    rows: int
    actions: dict[str, int]
    """Rows per action."""
    arrived: int
    """Rows of other labels that were relabelled to this one."""

    @property
    def rate(self) -> float:
        """Share of the rows that keep this label."""
        return self.actions["keep"] / self.rows


class ClassTable(NamedTuple):
    """The classes worth a look: the worst, then the best."""

    worst: list[ClassRow]
    best: list[ClassRow]
    seen: int
    """Classes that have rows."""
    unseen: int
    """Classes of the class file that have none."""
    hidden: int
    """Classes that are not listed."""


class Plot(NamedTuple):
    """The histogram of one score."""

    column: str
    svg: Markup
    scored: int
    abstained: int


class Section(NamedTuple):
    """A gallery with its heading."""

    kind: str
    reason: str
    rows: int | None
    """Rows that the gallery is drawn from, where that was counted."""
    entries: tuple[Entry, ...]


def outcomes(summary: Summary) -> dict[str, int]:
    """Return the rows per action, every action included."""
    return {action: summary.actions[action] for action in ACTIONS}


def reasons(summary: Summary) -> list[ReasonRow]:
    """Return the reasons of readable rows, the most frequent first."""
    return _reasons(summary, [action for action in ACTIONS if action != "quarantine"])


def quarantined(summary: Summary) -> list[ReasonRow]:
    """Return the reasons of quarantined rows, the most frequent first."""
    return _reasons(summary, ["quarantine"])


def _reasons(summary: Summary, actions: Collection[str]) -> list[ReasonRow]:
    found = {reason for reason, action in summary.reasons if action in actions}
    rows = []
    for reason in found:
        by_action = {action: summary.reasons[reason, action] for action in actions}
        only = sum(summary.only[reason, action] for action in actions)
        rows.append(ReasonRow(reason, sum(by_action.values()), only, by_action))
    return sorted(rows, key=lambda row: (-row.rows, row.reason))


def classes(summary: Summary, names: Collection[str]) -> ClassTable:
    """Return the classes, the smallest share of kept rows first.

    Parameters
    ----------
    summary
        The run.
    names
        The classes of the class file.
    """
    arrived: Counter[str | None] = Counter()
    for (_, new), num in summary.relabels.items():
        arrived[new] += num
    labels = {label for label, _ in summary.classes}
    rows = [_class_row(summary, label, arrived[label]) for label in labels]
    rows.sort(key=lambda row: (row.rate, -row.rows, row.label or ""))
    cut = max(NUM_WORST, len(rows) - NUM_BEST)
    unseen, hidden = len(set(names) - labels), len(rows[NUM_WORST:cut])
    return ClassTable(rows[:NUM_WORST], rows[cut:], len(labels - {None}), unseen, hidden)


def _class_row(summary: Summary, label: str | None, arrived: int) -> ClassRow:
    actions = {action: summary.classes[label, action] for action in ACTIONS}
    return ClassRow(label, sum(actions.values()), actions, arrived)


def pairs(summary: Summary) -> list[tuple[tuple[str | None, str | None], int]]:
    """Return the most frequent pairs of old and new label."""

    def order(pair: tuple[tuple[str | None, str | None], int]) -> tuple[int, str, str]:
        (old, new), num = pair
        return -num, old or "", new or ""

    return sorted(summary.relabels.items(), key=order)[:NUM_PAIRS]


def plots(summary: Summary, thresholds: Thresholds) -> list[Plot]:
    """Return a histogram for each column with a score, those with a threshold first."""
    found = []
    order = sorted(summary.histograms, key=lambda column: (column not in thresholds, column))
    for column in order:
        spread = summary.histograms[column]
        scored = sum(spread.kept) + sum(spread.flagged)
        if not scored:
            continue
        svg = histogram(spread.kept, spread.flagged, thresholds.get(column, ()))
        found.append(Plot(column, svg, scored, summary.rows - scored))
    return found


def sections(summary: Summary) -> Iterator[Section]:
    """Yield the galleries in the order of the page, without the empty ones."""
    for kind in ("keep", "relabel"):
        if entries := summary.galleries.get((kind, "")):
            yield Section(kind, "", summary.actions[kind], entries)
    by_size = sorted(reasons(summary), key=lambda row: (-row.actions["drop"], row.reason))
    for row in by_size:
        if entries := summary.galleries.get(("drop", row.reason)):
            yield Section("drop", row.reason, row.actions["drop"], entries)
    place = {row.reason: at for at, row in enumerate(by_size)}
    near = [reason for kind, reason in summary.galleries if kind == "borderline"]
    for reason in sorted(near, key=lambda reason: (place.get(reason, len(place)), reason)):
        entries = summary.galleries["borderline", reason]
        yield Section("borderline", reason, None, tuple(sorted(entries, key=_by_score)))


def _by_score(entry: Entry) -> tuple[float, tuple[float, bytes, str, int]]:
    return entry.score or 0.0, entry.order
