"""Curate millions of tiny rows end to end: seconds a step, memory of the driver, nothing lost.

    python -m jobs.bench load --rows 200000 2000000 --engine local

Every size runs in a process of its own on a crawl of its own, by the default recipe with vectors
that exist already; the crawl and all that is made of it is deleted after.
"""

import argparse
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from jobs.bench.audit import audit
from jobs.bench.corpus import Corpus, write
from jobs.bench.laps import Lap, Laps, told
from jobs.bench.processes import alone, peak, ray_workers
from pipeline.contract import Engine
from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.recipe import parse_recipe

SHARD_ROWS = 1000
ENGINES = ("local", "ray")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the benchmark."""
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 2_000_000])
    parser.add_argument("--shards", type=int, nargs="+", help="of each; default one a 1000 rows")
    parser.add_argument("--engine", choices=ENGINES, default="local")
    parser.add_argument("--folder", help="where crawl and output lie meanwhile: 8 kB a row")


def report(sizes: list[int], shards: list[int] | None, engine: str, place: str | None) -> None:
    """Print time and memory for every size, and how they grow from the first to the last."""
    counts = shards or [max(rows // SHARD_ROWS, 1) for rows in sizes]
    costs = []
    for num_rows, num_shards in zip(sizes, counts, strict=True):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            corpus = Corpus(Path(folder) / "crawl", num_rows, num_shards)
            write(corpus)
            os.sync()  # what writing the crawl costs the disk is no part of the run
            costs.append(alone(curated, corpus, engine))
            print(costs[-1].line())
            faults = audit(corpus, Path(folder) / "output")
            print(f"  {'; '.join(faults) or 'no row lost, none twice'}", flush=True)
    if len(costs) > 1:
        print(growth(costs[0], costs[-1]))


@dataclass
class Cost:
    """What one run cost."""

    rows: int
    shards: int
    engine: str
    base_bytes: int
    """Memory of the driver before the run: imports."""
    seconds: float = 0.0
    steps: dict[str, Lap] = field(default_factory=dict)
    """What each step has taken of the driver."""
    peak_bytes: int = 0
    worker_bytes: int = 0
    """Largest memory of each Ray worker, summed; 0 without Ray."""
    actions: dict[str, int] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        """Seconds of CPU of the driver."""
        return sum(lap.cpu for lap in self.steps.values())

    def line(self) -> str:
        """Return the figures as text."""
        workers = f", workers {gib(self.worker_bytes)} in sum" if self.worker_bytes else ""
        return (
            f"load, {self.rows} rows in {self.shards} shards, {self.engine} engine: "
            f"{self.seconds:.0f} s ({self.cpu:.0f} of CPU), {self.rows / self.seconds:.0f} rows/s, "
            f"driver peak {gib(self.peak_bytes)} ({gib(self.base_bytes)} before){workers}\n"
            f"  seconds (CPU): {told(self.steps)}\n  rows: {self.actions}"
        )


def gib(size: int) -> str:
    """Return a number of bytes as text."""
    return f"{size / 2**30:.2f} GiB"


def growth(small: Cost, large: Cost) -> str:
    """Return how time and memory grow with the rows."""
    seconds, memory = large.seconds / small.seconds, large.peak_bytes / small.peak_bytes
    rows, cpu = large.rows / small.rows, large.cpu / small.cpu
    return (
        f"load, {rows:.1f} times the rows: {seconds:.1f} times the time, {cpu:.1f} the CPU "
        f"seconds, {memory:.2f} the memory"
    )


def curated(corpus: Corpus, engine: str) -> Cost:
    """Curate a crawl in this process and return what it cost."""
    cost = Cost(corpus.num_rows, corpus.num_shards, engine, peak())
    chosen, laps = engine_of(engine), Laps()
    folder, recipe = corpus.folder.parent, parse_recipe(corpus.recipe())
    started = time.perf_counter()
    made = curate(recipe, str(folder / "workspace"), str(folder / "output"), chosen, laps.track)
    cost.seconds, cost.steps = time.perf_counter() - started, laps.finished()
    cost.peak_bytes, cost.worker_bytes = peak(), sum(map(peak, ray_workers()))
    cost.actions = dict(sorted(made.summary.actions.items()))
    return cost


def engine_of(name: str) -> Engine:
    """Return an engine of this machine."""
    if name == "local":
        return LocalEngine()
    # imported here, so that the local driver does not pay for Ray in memory
    from pipeline.engine.ray import RayEngine

    return RayEngine()
