"""Run on Ray Data: the only user of `ray.data`.

No state lives here. A killed cluster loses work in flight and nothing else, because every
result that matters is a file before it is reported.
"""

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar, cast

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy

from pipeline.errors import CurationError

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_BLOCKS = 4096
"""Upper bound of Ray tasks for one pass; more items than that share a task."""


@dataclass(frozen=True)
class RayEngine:
    """Spreads items over the cluster that `ray.init` finds, or over this machine."""

    address: str | None = None
    """Of a running cluster; None = `RAY_ADDRESS` if set, else a cluster of this machine."""

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

    def each(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """Yield `(index, function(item))` as the items are done, in any order."""
        shared = ray.put(Call(function))
        waiting = iter(enumerate(items))
        index_of: dict[Any, int] = {}
        for index, item in islice(waiting, 2 * self._num_cpus()):
            index_of[remote_work.remote(shared, item)] = index
        while index_of:
            (done,), _ = ray.wait(list(index_of), num_returns=1)
            for index, item in islice(waiting, 1):
                index_of[remote_work.remote(shared, item)] = index
            yield index_of.pop(done), checked(ray.get(done))

    @staticmethod
    def _num_cpus() -> int:
        return max(int(ray.cluster_resources().get("CPU", 1)), 1)

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
        if not items:
            return
        num_actors, num_gpus = pool_size()
        # one more reader than actors at least: Ray fuses two maps of one size into the actor
        num_readers = max(self._num_cpus(), num_actors + 1)
        rows = [{"index": index, "value": wrap(item)} for index, item in enumerate(items)]
        blocks = ray.data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS))
        prepared = blocks.map(
            Stage(lambda: prepare).__call__,
            compute=TaskPoolStrategy(size=min(num_readers, len(items))),
        )
        staged = prepared.map(
            cast("Any", Stage),
            fn_constructor_args=(make_stage,),
            compute=ActorPoolStrategy(size=num_actors),
            num_gpus=num_gpus or None,
            num_cpus=1 if self._num_cpus() > num_actors else 0,  # a reader must find a CPU
        )
        for row in staged.iter_rows():
            yield row["index"], checked(unwrap(row["value"]))


class Call(Generic[Item, Result]):
    """Calls a function and hands on an error of ours as a value: Ray would hide its type."""

    def __init__(self, function: Callable[[Item], Result]) -> None:
        self.function = function

    def __call__(self, item: Item) -> Result | CurationError:
        try:
            return self.function(item)
        except CurationError as error:
            return error


def work(call: Call[Any, Any], item: Any) -> Any:
    """Call a function that was put into the object store once."""
    return call(item)


remote_work: Any = ray.remote(work)


class Stage:
    """A `Call` over the cells of a dataset; in an actor, with a function made on the spot."""

    def __init__(self, make: Callable[[], Callable[[Any], Any]]) -> None:
        made = Call[Any, Any](lambda _: make())(None)
        self.call = Call(lambda _: made) if isinstance(made, CurationError) else Call(made)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        item = unwrap(row["value"])
        value = item if isinstance(item, CurationError) else self.call(item)
        return {"index": row["index"], "value": wrap(value)}


def checked(value: Any) -> Any:
    """Return `value`, or raise it if it is an error of ours."""
    if isinstance(value, CurationError):
        raise value
    return value


def wrap(value: Any) -> bytes:
    """Return a value as one opaque cell: blocks are never taken apart by Ray."""
    return ray.cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


def unwrap(cell: bytes) -> Any:
    """Return the value of a cell that this run wrapped; never applied to a file."""
    return pickle.loads(cell)


def pool_size() -> tuple[int, int]:
    """Return how many encoder actors to start, and GPUs of each (0: one actor a node on CPU)."""
    num_gpus = int(ray.cluster_resources().get("GPU", 0))
    num_nodes = sum(node["Alive"] for node in ray.nodes())
    return (num_gpus, 1) if num_gpus else (max(num_nodes, 1), 0)
