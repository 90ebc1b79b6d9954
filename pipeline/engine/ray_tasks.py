"""One pass over items as Ray tasks: bounded in flight, in tries and in time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Final

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from pipeline.contract import Limits
from pipeline.engine.call import Call, checked, shown
from pipeline.errors import StallError, WorkerError
from pipeline.observer import Observer

AHEAD: Final = 8
"""Items for each CPU that may be begun beyond the oldest one that is not done: what a caller
that wants the results in order has to hold."""
SHOWN: Final = 8
"""Items that a message names."""


@dataclass(frozen=True)
class Flight:
    """An item on its way."""

    index: int
    since: datetime
    deaths: int = 0
    """Workers that have died over it."""


class Pass:
    """One pass of a function over items.

    Ray's own retries are not used: they have no end for a worker that runs out of memory, and
    when they end for another they do not tell which item it was.
    """

    def __init__(
        self, call: Call[Any, Any], items: Sequence[Any], limits: Limits, observer: Observer
    ) -> None:
        self.call = call
        self.items = items
        self.limits = limits
        self.observer = observer
        self.shared = ray.put(call)
        self.num_ahead = AHEAD * num_cpus()
        self.num_slots = 2 * num_cpus()
        self.num_begun = 0
        self.flights: dict[Any, Flight] = {}

    def results(self) -> Iterator[tuple[int, Any]]:
        """Yield `(index, result)` as the items are done, in any order."""
        try:
            self.fill()
            while self.flights:
                done = self.landed()
                flight = self.flights.pop(done)
                try:
                    result = ray.get(done)
                except RayTaskError:  # a programming error: trying again does not mend it
                    raise
                except RayError as error:
                    self.retry(flight, error)
                    continue
                self.fill()
                yield flight.index, checked(result)
        finally:
            for ref in self.flights:
                ray.cancel(ref, force=True)

    def fill(self) -> None:
        """Begin as many items as there is room for."""
        oldest = min((flight.index for flight in self.flights.values()), default=self.num_begun)
        stop = min(len(self.items), oldest + self.num_ahead)
        while len(self.flights) < self.num_slots and self.num_begun < stop:
            self.begin(Flight(self.num_begun, now()))
            self.num_begun += 1

    def begin(self, flight: Flight) -> None:
        """Send an item to a worker."""
        self.flights[remote_work.remote([self.shared], self.items[flight.index])] = flight

    def landed(self) -> Any:
        """Return the reference of an item that is done.

        Raises
        ------
        StallError
            If none is for `limits.stall_s`.
        """
        done, _ = ray.wait(list(self.flights), num_returns=1, timeout=self.limits.stall_s)
        if not done:
            flights = sorted(self.flights.values(), key=lambda flight: flight.since)
            waiting = [f"{self.name(f)} since {f.since:%H:%M:%S} UTC" for f in flights]
            raise StallError(stalled(self.call.task, self.limits, waiting))
        return done[0]

    def retry(self, flight: Flight, error: RayError) -> None:
        """Begin an item again whose worker has died.

        Where the memory has run out, the first remedy is fewer items at a time.

        Raises
        ------
        WorkerError
            If it has killed one worker more than `limits.tries`.
        """
        if isinstance(error, OutOfMemoryError) and self.num_slots > 1:
            self.num_slots //= 2
        else:
            flight = replace(flight, deaths=flight.deaths + 1)
        if flight.deaths > self.limits.tries:
            raise WorkerError(
                f"{self.call.task} of {self.name(flight)} has killed {flight.deaths} workers, at "
                f"last by {type(error).__name__}, or took longer than limits.fragment_s "
                f"{self.limits.fragment_s:g} each time; look at the memory of the nodes and into "
                "Ray's logs, then run again: what is done is kept"
            ) from error
        self.observer.retried()
        self.begin(replace(flight, since=now()))

    def name(self, flight: Flight) -> str:
        """Return what an item is called in a message."""
        return shown(flight.index, self.items[flight.index])


@lru_cache(maxsize=1)
def fetched(shared: Any) -> Call[Any, Any]:
    """Return the function of the pass: unpacked once in a worker, however large it is."""
    call: Call[Any, Any] = ray.get(shared)
    return call


def work(shared: list[Any], item: Any) -> Any:
    """Call the function that was put into the object store once."""
    return fetched(shared[0])(item)


remote_work: Any = ray.remote(max_retries=0)(work)


def num_cpus() -> int:
    """Return how many CPUs the cluster has now."""
    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


def stalled(task: str, limits: Limits, waiting: Sequence[str]) -> str:
    """Return the message of a step that does not get on: what waits, and what the cluster has."""
    free, total = ray.available_resources(), ray.cluster_resources()
    has = ", ".join(f"{free.get(k, 0):g} of {total.get(k, 0):g} {k}s free" for k in ("CPU", "GPU"))
    num_nodes = sum(node["Alive"] for node in ray.nodes())
    more = f" and {len(waiting) - SHOWN} more" if len(waiting) > SHOWN else ""
    return (
        f"{task} has finished nothing for limits.stall_s {limits.stall_s:g} s; "
        f"waiting: {', '.join(waiting[:SHOWN])}{more}; the cluster has {num_nodes} live nodes, "
        f"{has}; free its CPUs and GPUs or raise limits.stall_s, then run again: what is done is "
        "kept"
    )


def now() -> datetime:
    """Return the time."""
    return datetime.now(timezone.utc)
