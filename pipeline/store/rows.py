"""The corpus as cleaners see it: readable rows, column by column, from the steps' files.

The rows of a night stand beside those of the nights before it: a pass goes over all of them, but
what it has found in the earlier ones is kept, wherever that can be (`store/totals.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.contract import Classes, Engine
from pipeline.errors import SchemaError
from pipeline.schema import OPTIONAL
from pipeline.store.totals import Totals
from pipeline.store.workspace import Readable, Step, key_of, num_promised

Statistic = TypeVar("Statistic")

GROUP = 8
"""Fragments merged inside one task; part of the order of merging, so it never changes."""


@dataclass(frozen=True)
class StoredRows:
    """Rows spread over the files of some steps, read anew by every pass."""

    engine: Engine | None
    """None inside a task, where no pass can be started."""
    classes: Classes
    fragments: tuple[str, ...]
    steps: tuple[tuple[Readable, tuple[str, ...]], ...]
    """Which columns each step holds; all steps have the same rows in the same order."""
    columns: tuple[str, ...] | None = None
    """What is read from the steps; None = all."""
    kept: tuple[str, ...] | None = None
    """What is left once the maps have added their columns; None = all."""
    maps: tuple[tuple[Callable[[Any, pa.Table], pa.Table], Any], ...] = ()
    earlier: "tuple[StoredRows, ...]" = ()
    """The rows of the nights before, in their order; what is selected and mapped here is there."""
    totals: Totals | None = None
    """Where the sums over earlier nights are kept; None = nowhere."""

    @property
    def identity(self) -> Any:
        """What names the corpus: the fragments, and all that the earlier ones were read from."""
        if not self.earlier:
            return self.fragments
        return [self.fragments, [rows.part(rows.names) for rows in self.earlier]]

    @property
    def num_rows(self) -> int:
        """Rows of all nights, unreadable ones included."""
        return num_promised(self.fragments) + sum(rows.num_rows for rows in self.earlier)

    def part(self, columns: Sequence[str]) -> str:
        """Return what names the rows of one night, and the files that columns are read from."""
        wanted = {*columns, "fault"}
        keys = [step.key for step, held in self.steps if not wanted.isdisjoint(held)]
        return key_of(self.fragments, keys)

    def select(self, *columns: str) -> "StoredRows":
        """Return the same rows with these columns only."""
        if self.maps:
            return replace(self, kept=columns)
        return replace(self, columns=columns)

    def map(self, score: Callable[[Any, pa.Table], pa.Table], state: Any) -> "StoredRows":
        """Return the same rows with the columns of `score(state, batch)` added by every pass."""
        return replace(self, maps=(*self.maps, (score, state)))

    def reduce(
        self,
        partial: Callable[[pa.Table], Statistic],
        merge: Callable[[Statistic, Statistic], Statistic],
    ) -> Statistic:
        """Return the statistic of all rows: of the earlier nights first, then of tonight's."""
        tonight = self._reduce(partial, merge)
        if self.totals is None:
            return tonight
        views = [self.as_here(rows) for rows in self.earlier]
        parts = [rows.part(self.names) for rows in (*views, self)]
        known = self.totals.of([self.names, self.kept, self.maps, partial, merge], parts)
        total = known.latest(type(tonight))
        for rows in views[known.num_nights :]:
            more = rows._reduce(partial, merge)
            total = more if total is None else merge(total, more)
        total = tonight if total is None else merge(total, tonight)
        known.keep(total)
        return total

    def _reduce(
        self,
        partial: Callable[[pa.Table], Statistic],
        merge: Callable[[Statistic, Statistic], Statistic],
    ) -> Statistic:
        """Return the statistic of tonight: groups of fragments in tasks, then left to right."""
        if self.engine is None:
            raise TypeError("rows inside a task cannot start a pass")
        starts = range(0, len(self.fragments), GROUP)
        groups = [self.fragments[start : start + GROUP] for start in starts]
        reducer = Reducer(self.detached(), partial, merge)
        return reduce(merge, in_order(self.engine.each(reducer, groups)))

    def alone(self) -> "StoredRows":
        """Return the rows of tonight without those of the nights before."""
        return replace(self, earlier=(), totals=None)

    def as_here(self, rows: "StoredRows") -> "StoredRows":
        """Return the rows of another night with what is selected and mapped here."""
        return replace(rows, columns=self.names, kept=self.kept, maps=self.maps)

    def detached(self) -> "StoredRows":
        """Return the rows of tonight fit to travel into a task, where no pass can be started."""
        return replace(self.alone(), fragments=(), engine=None)

    def beside(self, step: Step, columns: Sequence[str]) -> "StoredRows":
        """Return the same rows with the columns of one more step."""
        return replace(self, steps=(*self.steps, (step, tuple(columns))))

    def step_of(self, column: str) -> Readable:
        """Return the step that holds a column of tonight's rows."""
        return next(step for step, held in self.steps if column in held)

    def read(self, fragment: str) -> pa.Table:
        """Return the readable rows of a fragment, with the columns of every map added."""
        table = self.stored(fragment, (*self.names, "fault"))
        table = table.filter(pc.is_null(table["fault"]))
        if "fault" not in self.names:
            table = table.drop_columns("fault")
        for score, state in self.maps:
            added = score(state, table)
            for field in added.schema:
                table = table.append_column(field, added[field.name])
        return table if self.kept is None else table.select(list(self.kept))

    def stored(self, fragment: str, names: Sequence[str]) -> pa.Table:
        """Return columns of all rows of a fragment, unreadable ones included.

        Of `schema.OPTIONAL`, those that no step holds are null.

        Raises
        ------
        SchemaError
            If no step holds another one: a night before had other cleaners.
        """
        parts = []
        for step, held in self.steps:
            wanted = [name for name in held if name in names]
            parts += [step.read(fragment, wanted)] if wanted else []
        columns = {f.name: part[f.name] for part in parts for f in part.schema}
        for name in OPTIONAL.keys() - columns.keys() if parts else ():
            columns[name] = pa.nulls(len(parts[0]), OPTIONAL[name])
        for name in names:
            if name not in columns:
                raise SchemaError(
                    f"fragment {fragment} must have column {name}, its night has not added it: the "
                    "recipe or winnow has changed since; curate anew with --rescore scores"
                )
        return pa.table({name: columns[name] for name in dict.fromkeys(names)})

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that a pass reads."""
        return self.columns or tuple(name for _, held in self.steps for name in held)


@dataclass(frozen=True)
class Reducer:
    """The statistic of one group of fragments."""

    rows: StoredRows
    partial: Callable[[pa.Table], Any]
    merge: Callable[[Any, Any], Any]

    def __call__(self, fragments: Sequence[str]) -> Any:
        return reduce(self.merge, (self.partial(self.rows.read(name)) for name in fragments))


def in_order(results: Iterable[tuple[int, Statistic]]) -> Iterator[Statistic]:
    """Yield the results of an engine by their index, each as soon as those before it are there.

    Only what has overtaken a slower item is held.

    Examples
    --------
    >>> list(in_order([(1, "b"), (0, "a"), (2, "c")]))
    ['a', 'b', 'c']
    """
    early: dict[int, Statistic] = {}
    awaited = 0
    for index, value in results:
        early[index] = value
        while awaited in early:
            yield early.pop(awaited)
            awaited += 1
