"""Run on a Ray cluster.

No state lives here. A killed cluster loses work in flight and nothing else, because every
result that matters is a file before it is reported.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import ray
from ray.data import DataContext

from pipeline.contract import DEFAULT_LIMITS, Limits
from pipeline.engine.call import Call
from pipeline.engine.ray_capacity import await_capacity
from pipeline.engine.ray_metrics import RayMetrics
from pipeline.engine.ray_stream import stream
from pipeline.engine.ray_tasks import Pass
from pipeline.observer import SILENT, Observer, Watched

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class RayEngine:
    """Spreads items over the cluster that `ray.init` finds, or over this machine."""

    address: str | None = None
    """Of a running cluster; None = `RAY_ADDRESS` if set, else a cluster of this machine."""
    limits: Limits = DEFAULT_LIMITS
    """What it bears: workers that die are replaced, those that hang are killed."""
    num_gpus: int = 0
    """Waited for before a pipe starts, for an autoscaling cluster to bring; 0 = those there are."""
    num_cpus: int = 0
    """As above."""
    observer: Observer = SILENT
    """Who is told how the run goes on."""

    def __post_init__(self) -> None:
        """Connect, quietly."""
        # Ray warns of every actor of Ray Data that it may not survive the loss of its arguments
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        if not ray.is_initialized():
            ray.init(
                address=self.address or os.environ.get("RAY_ADDRESS"),
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False

    def within(self, limits: Limits) -> "RayEngine":
        """Return the same engine under other limits."""
        return replace(self, limits=limits)

    def observed(self, watched: Watched) -> "RayEngine":
        """Return the same engine, which exports metrics of a run."""
        return replace(self, observer=RayMetrics(watched))

    def each(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Yield `(index, function(item))` as the items are done, in any order."""
        if items:
            call = Call(function, self.limits.fragment_s)
            yield from Pass(call, items, self.limits, self.observer).results()

    def pipe(
        self,
        prepare: Callable[[Item], Any],
        make_stage: Callable[[], Callable[[Any], Result]],
        items: Sequence[Item],
    ) -> Iterator[tuple[int, Result]]:
        """Yield `(index, stage(prepare(item)))` as the items are done, in any order.

        `prepare` runs as CPU tasks beside a fixed pool of actors, each of which calls
        `make_stage` once and keeps what it returns: an encoder that was loaded.
        """
        if items:
            await_capacity(self.num_gpus, self.num_cpus)
        yield from stream(prepare, make_stage, items, self.limits, self.observer)
