"""Seven nights on real pictures: a bad one, a crawl that comes again, an empty one, a killed one.

    python -m jobs.bench week FIRST SECOND BAD FOURTH FIFTH --folder PLACE

Each argument is a folder with shards/ and classes.csv; the third has far more foreign pictures.
Every night is `python -m jobs.nightly` in a process of its own, its exit code is told.
"""

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import yaml

from pipeline.store import states
from pipeline.store.nights import Nights
from pipeline.store.workspace import Workspace

WINNOW = "from pipeline.cli import main; main()"
TIMES = ("report.html",)
"""Files of an output that tell the time."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the simulation."""
    parser.add_argument("crawls", nargs=5, help="folders with shards/ and classes.csv")
    parser.add_argument("--folder", required=True, help="where source, workspace, output go")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")


@dataclass(frozen=True)
class Place:
    """Where the nights are."""

    folder: Path
    engine: str
    suffix: str = ""
    """Of a workspace and an output beside the first ones."""

    @property
    def workspace(self) -> Path:
        """All state."""
        return self.folder / f"workspace{self.suffix}"

    @property
    def output(self) -> Path:
        """What is published."""
        return self.folder / f"output{self.suffix}"

    @property
    def source(self) -> Path:
        """Where the crawler writes."""
        return self.folder / "source"

    def command(self, module: str, *words: str) -> list[str]:
        """Return a command line on this place."""
        recipe = str(self.folder / "recipe.yaml")
        given = ["--workspace", str(self.workspace), "--output", str(self.output)]
        return [
            sys.executable,
            "-m",
            f"jobs.{module}",
            recipe,
            *given,
            "--engine",
            self.engine,
            *words,
        ]

    def night(self, name: str) -> str:
        """Run a night to its end and return how it ended."""
        started = time.monotonic()
        done = subprocess.run(
            self.command("nightly", "--night", name), capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - started
        last = (done.stderr if done.returncode else done.stdout).strip().splitlines()[-1:]
        return f"exit {done.returncode}, {seconds:.0f} s: {' '.join(last)[:600]}"

    def winnow(self, *words: str) -> None:
        """Run a command about nights."""
        given = ["--workspace", str(self.workspace), "--output", str(self.output)]
        subprocess.run(
            [sys.executable, "-c", WINNOW, *words, *given], check=True, capture_output=True
        )

    def contents(self, night: str) -> dict[str, bytes]:
        """Return the bytes of every file of a night that tells no time."""
        found = (path for path in (self.output / night).rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.output)): path.read_bytes()
            for path in found
            if path.name not in TIMES and not path.name.startswith(".")
        }


def report(crawls: list[str], folder: str, engine: str) -> None:
    """Run the week and print its log."""
    place = Place(Path(folder), engine)
    write_recipe(place, [Path(crawl) for crawl in crawls])
    for line in week(place, [Path(crawl) for crawl in crawls]):
        print(line, flush=True)


def week(place: Place, crawls: list[Path]) -> Iterator[str]:
    """Run seven nights and yield what came of each."""
    first, second, bad, fourth, fifth = crawls
    for number, crawl in enumerate((first, second, bad), start=1):
        arrive(place, crawl, f"n{number}")
        yield f"night {number}, {crawl.name} arrives: {place.night(f'night-{number}')}"
    place.winnow("discard", "night-3", "--because", "foreign pictures")
    arrive(place, second, "n4-copied")
    arrive(place, second, "n4-crawled-again", is_repacked=True)
    yield f"night 4, {second.name} comes again: {place.night('night-4')}"
    yield f"  kept of it: {kept(place, 'night-4')}"
    yield f"night 5, nothing arrives: {place.night('night-5')}"
    arrive(place, fourth, "n6")
    yield f"night 6, {fourth.name} arrives: {killed(place, 'night-6')}"
    arrive(place, fifth, "n7")
    yield f"night 7, {fifth.name} arrives: {place.night('night-7')}"
    yield f"one run over all that stands: {compared(place, 'night-7')}"


def arrive(place: Place, crawl: Path, name: str, *, is_repacked: bool = False) -> None:
    """Put the shards of a crawl into the source, as they are or with other bytes around them."""
    folder = place.source / name
    folder.mkdir(parents=True)
    for shard in sorted((crawl / "shards").glob("*.tar")):
        if is_repacked:
            with tarfile.open(shard) as source, tarfile.open(folder / shard.name, "w") as target:
                for member in source:
                    member.mtime += 86_400
                    target.addfile(member, source.extractfile(member))
        else:
            shutil.copy(shard, folder / shard.name)


