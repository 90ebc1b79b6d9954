"""A child of the fuzzer: feeds one reader after the other, and says what it sees line by line.

It may die at any input: the parent has the input, which lies in the file that the reader reads.
"""

import argparse
import json
import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from jobs.fuzz.watch import Watch

SAY_EVERY_S = 0.5
MANY = 20
"""Findings of one kind that are kept."""


@dataclass
class Tally:
    """What is known of one reader so far."""

    reader: str
    inputs: int = 0
    refused: int = 0
    """Inputs that ended in a CurationError."""
    crashes: dict[str, str] = field(default_factory=dict)
    """Place of an exception that must not leave a reader, and the file of its first input."""
    writes: list[str] = field(default_factory=list)
    """Forbidden acts."""
    slowest_s: float = 0.0
    """Processor time of the slowest input."""
    slowest: str = ""
    """Its file."""
    peak_mb: float = 0.0
    """Memory at its highest, above that before the first input."""
    is_done: bool = False


class Feeder:
    """Gives inputs to a reader and counts what comes of them."""

    def __init__(self, name: str, folder: Path, watch: Watch, limit: int) -> None:
        from jobs.fuzz.readers import READERS
        from pipeline.errors import CurationError

        self.reader, self.error = READERS[name], CurationError
        self.tally, self.limit = Tally(name), limit
        self.folder, self.watch = folder / name, watch
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / self.reader.file
        self.last_said = 0.0
        for seed in self.reader.seeds:  # what is loaded late is loaded now
            self._call(seed)
        self.tally = Tally(name)
        self.before_mb = reset_peak()

    def __call__(self, data: bytes) -> None:
        """Feed one input."""
        if self.tally.inputs >= self.limit:
            return
        self.watch.is_on = True
        started = time.process_time()
        self._call(data)
        seconds = time.process_time() - started
        self.watch.is_on = False
        self.tally.inputs += 1
        if seconds > self.tally.slowest_s:
            self.tally.slowest_s = seconds
            if seconds > 1:
                self.tally.slowest = self._keep(data, "slow")
        if self.watch.seen:
            if len(self.tally.writes) < MANY:
                self.tally.writes += [*self.watch.seen, self._keep(data, "write")]
            self.watch.seen.clear()
        self.tally.is_done = self.tally.inputs == self.limit
        if self.tally.is_done or time.monotonic() - self.last_said > SAY_EVERY_S:
            self.say()

    def _call(self, data: bytes) -> None:
        self.file.write_bytes(data)
        try:
            self.reader.call(self.file)
        except self.error:
            self.tally.refused += 1
        except Exception as error:  # noqa: BLE001  (what is looked for)
            place = place_of(error)
            if place not in self.tally.crashes and len(self.tally.crashes) < MANY:
                self.tally.crashes[place] = self._keep(data, "crash")

    def _keep(self, data: bytes, kind: str) -> str:
        number = len(list(self.folder.parent.glob(f"found/{kind}-*")))
        kept = self.folder.parent / "found" / f"{kind}-{self.tally.reader}-{number}"
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(data)
        return str(kept)

    def say(self) -> None:
        """Write the tally as a line."""
        self.last_said = time.monotonic()
        self.tally.peak_mb = peak() - self.before_mb
        print(json.dumps(asdict(self.tally)), flush=True)


def place_of(error: BaseException) -> str:
    """Return the type of an exception, and the innermost line of ours that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/pipeline/" in f.filename] or frames
    name = ours[-1].filename.rpartition("/pipeline/")[2]
    return f"{type(error).__name__} at {name}:{ours[-1].lineno} {error!s:.120}"


def reset_peak() -> float:
    """Forget the highest memory so far and return the present one, in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """Return the highest resident memory, in MB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return int(status.partition("VmHWM:")[2].split()[0]) / 1e3


def plain(feeder: Feeder, seed: str, start: int) -> None:
    """Feed mutated seeds: the same ones for the same seed."""
    from jobs.fuzz.mutation import mutated

    reader = feeder.reader
    for number in range(start, start + feeder.limit):
        random = Random(f"{seed}/{feeder.tally.reader}/{number}")
        chosen = random.choice(reader.seeds)
        feeder(mutated(chosen, random, reader.seeds, reader.shape))


def guided(make: Callable[[], Feeder], seed: str, start: int) -> None:
    """Let atheris choose the inputs by the lines that they reach; does not return."""
    import atheris

    with atheris.instrument_imports(include=["pipeline", "tarfile", "json", "zipfile", "csv"]):
        feeder = make()
    from jobs.fuzz.mutation import mutated

    reader = feeder.reader

    def mutate(data: bytes, max_size: int, number: int) -> bytes:
        random = Random(number)
        if random.random() < 0.5:  # noqa: PLR2004
            return bytes(atheris.Mutate(data, max_size))
        return mutated(data, random, reader.seeds, reader.shape)[:max_size]

    corpus = feeder.folder.parent / "seeds"
    corpus.mkdir()
    for at, data in enumerate(reader.seeds):
        (corpus / str(at)).write_bytes(data)
    choice = Random(f"{seed}/{start}").randrange(2**31)
    # the parent sees what hangs; atheris takes a timeout of 0 for one that is over
    settings = [f"-runs={2 * feeder.limit}", f"-seed={choice}", "-timeout=3600", "-rss_limit_mb=0"]
    found = f"-artifact_prefix={feeder.folder.parent}/"
    arguments = [sys.argv[0], *settings, found, "-verbosity=0", "-max_len=65536", str(corpus)]
    atheris.Setup(arguments, feeder, custom_mutator=mutate)
    atheris.Fuzz()


def main(given: list[str] | None = None) -> None:
    """Feed the readers that the parent names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="JSON of folder, seed, start, way and inputs by reader")
    job: dict[str, Any] = json.loads(parser.parse_args(given).job)
    folder = Path(job["folder"])
    watch = Watch(folder)
    for name, inputs in job["inputs"].items():
        make = partial(Feeder, name, folder, watch, inputs)
        if job["way"] == "guided":
            guided(make, job["seed"], job["start"])
        else:
            plain(make(), job["seed"], job["start"])


if __name__ == "__main__":
    main()
