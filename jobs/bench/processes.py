"""A process of its own for a measurement, and the memory of it and of the Ray workers below it."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROC = Path("/proc")


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def peak(pid: int | str = "self") -> int:
    """Return the largest memory that a process has taken, in bytes; 0 if it has ended.

    Not by `getrusage`: a process that is spawned inherits the peak of its parent there.
    """
    lines = read(PROC / str(pid) / "status").splitlines()
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def ray_workers() -> list[int]:
    """Return the process ids of the Ray workers below this process."""
    stats = {int(path.parent.name): read(path) for path in PROC.glob("[0-9]*/stat")}
    parents = {pid: int(stat.rpartition(")")[2].split()[1]) for pid, stat in stats.items() if stat}
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return [pid for pid in below if "ray::" in read(PROC / str(pid) / "cmdline")]


def read(path: Path) -> str:
    """Return a file of a process; empty if the process has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
