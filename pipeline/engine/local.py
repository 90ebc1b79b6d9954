"""Run everything in this process: tests, tiny corpora, and the reference for other engines."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from threading import Timer
from typing import Any, Final, TypeVar

import pyarrow as pa

from pipeline.contract import DEFAULT_LIMITS, Classes, Limits, Rows
from pipeline.engine.call import shown, task
from pipeline.engine.deadline import deadline
from pipeline.observer import SILENT, Observer, Watched

Item = TypeVar("Item")
Result = TypeVar("Result")
Statistic = TypeVar("Statistic")

LAST_WORDS_S: Final = 1.0
"""Seconds between what a process says of an item that hangs, and its end."""


@dataclass(frozen=True)
class LocalEngine:
    """Applies a function to items one after the other.

    The worker is this process: what kills it ends the run, and so does an item that takes longer
    than `limits.fragment_s`. The next start counts it as a try.
    """

    limits: Limits = DEFAULT_LIMITS
    """All of these hold but `stall_s`: an item that gets nowhere is ended before."""

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
        for index, item in enumerate(items):
            with in_time(function, shown(index, item), self.limits):
                result = function(item)
            yield index, result

    def pipe(
        self,
        prepare: Callable[[Item], Any],
        make_stage: Callable[[], Callable[[Any], Result]],
        items: Sequence[Item],
    ) -> Iterator[tuple[int, Result]]:
        """Yield `(index, stage(prepare(item)))`, with one stage made once."""
        if items:
            stage = make_stage()
            for index, item in enumerate(items):
                with in_time(prepare, shown(index, item), self.limits):
                    prepared = prepare(item)
                with in_time(stage, shown(index, item), self.limits):
                    result = stage(prepared)
                yield index, result


@contextmanager
def in_time(function: Callable[..., Any], name: str, limits: Limits) -> Iterator[None]:
    """Say what hangs and end this process if the block takes longer than `limits.fragment_s`."""
    seconds = limits.fragment_s
    words = (
        f"{task(function)} of {name} has taken longer than limits.fragment_s {seconds:g} s, and no "
        "thread can be stopped that does not end: this process is killed; run it again, what is "
        f"done is kept, and rows that hang {limits.tries} times are found and quarantined; if the "
        "work is slow and does not hang, raise limits.fragment_s\n"
    )
    told = Timer(seconds, sys.stderr.write, [words])
    told.daemon = True
    told.start()
    try:
        with deadline(seconds + LAST_WORDS_S):
            yield
    finally:
        told.cancel()


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
