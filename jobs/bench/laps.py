"""Seconds of the steps of a run, and of what lies between them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.store.run import Advance

BEFORE = {
    "index": "find",
    "fit match": "label",
    "order": "summary",
    "end": "report and ledger",
}
"""What a run does before some of its steps, without showing it."""


class Laps:
    """A way to follow a run that only looks at the clock."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def track(self, name: str, total: int) -> Iterator[Advance]:  # noqa: ARG002 (not shown)
        """Time one step."""
        self._lap(BEFORE.get(name, "between"))
        yield lambda _rows: None
        self._lap(name)

    def finished(self) -> dict[str, float]:
        """Return the seconds of each step, once the last one has ended."""
        self._lap(BEFORE["end"])
        return self._seconds

    def _lap(self, name: str) -> None:
        now = time.perf_counter()
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._last
        self._last = now
