"""Metrics of a run for Prometheus, exported by Ray's agent of the driver's node.

Ray puts `ray_` before every name. All are kept by the driver alone, to which every result comes
anyway: a worker exports nothing, so their number does not grow with the cluster. Tags are the run
and what has few values; never a fragment, a shard or a class.
"""

import socket
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ray.util.metrics import Counter, Gauge

from pipeline.observer import Watched

REFRESH_S = 5.0
"""Seconds between two times that a gauge is set."""


class Live:
    """Gauges that are set anew until they are hidden: Ray forgets one after some 20 s."""

    def __init__(self) -> None:
        self.shown: dict[tuple[Gauge, tuple[tuple[str, str], ...]], float] = {}
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.refresh, daemon=True)
        self.thread.start()

    def show(self, gauge: Gauge, value: float, **tags: str) -> None:
        """Set a gauge from now on."""
        with self.lock:
            gauge.set(value, tags)
            self.shown[gauge, tuple(tags.items())] = value

    def hide(self, gauge: Gauge, **tags: str) -> None:
        """Set a gauge no more."""
        with self.lock:
            self.shown.pop((gauge, tuple(tags.items())), None)

    def end(self) -> None:
        """Set no gauge any more; Ray may be shut down then."""
        self.is_over.set()
        self.thread.join()

    def refresh(self) -> None:
        """Set all gauges again and again, until it is over."""
        while not self.is_over.wait(REFRESH_S):
            with self.lock:
                for (gauge, tags), value in self.shown.items():
                    gauge.set(value, dict(tags))


class RayMetrics:
    """An observer that exports what it is told; see `pipeline.observer`.

    A gauge goes with its driver. A counter stays with the node, one for each driver: take `max`
    of what every driver counts in full (`winnow_rows_total`), and `sum` of rates.
    """

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.rows = self.counter("winnow_rows_total", "Rows, by what was decided.", "action")
        self.faults = self.counter("winnow_quarantined_rows_total", "Rows of no use.", "reason")
        self.done = self.counter("winnow_step_rows_total", "Rows that are done.", "step", "how")
        self.left = self.gauge("winnow_step_left_rows", "Rows still to be done.", "step")
        self.progress = self.gauge(
            "winnow_step_progress_timestamp_seconds", "When an item was done last.", "step"
        )
        self.busy = self.counter("winnow_encoder_busy_seconds_total", "Work of all encoders.")
        self.pool = self.gauge("winnow_encoders", "Workers with an encoder, one for each GPU.")
        self.again = self.counter("winnow_retries_total", "Work that was begun again.", "step")
        self.lease = self.gauge(
            "winnow_lease_held", "1 while an attempt may write its output.", "attempt", "host"
        )
        self.live = Live()
        self.now = "none"
        self.told: Tally[str] = Tally()
        self.hold(is_held=True)

    @property
    def run(self) -> dict[str, str]:
        """The tags of every metric."""
        return {"run": self.watched.run, "recipe": self.watched.recipe}

    def counter(self, name: str, description: str, *tags: str) -> Counter:
        """Return a counter of the run."""
        return Counter(name, description, (*self.run, *tags)).set_default_tags(self.run)

    def gauge(self, name: str, description: str, *tags: str) -> Gauge:
        """Return a gauge of the run."""
        return Gauge(name, description, (*self.run, *tags)).set_default_tags(self.run)

    def hold(self, *, is_held: bool) -> None:
        """Tell whether the output is held, if there is one."""
        if self.watched.attempt is not None:
            holder = {"attempt": str(self.watched.attempt), "host": socket.gethostname()}
            self.live.show(self.lease, int(is_held), **holder)

    @contextmanager
    def step(self, name: str, rows: int) -> Iterator[Callable[[int], None]]:
        left, ways = rows, iter(("reused",))

        def show() -> None:
            self.live.show(self.left, left, step=name)
            self.live.show(self.progress, time.time(), step=name)

        def advance(more: int) -> None:
            nonlocal left
            left -= more
            add(self.done, more, step=name, how=next(ways, "new"))
            show()

        self.now = name
        show()
        yield advance
        self.live.hide(self.left, step=name)
        self.live.hide(self.progress, step=name)
        self.now = "none"

    def encoders(self, number: int) -> None:
        self.live.show(self.pool, number)

    def encoded(self, seconds: float) -> None:
        add(self.busy, seconds)

    def retried(self, number: int = 1) -> None:
        add(self.again, number, step=self.now)

    def quarantined(self, faults: Mapping[str, int]) -> None:
        self.told.update(faults)
        for reason, number in faults.items():
            add(self.faults, number, reason=reason)

    def judged(self, actions: Mapping[str, int], faults: Mapping[str, int]) -> None:
        for action, number in actions.items():
            add(self.rows, number, action=action)
        self.quarantined(Tally(faults) - self.told)  # an earlier attempt has embedded the others

    def ended(self) -> None:
        self.encoders(0)
        self.hold(is_held=False)
        self.live.end()


def add(counter: Counter, number: float, **tags: str) -> None:
    """Increase a counter; Ray refuses to do it by nothing."""
    if number:
        counter.inc(number, tags)
