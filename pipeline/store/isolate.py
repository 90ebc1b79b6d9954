"""Find the rows of a fragment that kill or hang whoever works on them, by halving.

`python -m pipeline.store.isolate` is the process that is spared for it: it has nothing in it but
imports, and forks for every attempt, so that one costs milliseconds.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from pipeline.embed.encoder import Encoder
from pipeline.embed.fragment import embed
from pipeline.embed.frontend import frontend
from pipeline.engine.deadline import deadline
from pipeline.errors import WorkerError
from pipeline.store.catalog import Fragment
from pipeline.store.samples import Read

FAULTS: Final = {
    "kills-worker": "whoever reads or decodes the sample dies: it was left out",
    "times-out": "whoever reads or decodes the sample does not come to an end: it was left out",
}
"""What isolation can find wrong with a row."""

ALIVE: Final = 77
"""Exit code of an attempt that came to its end; a killer may well leave with 0."""
LEAST_SHARE: Final = 1 / 8
"""Of the time of a fragment, what a part of it is given, however small."""


@dataclass(frozen=True)
class Isolate:
    """Finds the killing rows of one fragment, in a process of its own."""

    read: Read
    is_embedded: bool
    """Whether the rows go through the encoder as well, on the CPU."""
    seconds: float
    """What the whole fragment may take."""

    def __call__(self, fragment: Fragment) -> dict[int, str]:
        """Return the fault of every killing row, by its place in the fragment.

        Raises
        ------
        WorkerError
            If the process dies without having touched a row.
        """
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.store.isolate"],
            input=TASK.dump_json((self, fragment)),
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=False,
        )
        if done.returncode:
            raise WorkerError(
                f"fragment {fragment.name} has killed its workers, and a process that was to find "
                f"its rows has ended with {done.returncode} before it began; look at the memory of "
                "the node and at the installation"
            )
        found = json.loads(done.stdout.splitlines()[-1])
        return {int(place): fault for place, fault in found.items()}

    def search(self, fragment: Fragment) -> dict[int, str]:
        """Return what `__call__` does, in this process and its forks.

        The whole has been tried before, so that the search begins with its halves. A row is blamed
        if it fails twice, the second time with all the time of a fragment: once may be the fault of
        a busy machine.
        """
        frontend(self.read.spec)  # built once, for every fork to find
        places = range(fragment.stop - fragment.start)
        half = len(places) // 2

        def attempt(part: Sequence[int], least_share: float = LEAST_SHARE) -> str | None:
            share = max(len(part) / len(places), least_share)
            return fate(lambda: self.work(fragment, part), self.seconds * share)

        found = culprits(places[:half], attempt) | culprits(places[half:], attempt)
        again = {place: attempt([place], least_share=1.0) for place in found}
        return {place: fault for place, fault in again.items() if fault}

    def work(self, fragment: Fragment, places: Sequence[int]) -> None:
        """Do with some rows of a fragment what killed."""
        listed = fragment.listed().slice(places[0], len(places))
        prepared = self.read.rows(fragment, listed, {})
        if self.is_embedded:
            embed(prepared, Encoder(self.read.spec, "cpu"))


TASK: Final[TypeAdapter[tuple[Isolate, Fragment]]] = TypeAdapter(tuple[Isolate, Fragment])
"""How the process is told what to do."""


def culprits(
    places: Sequence[int], attempt: Callable[[Sequence[int]], str | None]
) -> dict[int, str]:
    """Return the fault of each place that `attempt` fails with alone.

    Examples
    --------
    >>> culprits(range(8), lambda places: "kills-worker" if {2, 7} & set(places) else None)
    {2: 'kills-worker', 7: 'kills-worker'}
    """
    fault = attempt(places) if places else None
    if fault is None:
        return {}
    if len(places) == 1:
        return {places[0]: fault}
    half = len(places) // 2
    return culprits(places[:half], attempt) | culprits(places[half:], attempt)


def fate(work: Callable[[], None], seconds: float) -> str | None:
    """Return what becomes of a fork of this process that works: a key of `FAULTS`, or None.

    An error that is raised is no death: the worker that meets it will tell of it.
    """
    started = time.monotonic()
    child = os.fork()
    if not child:
        try:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what it prints is no answer
            with deadline(seconds):
                work()
        finally:
            os._exit(ALIVE)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == ALIVE:
        return None
    return "times-out" if time.monotonic() - started >= seconds else "kills-worker"


def main() -> None:
    """Search the fragment that stands on the standard input, and print what was found."""
    isolate, fragment = TASK.validate_json(sys.stdin.buffer.read())
    print(json.dumps(isolate.search(fragment)))  # noqa: T201  (the answer)


if __name__ == "__main__":
    main()
