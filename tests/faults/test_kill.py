"""SIGKILL the driver at moments spread over all steps: the next run ends with the same bytes.

`WINNOW_SOAK=1` kills at more moments, on Ray as well, and kills some of the next runs too.
"""

import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.faults.driver import TIMES, Driver
from tests.faults.soak import IS_SOAK

NUM_KILLS = 36 if IS_SOAK else 8
RAY_STEPS = ("embed", "pack", "index", "score match", "fit probe", "decide")[: 6 if IS_SOAK else 1]
SEED = int(os.environ.get("WINNOW_SEED", "0"))

CLEANERS = [
    *("match", "separate", "probe", {"neighbours": {"bank_rows": 30}}, "dedup", "prune"),
    {"ask": {"budget": 5, "low": 0.0, "high": 1.0}},
]
OUTPUT_STEPS = {
    "_lease": "lease",
    "_winnow": "claim",
    "queries.csv": "queries",
    "report.html": "report",
    "ledger": "ledger",
    "manifest.json": "manifest",
}


@dataclass(frozen=True)
class Place:
    """The workspace and the output of one test."""

    folder: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def files(self) -> dict[str, Path]:
        """Return what lies under a final name, by its path."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        visible = (path for path in found if not path.name.startswith("."))
        return {str(path.relative_to(self.folder)): path for path in visible}

    def contents(self) -> dict[str, bytes]:
        """Return the bytes of all files but those that tell of one attempt alone.

        Those are the notes and marks of the run, the lease, and the times in the report.
        """
        found = {
            name: path.read_bytes()
            for name, path in self.files().items()
            if not name.startswith(("workspace/runs/", "workspace/attempts/", "output/_lease/"))
        }
        report = found.pop("output/report.html", None)
        if report is not None:
            found["report"] = TIMES.sub("", report.decode()).encode()
        return found


@dataclass(frozen=True)
class Moment:
    """When to kill: after a file has appeared, and some seconds later."""

    step: str
    file: str
    delay_s: float


def step_of(name: str) -> str:
    """Return the step that is under way once a file has appeared."""
    top, folder, *rest = name.split("/")
    if top == "output":
        return OUTPUT_STEPS.get(folder, "pack")
    if folder == "runs":
        return rest[-1].removesuffix(".json")
    if folder in ("steps", "states"):
        kind = rest[0].rpartition("-")[0]
        is_score = folder == "steps" and kind not in ("embed", "label", "decide", "order")
        return f"score {kind}" if is_score else f"fit {kind}" if folder == "states" else kind
    return "index"


def watched(place: Place, driver: Driver) -> list[tuple[float, str]]:
    """Return when each file of an undisturbed run appeared, in order."""
    seen: dict[str, float] = {}

    def look() -> bool:
        now = time.monotonic()
        for name in place.files():
            seen.setdefault(name, now)
        return False

    driver.wait_for(look)
    look()
    assert driver.wait() == 0, driver.said()
    return sorted((moment, name) for name, moment in seen.items())


def moments(timeline: list[tuple[float, str]], count: int, seed: int) -> list[Moment]:
    """Return moments to kill at, spread evenly over the steps, at random inside each."""
    chance = random.Random(seed)
    by_step: dict[str, list[Moment]] = {}
    for (start, name), (stop, _) in pairwise([*timeline, (timeline[-1][0] + 0.05, "")]):
        by_step.setdefault(step_of(name), []).append(Moment(step_of(name), name, stop - start))
    steps = list(by_step)
    offset = chance.random()
    chosen = [steps[int((i + offset) * len(steps) / count) % len(steps)] for i in range(count)]
    drawn = [chance.choice(by_step[step]) for step in chosen]
    return [Moment(m.step, m.file, m.delay_s * chance.random()) for m in drawn]


@dataclass
class Scene:
    """An undisturbed run, what to start again, and what was seen of the kills."""

    recipe: Path
    place: Place
    timeline: list[tuple[float, str]]
    expected: dict[str, bytes]
    log: list[tuple[str, str, int, int]] = field(default_factory=list)


@pytest.fixture(scope="module")
def scene(tmp_path_factory, raw_recipe, started):
    folder = tmp_path_factory.mktemp("kill")
    raw = raw_recipe(cleaners=CLEANERS, policy="balanced")
    raw["pack"] |= {"attach": ["prune.teacher"]}
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(raw))
    place = Place(folder / "undisturbed")
    driver = started.run(recipe, place.workspace, place.output, "--engine", "local")
    scene = Scene(recipe, place, watched(place, driver), place.contents())
    yield scene
    show(scene)


def show(scene: Scene) -> None:
    """Print how often each step was hit, and how much was embedded already."""
    lines = [f"{'engine':8}{'killed in step':20}{'kills':>6}{'fragments embedded before':>30}"]
    hits = Counter((engine, step) for engine, step, *_ in scene.log)
    for (engine, step), count in hits.items():
        kept = [str(kept) for e, s, kept, _ in scene.log if (e, s) == (engine, step)]
        lines.append(f"{engine:8}{step:20}{count:6}{', '.join(kept):>30}")
    print("\n".join(lines))  # noqa: T201


ENGINES = {"local": ("--engine", "local"), "ray": ("--engine", "ray", "--address", "local")}
"""Options of each engine; a cluster that happens to run on this machine is left alone."""


def run_and_kill(started, scene: Scene, place: Place, moment: Moment, engine: str) -> None:
    """Start a run and kill it at a moment; it may have ended before."""
    driver = started.run(scene.recipe, place.workspace, place.output, *ENGINES[engine])
    file = place.folder / moment.file
    driver.wait_for(file.exists)
    time.sleep(moment.delay_s)
    driver.kill()


def committed(place: Place) -> dict[str, tuple[int, int]]:
    """Return the fragments that are embedded, and what changes when one is written again."""
    found = place.workspace.glob("steps/embed-*/*.parquet")
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def reused(place: Place) -> int:
    """Return how many rows the last run says that it has not embedded again."""
    (note,) = place.workspace.glob("runs/*/embed.json")
    return json.loads(note.read_bytes())["reused"]


def check_continued(started, scene: Scene, place: Place, moment: Moment, engine: str) -> None:
    """Check what a killed run has left, run again, and check what that makes."""
    left, kept = place.contents(), committed(place)
    driver = started.run(scene.recipe, place.workspace, place.output, *ENGINES[engine])
    code = driver.wait()
    now = committed(place)
    scene.log.append((engine, moment.step, len(kept), len(now)))

    assert code == 0, driver.said()
    # nothing was half written under a final name, nothing embedded was embedded again
    assert {name: left[name] == scene.expected[name] for name in left if name != "report"} == {
        name: True for name in left if name != "report"
    }
    assert {name: now[name] for name in kept} == kept
    assert reused(place) == sum(int(name.removesuffix(".parquet")[-5:]) for name in kept)
    # the workspace, the shards, the ledger, the manifest and the report are the same
    found = place.contents()
    assert sorted(found) == sorted(scene.expected)
    assert [name for name in found if found[name] != scene.expected[name]] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(NUM_KILLS))
def test_a_killed_run_is_continued_to_the_same_bytes(tmp_path, scene, started, number):
    moment = moments(scene.timeline, NUM_KILLS, SEED)[number]
    place = Place(tmp_path)
    run_and_kill(started, scene, place, moment, "local")
    if IS_SOAK and number % 3 == 0:  # the next run is killed as well, at any moment after that
        again = moments(scene.timeline, NUM_KILLS, SEED + 1)[NUM_KILLS - 1 - number // 2]
        run_and_kill(started, scene, place, again, "local")

    check_continued(started, scene, place, moment, "local")


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("step", RAY_STEPS)
def test_a_killed_run_on_ray_is_continued_to_the_same_bytes(tmp_path, scene, started, step):
    moment = next(m for m in moments(scene.timeline, 99, SEED) if m.step == step)
    place = Place(tmp_path)
    run_and_kill(started, scene, place, moment, "ray")

    check_continued(started, scene, place, moment, "ray")
