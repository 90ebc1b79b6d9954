"""Examples for the report: of each kind, the few rows that a person should look at."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge as interleave
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.ledger import exploded, scores, text_values
from pipeline.report.deciding import Choice, Rule, Thresholds, Verdict

SIZES: Final = {"keep": 24, "relabel": 24, "drop": 12, "borderline": 12, "quarantine": 50}
"""Rows that a gallery of each kind holds; with them the memory of a summary is bounded."""
CAPTION_CHARS: Final = 500
"""A longer caption is cut when it enters a gallery."""
COLUMNS: Final = (
    "uid", "key", "shard", "row", "action", "label", "new_label", "reasons", "caption",
)  # fmt: skip

Name = tuple[str, str]
"""Kind of a gallery (a key of `SIZES`) and its reason, empty where a kind has one gallery."""
Rank = NDArray[np.float64]
"""`(n,)` place of each row in a gallery, lowest first; NaN where a row does not take part."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of a gallery."""

    uid: bytes
    """Hash of image and text; empty where the row has none."""
    shard: str
    row: int
    key: str
    action: str
    caption: str | None
    """Its first `CAPTION_CHARS` characters."""
    caption_chars: int
    """Length of the whole caption."""
    label: str | None
    new_label: str | None
    reasons: tuple[str, ...]
    column: str | None
    """Score column that decided or, for a kept row, came closest to it."""
    score: float | None
    """Value of `column`, in [0, 1]; higher is more suspect."""
    threshold: float | None
    """Score from which `column` gives its reason."""
    rank: float
    """Place in the gallery; equal ranks are ordered by uid, shard and row."""

    @property
    def order(self) -> tuple[float, bytes, str, int]:
        """Total order of the entries of a gallery."""
        return self.rank, self.uid, self.shard, self.row


def galleries(table: pa.Table, thresholds: Thresholds) -> dict[Name, tuple[Entry, ...]]:
    """Return the galleries of one ledger table, without the empty ones."""
    rows = table.select([name for name in COLUMNS if name in table.column_names])
    found = {
        name: _first(rows, rank, choice, SIZES[name[0]])
        for name, rank, choice in _contests(table, thresholds)
    }
    return {name: entries for name, entries in found.items() if entries}


def merged(one: Iterable[Entry], other: Iterable[Entry], num: int) -> tuple[Entry, ...]:
    """Return the first `num` entries of two ordered galleries."""
    return tuple(islice(interleave(one, other, key=lambda entry: entry.order), num))


def _contests(table: pa.Table, thresholds: Thresholds) -> Iterator[tuple[Name, Rank, Choice]]:
    """Yield for every gallery the rank of each row and the rule that it is shown with."""
    rules, given = _rules(table, thresholds), _given(table)
    action, lot = text_values(table, "action"), _lot(table)
    nowhere = np.zeros(len(table), np.bool_)

    def choice(*reasons: str, fired: bool = True) -> Choice:
        named = [rule for rule in rules if not reasons or rule.reason in reasons]
        allowed = [given.get(rule.reason, nowhere) if fired else ~nowhere for rule in named]
        return Choice.of(named, np.array(allowed, np.bool_).reshape(len(named), len(table)))

    def among(member: NDArray[np.bool_], rank: Rank) -> Rank:
        return np.where(member, rank, np.nan)

    yield ("keep", ""), among(action == "keep", lot), choice(fired=False)
    yield ("quarantine", ""), among(action == "quarantine", lot), choice()
    decided = choice()
    yield ("relabel", ""), among(action == "relabel", -decided.score), decided
    for reason, member in given.items():
        decided = choice(reason)
        yield ("drop", reason), among(member & (action == "drop"), -decided.score), decided
    for reason in {rule.reason for rule in rules}:
        near = choice(reason, fired=False)
        member = np.isfinite(near.margin) & (action != "quarantine")
        yield ("borderline", reason), among(member, np.abs(near.margin)), near


def _rules(table: pa.Table, thresholds: Thresholds) -> list[Rule]:
    score = scores(table)
    return [
        Rule(column, reason, value, score[column])
        for column, pairs in thresholds.items()
        if column in score
        for reason, value in pairs
    ]


def _given(table: pa.Table) -> dict[str, NDArray[np.bool_]]:
    """Return for each reason of the table the `(n,)` mask of the rows that have it."""
    pairs = exploded(table)
    at, reason = pairs["at"].to_numpy(), text_values(pairs, "reason")
    return {one: np.isin(np.arange(len(table)), at[reason == one]) for one in set(reason)}


def _lot(table: pa.Table) -> Rank:
    """Return a rank in the order of the uid, which is random and the same on every run."""
    heads = [(uid or b"")[:8] for uid in table["uid"].to_pylist()]
    return np.array([int.from_bytes(head, "big") / 2**64 for head in heads], np.float64)


def _first(table: pa.Table, rank: Rank, choice: Choice, num: int) -> tuple[Entry, ...]:
    candidate = np.flatnonzero(~np.isnan(rank))
    if len(candidate) > num:
        last = np.partition(rank[candidate], num - 1)[num - 1]
        candidate = candidate[rank[candidate] <= last]
    entries = [
        _entry(row, float(rank[at]), choice.verdict(at))
        for at, row in zip(candidate.tolist(), table.take(candidate).to_pylist(), strict=True)
    ]
    return tuple(sorted(entries, key=lambda entry: entry.order)[:num])


def _entry(row: Mapping[str, Any], rank: float, verdict: Verdict) -> Entry:
    caption = row.get("caption")
    return Entry(
        uid=row["uid"] or b"",
        shard=row["shard"] or "",
        row=-1 if row["row"] is None else row["row"],
        key=_cut(row["key"]) or "",
        action=row["action"],
        caption=_cut(caption),
        caption_chars=len(caption or ""),
        label=_cut(row["label"]),
        new_label=_cut(row["new_label"]),
        reasons=tuple(row["reasons"] or ()),
        rank=rank,
        **verdict._asdict(),
    )


def _cut(text: str | None) -> str | None:
    return text if text is None else text[:CAPTION_CHARS]
