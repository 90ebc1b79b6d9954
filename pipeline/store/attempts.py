"""What was begun and not finished: a mark for each attempt, so that none is repeated for ever."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import count
from typing import Final

from pipeline.shards import files
from pipeline.store.workspace import Step

SHOWN: Final = 8
"""Attempts that a message tells of."""


@dataclass(frozen=True)
class Attempts:
    """Marks of one kind of work, `<folder>/<name>.<number>`, that outlive worker and driver.

    A mark is written before the work and removed after it, whether it went well or raised. One
    that stays tells that the process was killed: by the work, or from outside, which costs no more
    than a closer look. The price is three small requests for each piece of work.
    """

    folder: str

    @staticmethod
    def of(step: Step, kind: str) -> "Attempts":
        """Return the marks of one kind of work of a step, beside the steps of its workspace."""
        steps, _, name = step.uri.rpartition("/")
        return Attempts(files.join(steps.rpartition("/")[0], "attempts", name, kind))

    def failed(self, name: str) -> int:
        """Return how many attempts have not ended."""
        return next(n for n in count() if not files.exists(self.mark(name, n + 1)))

    @contextmanager
    def attempt(self, name: str, number: int) -> Iterator[None]:
        """Mark the attempt `number` (from 1) as long as the block runs; then forget them all."""
        place = {"host": socket.gethostname(), "pid": os.getpid(), "since": now()}
        files.write(self.mark(name, number), json.dumps(place).encode())
        try:
            yield
        finally:
            self.forget(name, number)

    def forget(self, name: str, number: int) -> None:
        """Remove the marks of attempts, the last one first: what is left still counts."""
        for n in range(number, 0, -1):
            files.remove(self.mark(name, n))

    def mark(self, name: str, number: int) -> str:
        """Return the file that says that an attempt was begun."""
        return files.join(self.folder, f"{name}.{number}")

    def open(self) -> list[str]:
        """Return what has not ended: its name, where it was begun and since when."""
        uris = files.list_files(self.folder)
        marks = zip(uris, files.read_many(uris), strict=True)
        places = [(uri.rsplit("/", 1)[-1], json.loads(mark)) for uri, mark in marks if mark]
        return [f"{n} on {p['host']}, process {p['pid']}, since {p['since']}" for n, p in places]


def listed(attempts: list[str]) -> str:
    """Return the attempts that are open as a message tells them."""
    more = f" and {len(attempts) - SHOWN} more" if len(attempts) > SHOWN else ""
    return "; ".join(attempts[:SHOWN]) + more if attempts else "nothing"


def now() -> str:
    """Return the time to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
