"""A streaming Ray Data pipeline: CPU tasks prepare, a fixed pool of actors finishes.

Ray Data has no bound of its own: it begins the task of a dead worker and replaces a dead actor
without end, so `prepare` and the stage refuse an item that was begun too often. What it brings is
streaming with back-pressure, and a guard that ends a pipeline in which nothing moves.
"""

import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, cast

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy
from ray.data.exceptions import ExecutionTimeoutError

from pipeline.contract import Limits
from pipeline.engine.call import Call, checked, shown
from pipeline.engine.ray_tasks import num_cpus, stalled
from pipeline.errors import CurationError, StallError
from pipeline.observer import Observer

RETRIES: Final = "RAY_TASK_MAX_RETRIES"
"""Ray's variable for the tasks that say nothing of it, such as those of Ray Data."""
MIN_ITEMS: Final = 4096
ITEMS_PER_ACTOR: Final = 2048
"""Items of one dataset: the driver keeps a block for each, and at its end the pool is drained,
sized anew for the nodes that there are by then, and the encoders are loaded again."""


def stream(
    prepare: Callable[[Any], Any],
    make_stage: Callable[[], Callable[[Any], Any]],
    items: Sequence[Any],
    limits: Limits,
    observer: Observer,
) -> Iterator[tuple[int, Any]]:
    """Yield `(index, stage(prepare(item)))` in any order, dataset by dataset."""
    start = 0
    while start < len(items):
        num_actors, _ = pool_size(len(items) - start)
        observer.encoders(num_actors)
        num_items = max(MIN_ITEMS, ITEMS_PER_ACTOR * num_actors)
        part = range(start, min(start + num_items, len(items)))
        waiting = set(part)
        try:
            for row in dataset(prepare, make_stage, [(i, items[i]) for i in part], limits):
                waiting.discard(row["index"])
                yield row["index"], checked(unwrap(row["value"]))
        except ExecutionTimeoutError as error:
            names = [shown(index, items[index]) for index in sorted(waiting)]
            raise StallError(stalled(type(prepare).__name__, limits, names)) from error
        start = part.stop
    observer.encoders(0)


def dataset(
    prepare: Callable[[Any], Any],
    make_stage: Callable[[], Callable[[Any], Any]],
    numbered: Sequence[tuple[int, Any]],
    limits: Limits,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one execution of Ray Data: an item a block, so that none pays for another.

    The actors ask for no CPU: after the loss of a node they would take those of the readers, and
    both would wait for ever. Head-room is left by starting as many readers less.
    """
    DataContext.get_current().execution_no_progress_timeout_s = cast("int", limits.stall_s)
    num_actors, num_gpus = pool_size(len(numbered))
    # one more reader than actors at least: Ray fuses two maps of one size into the actor, which
    # costs nothing where there is an actor for each item
    num_readers = max(num_cpus() - num_actors, num_actors + 1)
    rows = [{"index": index, "value": wrap(item)} for index, item in numbered]
    prepared = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        Stage(lambda: prepare, limits.fragment_s).__call__,
        compute=TaskPoolStrategy(size=min(num_readers, len(rows))),
    )
    if len(rows) == 1 and not num_gpus:  # nothing to keep loaded: a worker that is there does it
        staged = prepared.map(
            Stage(make_stage, limits.fragment_s).__call__, compute=TaskPoolStrategy(size=1)
        )
    else:
        staged = prepared.map(
            cast("Any", Stage),
            fn_constructor_args=(make_stage, limits.fragment_s),
            compute=ActorPoolStrategy(size=num_actors),
            num_gpus=num_gpus or None,
            num_cpus=0,
        )
    with endless_retries():
        yield from staged.iter_rows()


@contextmanager
def endless_retries() -> Iterator[None]:
    """Let Ray begin a task again whenever its worker dies: the item knows when to stop."""
    before = os.environ.get(RETRIES)
    os.environ[RETRIES] = "-1"
    try:
        yield
    finally:
        del os.environ[RETRIES]
        os.environ.update({RETRIES: before} if before is not None else {})


class Stage:
    """A `Call` over the cells of a dataset, of a function that is made with the first of them.

    Made any earlier, an encoder that kills its worker would do it in no item's name.
    """

    def __init__(self, make: Callable[[], Callable[[Any], Any]], seconds: float) -> None:
        self.make = make
        self.seconds = seconds

    @cached_property
    def made(self) -> Callable[[Any], Any]:
        """The function."""
        return self.make()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        item = unwrap(row["value"])
        call = Call[Any, Any](lambda item: self.made(item), self.seconds)
        value = item if isinstance(item, CurationError) else call(item)
        return {"index": row["index"], "value": wrap(value)}


def wrap(value: Any) -> bytes:
    """Return a value as one opaque cell: blocks are never taken apart by Ray."""
    return ray.cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)


def unwrap(cell: bytes) -> Any:
    """Return the value of a cell that this run wrapped; never applied to a file."""
    return pickle.loads(cell)


def pool_size(num_items: int) -> tuple[int, int]:
    """Return how many encoder actors to start, and GPUs of each (0: one actor a node on CPU).

    No more than there are items, since each loads an encoder: the class texts are one item. Fixed
    for one dataset, from what the cluster has when it starts: pools of Ray Data that grow stay at
    one GPU actor on clusters that scale (ray#59144). Hence:

    * a GPU that another job holds is counted; its actor waits, the others do the work;
    * half a GPU of a node (`--num-gpus 0.5`) is none of its own, only whole ones are counted;
    * a node that comes later gives its GPUs, and its CPUs to the readers, to the next dataset; on
      a cluster that starts empty the engine must be told what to wait for, see `RayEngine`;
    * a node that goes takes its actors along, which Ray starts again where there is room.
    """
    num_gpus = sum(int(n["Resources"].get("GPU", 0)) for n in ray.nodes() if n["Alive"])
    num_nodes = sum(node["Alive"] for node in ray.nodes())
    num_actors = num_gpus or max(num_nodes, 1)
    return min(num_actors, num_items), int(num_gpus > 0)
