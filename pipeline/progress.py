"""Progress of a run: live bars on a terminal, a structured log line a minute elsewhere."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pipeline.store.run import Advance, Track

LOG_EVERY_S = 60.0


class Rate(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        """Return the speed of a task."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


@contextmanager
def bar(name: str, total: int) -> Iterator[Advance]:
    """Show one step as a bar with its rate and the time left."""
    columns = (
        TextColumn("{task.description:16}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total)
        yield lambda rows: progress.update(task, advance=rows)


@contextmanager
def log(name: str, total: int) -> Iterator[Advance]:
    """Write one JSON line when a step starts and ends, and one a minute in between."""
    started = last = time.monotonic()
    done = 0

    def line(state: str) -> None:
        seconds = time.monotonic() - started
        rate = done / seconds if seconds else 0.0
        left = (total - done) / rate if rate else None
        entry = {"step": name, "state": state, "done": done, "total": total}
        times = {"seconds": round(seconds, 1), "rate": round(rate, 1)}
        remaining = {"left_s": round(left) if left is not None else None}
        print(json.dumps(entry | times | remaining), file=sys.stderr, flush=True)  # noqa: T201

    def advance(rows: int) -> None:
        nonlocal done, last
        done += rows
        if time.monotonic() - last >= LOG_EVERY_S:
            last = time.monotonic()
            line("running")

    line("start")
    yield advance
    line("done")


def track() -> Track:
    """Return the way to show progress that fits where the output goes."""
    return bar if sys.stderr.isatty() else log
