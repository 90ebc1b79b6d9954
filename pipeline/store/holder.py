"""Who holds a lease: a process on a host, and whether it is known to be gone."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

PROC = Path("/proc")
GONE = ("Z", "X")
"""States of a process that has ended and was not waited for yet."""


@dataclass(frozen=True)
class Process:
    """A process, told from every other one that has had or will have its number."""

    host: str
    pid: int
    place: str
    """Boot and process namespace in which `pid` counts; empty where the system tells neither."""
    born: str
    """When the process began, in ticks since the boot; empty where the system does not tell."""

    @classmethod
    def current(cls) -> "Process":
        """Return this process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, place(), state_of(pid)[1])

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended for certain: False for one that cannot be seen from here.

        A container may bear the name of its host, and a number is given out again: so the boot,
        the namespace and the time at which the process began are compared as well.
        """
        if not self.place or (self.host, self.place) != (socket.gethostname(), place()):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # it is there, of another user
        state, born = state_of(self.pid)
        return state in GONE or ("" not in (born, self.born) and born != self.born)

    def __str__(self) -> str:
        return f"host {self.host}, process {self.pid}"


@dataclass(frozen=True)
class Holder:
    """What the file of an attempt says of the run that made it."""

    attempt: int
    run: str
    process: Process
    since: datetime
    """By the clock of the holder: shown, never compared."""
    lease_s: float
    """Seconds without a beat after which the holder may be taken for dead."""
    beat: int = 0
    """Grows while the holder lives."""
    is_held: bool = True
    """False once the run has ended, well or not."""

    def encoded(self) -> bytes:
        """Return the content of the file."""
        return HOLDER.dump_json(self, indent=1)

    def __str__(self) -> str:
        return f"run {self.run}, {self.process}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"


HOLDER = TypeAdapter(Holder)


def parse(data: bytes) -> Holder | None:
    """Return the holder that a file describes, or None if the file is damaged."""
    try:
        return HOLDER.validate_json(data)
    except ValidationError:
        return None


def place() -> str:
    """Return what a process number counts in: this boot of this machine, and the namespace."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def state_of(pid: int) -> tuple[str, str]:
    """Return the state of a process and when it began, both empty if it cannot be seen."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return "", ""
    words = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return words[0], words[19]
