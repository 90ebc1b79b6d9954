"""The profile of a night, and what it looks like beside the nights before."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.drift.changes import changes
from pipeline.drift.gates import FEW, Gates, num_fresh, violations
from pipeline.drift.groups import groups
from pipeline.drift.hosts import host_of
from pipeline.drift.partitions import regrouped
from pipeline.drift.profile import Profile
from pipeline.policy.rules import Policy
from pipeline.report.drift import Drift
from pipeline.shards import files
from pipeline.store.label import Labeller
from pipeline.store.nights import Night, Nights
from pipeline.store.rows import GROUP, StoredRows
from pipeline.store.run import Run
from pipeline.store.workspace import Step, from_parquet, to_parquet

COPY = "dedup.copy"
"""Score that is 1 where an earlier or better row has the very same picture."""
PROFILE = "profile.parquet"
"""What the profile of a night is called, beside its record."""


def look(
    nights: Nights, gates: Gates, night: Night, tonight: Profile, history: Sequence[Night]
) -> Drift:
    """Keep the profile of a night and hold it against the nights before."""
    name, num_copies = night.name, night.num_rows - tonight.rows
    files.write(nights.uri(name, PROFILE), to_parquet(tonight.to_table()))
    window = [other.name for other in history][-gates.reference_nights :]
    profiles = {other: stored(nights, other) for other in window}
    known = {other: found for other, found in profiles.items() if num_fresh(found) >= FEW}
    reference = Profile.total(known.values())
    shares = {other: found.shares for other, found in known.items()} | {name: tonight.shares}
    is_first = not reference.rows
    return Drift(
        night=name,
        reference_nights=[*known],
        shares=shares,
        changes=[] if is_first else changes(reference, tonight),
        violations=violations(gates, tonight, None if is_first else reference, num_copies),
        groups=[] if is_first else regrouped(groups(reference), groups(tonight)),
    )


def stored(nights: Nights, name: str) -> Profile:
    """Return the profile of a night that was judged.

    Raises
    ------
    SchemaError
        If its file is damaged or missing.
    """
    return Profile.from_table(from_parquet(nights.uri(name, PROFILE)))


def profile(
    run: Run, rows: StoredRows, decided: Step, policy: Policy, labeller: Labeller
) -> Profile:
    """Return the profile of tonight's rows but for exact copies, of which nothing is new."""
    starts = range(0, len(rows.fragments), GROUP)
    items = [rows.fragments[start : start + GROUP] for start in starts]
    task = Profiler(rows.detached(), decided, tuple(policy.thresholds), labeller)
    found = dict(run.engine.each(task, items))
    return Profile.total([Profile.from_table(found[number]) for number in range(len(items))])


@dataclass(frozen=True)
class Profiler:
    """Counts the rows of a group of fragments."""

    rows: StoredRows
    decided: Step
    columns: tuple[str, ...]
    labeller: Labeller

    def __call__(self, fragments: Sequence[str]) -> pa.Table:
        return Profile.total(map(self.of, fragments)).to_table()

    def of(self, fragment: str) -> Profile:
        """Return the profile of one fragment."""
        ledger = self.decided.read(fragment)
        source = self.rows.stored(fragment, ["fields", "caption"])
        tags = [
            self.tags(*each)
            for each in zip(
                *(ledger[c].to_pylist() for c in ("label", "new_label")),
                source["caption"].to_pylist(),
                strict=True,
            )
        ]
        table = ledger.append_column("host", host_of(source["fields"]))
        table = table.append_column("tags", pa.array(tags, pa.list_(pa.string())))
        if COPY in table.schema.names:
            table = table.filter(pc.less(pc.fill_null(table[COPY], 0.0), 1.0))
        names = self.rows.classes.name
        return Profile.of(table, classes=names, columns=self.columns)

    def tags(self, label: str | None, new: str | None, caption: str | None) -> list[str]:
        """Return the classes that a row shows: by its label, its new one, and its caption."""
        said = self.labeller.find(self.labeller.mention(caption))
        named = None if said is None else self.labeller.entries[said].name
        names = {*(label or "").split("|"), new, named}
        return sorted(name for name in names if name and name in self.labeller.names)