def kept(place: Place, night: str) -> int:
    """Return how many rows of a night are in its shards."""
    index = json.loads((place.output / "index.json").read_text())
    return sum(each["rows"] for each in index["nights"] if each["night"] == night)


def killed(place: Place, night: str) -> str:
    """Kill a night half-way while a second attempt waits; say whether the bytes are the same."""
    calm = Place(place.folder, place.engine, "-undisturbed")
    for name in ("workspace", "output"):
        shutil.copytree(getattr(place, name), getattr(calm, name))
    command, quiet = place.command("nightly", "--night", night), subprocess.DEVNULL
    first = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    before = committed(place)
    while first.poll() is None and committed(place) < before + 2:
        time.sleep(0.01)
    second = subprocess.Popen(command, stdout=quiet, stderr=subprocess.PIPE, text=True)
    time.sleep(4.0)  # it has found the lease held, and waits
    was_alive = first.poll() is None
    first.kill()
    said = second.communicate()[1].strip().splitlines()[-1:]
    retried = place.night(night) if second.returncode else "not needed"
    undisturbed = calm.night(night)
    is_same = place.contents(night) == calm.contents(night)
    return (
        f"killed {'while it ran' if was_alive else 'too late'}; the overlapping attempt: exit "
        f"{second.returncode} {' '.join(said) if second.returncode else ''}; third attempt: "
        f"{retried}; undisturbed: {undisturbed}; bytes {'equal' if is_same else 'DIFFER'}"
    )


def committed(place: Place) -> int:
    """Return how many fragments are embedded."""
    return len([*(place.workspace / "steps").glob("embed-*/*.parquet")])


def compared(place: Place, night: str) -> str:
    """Return how the states of the last night and its decisions differ from one run over all."""
    nights = {n.name: n for n in Nights(Workspace(str(place.workspace))).all()}
    taken = [s.uri for n in nights.values() if n.state == "published" for s in n.shards]
    raw = yaml.safe_load((place.folder / "recipe.yaml").read_text())
    raw["source"]["path"] = taken
    whole = Place(place.folder / "whole", place.engine)
    whole.folder.mkdir()
    (whole.folder / "recipe.yaml").write_text(yaml.safe_dump(raw))
    shutil.copytree(place.workspace / "steps", whole.workspace / "steps")  # embedded once
    subprocess.run(whole.command("curate"), check=True, capture_output=True)
    (step,) = [s for s in nights[night].steps if any(c.startswith("match.") for c in s.columns)]
    merged = states.load(str(place.workspace / "states" / step.name)) or {}
    mine = {path.name for path in (place.workspace / "states").glob("match-*")}
    fitted = [p for p in (whole.workspace / "states").glob("match-*") if p.name not in mine]
    at_once = states.load(str(fitted[0])) or {}
    gaps = [
        float(np.abs(merged[name].astype(float) - array.astype(float)).max())
        for name, array in at_once.items()
        if merged[name].shape == array.shape and array.size
    ]
    alike = sum(merged[name].shape == array.shape for name, array in at_once.items())
    tonight, together = (
        {
            (row["shard"], row["row"]): row
            for row in ds.dataset(str(folder / "ledger")).to_table().to_pylist()
        }
        for folder in (place.output / night, whole.output)
    )
    same = sum(row["action"] == together[key]["action"] for key, row in tonight.items())
    scores = max(
        abs((row["match.label"] or 0.0) - (together[key]["match.label"] or 0.0))
        for key, row in tonight.items()
    )
    return (
        f"{len(together):,} rows; {alike} of {len(at_once)} arrays of match have the same shape, "
        f"the largest gap is {max(gaps):.2g}; of {len(tonight):,} rows of the last night {same:,} "
        f"have the same action, match.label differs by at most {scores:.2g}"
    )


def write_recipe(place: Place, crawls: list[Path]) -> None:
    """Write the recipe of the nights, with the classes of all crawls."""
    place.folder.mkdir(parents=True)
    names: dict[str, None] = {}
    for crawl in crawls:
        with (crawl / "classes.csv").open(newline="") as file:
            names |= dict.fromkeys(row["name"] for row in csv.DictReader(file))
    with (place.folder / "classes.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["name"], *([name] for name in sorted(names))])
    recipe = {
        "name": "week",
        "source": {"path": str(place.source / "*" / "*.tar"), "fragment_rows": 128},
        "classes": str(place.folder / "classes.csv"),
        "cleaners": ["match", "dedup"],
        "policy": "deduplicated",
        "pack": {"shard_rows": 500},
    }
    (place.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
