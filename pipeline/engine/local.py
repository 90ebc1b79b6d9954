"""Run everything in this process: tests, tiny corpora, and the reference for other engines."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, TypeVar

import pyarrow as pa

from pipeline.contract import DEFAULT_LIMITS, Classes, Limits, Rows
from pipeline.observer import SILENT, Observer, Watched

Item = TypeVar("Item")
Result = TypeVar("Result")
Statistic = TypeVar("Statistic")


@dataclass(frozen=True)
class LocalEngine:
    """Applies a function to items one after the other.

    The worker is this process: what kills it ends the run, and the next start counts it as a try.
    Nothing is timed out here; that needs workers that can be spared, which Ray has.
    """

    limits: Limits = DEFAULT_LIMITS
    """Of these, `tries`, `quarantined` and `faulty_shards` hold."""

    @property
    def observer(self) -> Observer:
        """Nobody: there is no cluster that would export anything."""
        return SILENT

    def within(self, limits: Limits) -> "LocalEngine":
        """Return the same engine under other limits."""
        return replace(self, limits=limits)

    def observed(self, watched: Watched) -> "LocalEngine":  # noqa: ARG002
        """Return the same engine."""
        return self

    def each(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Yield `(index, function(item))` for every item."""
        yield from enumerate(map(function, items))

    def pipe(
        self,
        prepare: Callable[[Item], Any],
        make_stage: Callable[[], Callable[[Any], Result]],
        items: Sequence[Item],
    ) -> Iterator[tuple[int, Result]]:
        """Yield `(index, stage(prepare(item)))`, with one stage made once."""
        if items:
            stage = make_stage()
            yield from enumerate(stage(prepare(item)) for item in items)


@dataclass(frozen=True)
class TableRows:
    """Rows held in memory as a list of tables, one per fragment."""

    tables: tuple[pa.Table, ...]
    classes: Classes

    def select(self, *columns: str) -> "TableRows":
        """Return the same rows with these columns only."""
        return replace(self, tables=tuple(t.select(list(columns)) for t in self.tables))

    def map(self, score: Callable[[Any, pa.Table], pa.Table], state: Any) -> Rows:
        """Return the same rows with the columns of `score(state, batch)` added."""
        return replace(self, tables=tuple(beside(t, score(state, t)) for t in self.tables))

    def reduce(
        self,
        partial: Callable[[pa.Table], Statistic],
        merge: Callable[[Statistic, Statistic], Statistic],
    ) -> Statistic:
        """Return the statistic of all rows, merged from left to right."""
        return reduce(merge, map(partial, self.tables))


def beside(table: pa.Table, added: pa.Table) -> pa.Table:
    """Return `table` with the columns of `added` (same rows, same order) to its right."""
    for field in added.schema:
        table = table.append_column(field, added[field.name])
    return table
