"""Seconds of the steps of a run, and of what lies between them, by the clock and of this CPU."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.store.run import Advance

BEFORE = {
    "index": "find",
    "fit match": "label",
    "order": "summary",
    "end": "report and ledger",
}
"""What a run does before some of its steps, without showing it."""


@dataclass(frozen=True)
class Lap:
    """What one step has taken of this process."""

    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of CPU, of all threads: they do not grow where others keep the machine busy."""

    @classmethod
    def now(cls) -> "Lap":
        """Return the two clocks."""
        return cls(time.perf_counter(), time.process_time())

    def __add__(self, other: "Lap") -> "Lap":
        return Lap(self.seconds + other.seconds, self.cpu + other.cpu)

    def __sub__(self, other: "Lap") -> "Lap":
        return Lap(self.seconds - other.seconds, self.cpu - other.cpu)

    def __str__(self) -> str:
        return f"{self.seconds:.1f} ({self.cpu:.1f})"


class Laps:
    """A way to follow a run that only looks at the clocks."""

    def __init__(self) -> None:
        self._last = Lap.now()
        self._laps: dict[str, Lap] = {}

    @contextmanager
    def track(self, name: str, total: int) -> Iterator[Advance]:  # noqa: ARG002 (not shown)
        """Time one step."""
        self._lap(BEFORE.get(name, "between"))
        yield lambda _rows: None
        self._lap(name)

    def finished(self) -> dict[str, Lap]:
        """Return what each step has taken, once the last one has ended."""
        self._lap(BEFORE["end"])
        return self._laps

    def _lap(self, name: str) -> None:
        now = Lap.now()
        self._laps[name] = self._laps.get(name, Lap()) + (now - self._last)
        self._last = now


def told(laps: Mapping[str, Lap]) -> str:
    """Return laps as text: seconds, and seconds of CPU in brackets.

    Examples
    --------
    >>> told({"embed": Lap(3.21, 2.0), "pack": Lap(5.0, 4.44)})
    'embed 3.2 (2.0), pack 5.0 (4.4)'
    """
    return ", ".join(f"{name} {lap}" for name, lap in laps.items())
