"""`winnow run` as a real process, which a test may stop, continue and kill."""

import os
import re
import runpy
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType

FORKS = get_context("forkserver")
"""Forks every process from one that has imported everything: a start costs a second, not ten."""
FORKS.set_forkserver_preload(["pipeline.cli", "pipeline.store.encode", "pipeline.engine.ray"])
POLL_S = 0.0005
TIMES = re.compile(
    r'<p class="soft">[^<]* took [^<]*</p>|<h2>Run</h2>.*?</table>|<p>Begun [^<]*</p>', re.DOTALL
)
"""Where a report tells when it was made, how long each step took and what it reused."""


@dataclass(frozen=True)
class Driver:
    """A process that curates."""

    process: object
    log: Path

    def send(self, sign: signal.Signals) -> None:
        os.kill(self.process.pid, sign)

    def kill(self) -> None:
        """End the process as power failure would: it does nothing any more."""
        self.process.kill()
        self.process.join()

    def wait(self, timeout: float = 600) -> int:
        """Return the exit code."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, f"still running: {self.said()}"
        return self.process.exitcode

    def wait_for(self, what: Callable[[], object], timeout: float = 600) -> bool:
        """Return whether something has come true before the process has ended."""
        latest = time.monotonic() + timeout
        while not what():
            if self.process.exitcode is not None:
                return bool(what())
            assert time.monotonic() < latest, f"it does not happen: {self.said()}"
            time.sleep(POLL_S)
        return True

    def said(self) -> str:
        """Return what the process has printed."""
        return self.log.read_text() if self.log.exists() else ""


def main(arguments: list[str], log: str, environment: Mapping[str, str]) -> None:
    """Run the command line inside the new process."""
    from pipeline.cli import main as winnow

    with open(log, "wb", 0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    if folder := environment.get("PYTHONPATH"):
        sys.path.insert(0, folder)
        runpy.run_path(f"{folder}/sitecustomize.py")  # as a fresh process does
    sys.argv = ["winnow", *arguments]
    winnow()


class Drivers:
    """Starts processes, and ends those that are left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Driver] = []

    def run(
        self,
        recipe: Path,
        workspace: Path,
        output: Path,
        *options: str,
        command: str = "run",
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Driver:
        """Start `winnow run` or another command, in that process alone if no engine is named."""
        engine = () if "--engine" in options else ("--engine", "local")
        log = self.folder / f"{len(self.started):03d}.log"
        words = [command, str(recipe), "--workspace", str(workspace), "--output", str(output)]
        arguments = ([*words, *engine, *options], str(log), dict(environment))
        process = FORKS.Process(target=main, args=arguments)
        process.start()
        self.started.append(Driver(process, log))
        return self.started[-1]


@contextmanager
def drivers(folder: Path) -> Iterator[Drivers]:
    """Give the means to start processes; none outlives the block."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Drivers(folder)
    try:
        yield made
    finally:
        for driver in made.started:
            driver.kill()
