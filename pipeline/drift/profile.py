"""What a night's rows look like, as counts: a sum over ledger tables, bounded whatever the rows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.drift.cells import CELLS, KINDS, added, crowded, summed, thinned
from pipeline.drift.counting import count
from pipeline.errors import SchemaError
from pipeline.schema import ACTIONS


@dataclass(frozen=True)
class Profile:
    """Counts of ledger rows, and how two profiles become one.

    Hosts, free labels and tags have no bound in a crawl. Of each kind, as many names as its limit
    in `cells.KINDS` are kept, those with the smallest hashes, each with all its rows: the least of
    a union are among the least of its parts, so merging stays exact, associative and commutative,
    which no rule that keeps the most frequent names is. Up to its limit a kind is complete;
    beyond, it is a fair sample of the names, and the same names on every night.
    """

    cells: pa.Table
    """Columns of `cells.CELLS`, sorted by all but the count, without repeats."""

    @classmethod
    def of(
        cls,
        table: pa.Table,
        *,
        classes: Collection[str] | None = None,
        columns: Sequence[str] = (),
    ) -> "Profile":
        """Return the profile of one table.

        Parameters
        ----------
        table
            Columns of `schema.LEDGER` and the scores; `host`, null where unknown; `tags`, a list
            of the class names that a row shows in any way, or null.
        classes
            Names of the class file: other labels are counted apart; None = every label is one.
        columns
            Scores that the policy acts on: they are counted class by class too.
        """
        rows = [
            {"kind": kind, **dict(zip(KINDS[kind].keys, key, strict=True)), "count": num}
            for kind, counter in count(table, classes, columns).items()
            for key, num in counter.items()
        ]
        return cls(summed([pa.Table.from_pylist(rows, CELLS)]))

    @classmethod
    def total(cls, profiles: Iterable["Profile"]) -> "Profile":
        """Return the profile of the rows of all, at the cost of one merge; empty of none."""
        return cls(summed([CELLS.empty_table(), *(profile.cells for profile in profiles)]))

    @classmethod
    def from_table(cls, table: pa.Table) -> "Profile":
        """Return the profile that `to_table` described.

        Raises
        ------
        SchemaError
            If the table is none.
        """
        if not table.schema.equals(CELLS):
            raise SchemaError(
                f"a stored profile must have the columns {', '.join(CELLS.names)}, "
                f"got {', '.join(table.schema.names)}; remove it, the next run makes it anew"
            )
        return cls(summed([table]))

    def to_table(self) -> pa.Table:
        """Return the counts as one table: the same bytes for the same counts."""
        return self.cells

    def merge(self, other: "Profile") -> "Profile":
        """Return the profile of the rows of both: associative, commutative, and pure."""
        return Profile.total([self, other])

    def counts(self, kind: str) -> dict[tuple[str | int | None, ...], int]:
        """Return the rows of one kind by the values of its keys, see `cells.KINDS`."""
        chosen = self.cells.filter(pc.equal(self.cells["kind"], kind))
        keys = zip(*(chosen[key].to_pylist() for key in KINDS[kind].keys), strict=True)
        return dict(zip(keys, chosen["count"].to_pylist(), strict=True))

    @property
    def actions(self) -> dict[str, int]:
        """Rows per action, every action included."""
        found = self.counts("action")
        return {action: found.get((action,), 0) for action in ACTIONS}

    @property
    def rows(self) -> int:
        """Number of rows that were counted."""
        return sum(self.actions.values())

    @property
    def shares(self) -> dict[str, float]:
        """Share of each action; zeros without rows."""
        rows = max(self.rows, 1)
        return {action: num / rows for action, num in self.actions.items()}


def comparable(one: Profile, other: Profile) -> tuple[Profile, Profile]:
    """Return both with the names that both would keep: a limit may have cut them differently."""
    names = crowded(added([one.cells, other.cells]))
    return Profile(thinned(one.cells, names)), Profile(thinned(other.cells, names))
