"""A line of JSON for each fragment, on the standard error of the process that commits it."""

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from pipeline.contract import Engine, Limits
from pipeline.observer import Observer, Watched


@dataclass
class Work:
    """What the function that runs here works for."""

    watched: Watched
    since: float
    """When it began, or has committed a fragment last, by the monotonic clock."""


_work: ContextVar[Work | None] = ContextVar("work", default=None)


def committed(step: str, fragment: str, rows: int) -> None:
    """Tell that a fragment is committed, if the run has a journal.

    The line holds no place and no data: nothing in it can be a secret.
    """
    work = _work.get()
    if work is None:
        return
    now = time.monotonic()
    entry = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "state": "committed",
        "run": work.watched.run,
        "attempt": work.watched.attempt,
        "step": step,
        "fragment": fragment,
        "rows": rows,
        "seconds": round(now - work.since, 3),
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }
    work.since = now
    print(json.dumps(entry), file=sys.stderr, flush=True)  # noqa: T201


@dataclass(frozen=True)
class Journalled:
    """A function whose commits are told, wherever it runs."""

    function: Callable[[Any], Any]
    watched: Watched

    def __call__(self, item: Any) -> Any:
        token = _work.set(Work(self.watched, time.monotonic()))
        try:
            return self.function(item)
        finally:
            _work.reset(token)


@dataclass(frozen=True)
class JournalledStage:
    """Makes a stage whose commits are told."""

    make: Callable[[], Callable[[Any], Any]]
    watched: Watched

    def __call__(self) -> Journalled:
        return Journalled(self.make(), self.watched)


@dataclass(frozen=True)
class JournalEngine:
    """An engine whose tasks tell of every fragment that they commit, once it observes a run."""

    engine: Engine
    watched: Watched | None = None

    @property
    def limits(self) -> Limits:
        return self.engine.limits

    @property
    def observer(self) -> Observer:
        return self.engine.observer

    def within(self, limits: Limits) -> "JournalEngine":
        return replace(self, engine=self.engine.within(limits))

    def observed(self, watched: Watched) -> "JournalEngine":
        return JournalEngine(self.engine.observed(watched), watched)

    def each(
        self, function: Callable[[Any], Any], items: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        told = Journalled(function, self.watched) if self.watched else function
        return self.engine.each(told, items)

    def pipe(
        self,
        prepare: Callable[[Any], Any],
        make_stage: Callable[[], Callable[[Any], Any]],
        items: Sequence[Any],
    ) -> Iterator[tuple[int, Any]]:
        told = JournalledStage(make_stage, self.watched) if self.watched else make_stage
        return self.engine.pipe(prepare, told, items)
