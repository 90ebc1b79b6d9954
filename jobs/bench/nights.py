"""What a night costs that adds a little to much: seconds a step, beside the first night's.

    python -m jobs.bench nights --rows 500000 --share 0.02

A crawl of tiny rows with vectors that exist already. Every night runs in a process of its own.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from jobs.bench.corpus import Corpus, write
from jobs.bench.laps import Lap, Laps, told
from jobs.bench.load import ENGINES, SHARD_ROWS, engine_of, gib
from jobs.bench.processes import alone, peak
from pipeline.night import nightly
from pipeline.recipe import parse_recipe

KINDS = {"shards": ".tar", "image": ".npy", "text": ".npy"}
"""Folders of a crawl, and how their files end: one of each a shard."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the benchmark."""
    parser.add_argument("--rows", type=int, default=500_000, help="of the first night")
    parser.add_argument("--share", type=float, default=0.02, help="what the second night adds")
    parser.add_argument("--cleaners", nargs="+", default=["match", "separate"])
    parser.add_argument("--engine", choices=ENGINES, default="local")
    parser.add_argument("--folder", help="where crawl and output lie meanwhile: 8 kB a row")


@dataclass
class Cost:
    """What one night cost."""

    name: str
    rows: int = 0
    seconds: float = 0.0
    steps: dict[str, Lap] = field(default_factory=dict)
    """What each step has taken of the driver."""
    peak_bytes: int = 0

    def line(self) -> str:
        """Return the figures as text."""
        return (
            f"night {self.name}: {self.rows} rows, {self.seconds:.1f} s, driver peak "
            f"{gib(self.peak_bytes)}\n  seconds (CPU): {told(self.steps)}"
        )


def report(rows: int, share: float, cleaners: list[str], engine: str, place: str | None) -> None:
    """Print what both nights cost, and the second as a share of the first."""
    old, new = rows // SHARD_ROWS, max(round(rows * share) // SHARD_ROWS, 1)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        corpus = Corpus(Path(folder) / "crawl", (old + new) * SHARD_ROWS, old + new)
        write(corpus)
        later = range(old, old + new)
        for number in later:
            move(corpus.folder, "later", number)
        first = alone(curated, corpus, "first", cleaners, engine)
        print(first.line(), flush=True)
        for number in later:
            move(corpus.folder, "", number)
        second = alone(curated, corpus, "second", cleaners, engine)
        print(second.line())
    added, cost = second.rows / first.rows, second.seconds / first.seconds
    print(f"{added:.1%} more rows cost {cost:.1%} of the first night's time ({engine} engine)")


def move(folder: Path, aside: str, number: int) -> None:
    """Put the files of a shard aside, or back where the source is."""
    for kind, extension in KINDS.items():
        name = f"{number:05d}{extension}"
        here, there = folder / kind / name, folder / "later" / kind / name
        there.parent.mkdir(parents=True, exist_ok=True)
        (here if aside else there).rename(there if aside else here)


def curated(corpus: Corpus, name: str, cleaners: list[str], engine: str) -> Cost:
    """Curate a night in this process and return what it cost."""
    cost, laps, chosen = Cost(name), Laps(), engine_of(engine)
    folder = corpus.folder.parent
    recipe = parse_recipe(corpus.recipe() | {"cleaners": cleaners})
    started = time.perf_counter()
    made = nightly(
        recipe, str(folder / "workspace"), str(folder / "output"), chosen, laps.track, name=name
    )
    cost.seconds, cost.steps = time.perf_counter() - started, laps.finished()
    cost.rows = made.outcome.summary.rows if made.outcome else 0
    cost.peak_bytes = peak()
    return cost
