"""SIGKILL a night at moments spread over all it does: tried again, it ends with the same bytes."""

import os
import random
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.faults.driver import TIMES
from tests.faults.soak import IS_SOAK

NUM_KILLS = 30 if IS_SOAK else 6
SEED = int(os.environ.get("WINNOW_SEED", "0"))
OPEN = {"keep": [0, 1], "relabel": 1, "drop": 1, "quarantine": 1, "min_reference_rows": 10**6}


@dataclass(frozen=True)
class Place:
    """The source, the workspace and the output of nights."""

    folder: Path

    def contents(self) -> dict[str, bytes]:
        """Return the bytes of all files but those that tell of one attempt alone."""
        found = {}
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder))
            is_told = not name.startswith(("w/runs/", "w/attempts/", "o/_lease/"))
            if path.is_file() and is_told and not path.name.startswith("."):
                found[name] = path.read_bytes()
        for name in [name for name in found if name.endswith("report.html")]:
            found[name] = TIMES.sub("", found[name].decode()).encode()
        return found

    def start(self, started, recipe: Path, night: str, *options: str):
        """Start a night."""
        words = ("--night", night, *options)
        return started.run(recipe, self.folder / "w", self.folder / "o", *words, command="nightly")

    def files(self) -> int:
        """Return how many files are there."""
        return sum(path.is_file() for path in self.folder.rglob("*") if path.name[0] != ".")


@dataclass(frozen=True)
class Scene:
    """One night that stands, and what an undisturbed second one makes of it."""

    recipe: Path
    before: Path
    expected: dict[str, bytes]
    num_files: int
    """That the second night has made."""

    def copy(self, folder: Path) -> Place:
        """Return a place where the first night has been."""
        shutil.copytree(self.before, folder, dirs_exist_ok=True)
        return Place(folder)


@pytest.fixture(scope="module")
def scene(tmp_path_factory, raw_recipe, crawl, started):
    folder = tmp_path_factory.mktemp("nights")
    source, recipe = folder / "source", folder / "recipe.yaml"
    source.mkdir()
    raw = raw_recipe(cleaners=["match", "dedup"], policy="deduplicated", gates=OPEN)
    raw["source"]["path"] = str(source)
    recipe.write_text(yaml.safe_dump(raw))
    first = Place(folder / "first")
    for number in (0, 1):
        shutil.copy2(crawl.folder / f"{number:05d}.tar", source)
    driver = first.start(started, recipe, "a")
    assert driver.wait() == 0, driver.said()
    shutil.copy2(crawl.folder / "00002.tar", source)
    calm = Scene(recipe, first.folder, {}, 0).copy(folder / "calm")
    num_files = calm.files()
    driver = calm.start(started, recipe, "b")
    assert driver.wait() == 0, driver.said()
    return Scene(recipe, first.folder, calm.contents(), calm.files() - num_files)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(NUM_KILLS))
def test_a_killed_night_is_continued_to_the_same_bytes(tmp_path, scene, started, number):
    place = scene.copy(tmp_path / "place")
    chance = random.Random(f"{SEED} {number}")
    due = place.files() + int((number + chance.random()) * scene.num_files / NUM_KILLS)
    driver = place.start(started, scene.recipe, "b")
    driver.wait_for(lambda: place.files() >= due)
    driver.kill()

    again = place.start(started, scene.recipe, "b")
    code, found = again.wait(), place.contents()

    assert code == 0, again.said()
    assert sorted(found) == sorted(scene.expected)
    assert [name for name in found if found[name] != scene.expected[name]] == []


@pytest.mark.slow
def test_of_two_attempts_of_a_night_one_goes_on_when_the_other_dies(tmp_path, scene, started):
    place = scene.copy(tmp_path / "place")
    first = place.start(started, scene.recipe, "b", "--lease", "2")
    first.wait_for(lambda: any((place.folder / "w/steps").glob("embed-*/*")))
    first.send(signal.SIGSTOP)
    second = place.start(started, scene.recipe, "b", "--lease", "2")
    time.sleep(0.5)
    first.kill()

    code, found = second.wait(), place.contents()

    assert code == 0, second.said()
    assert [name for name in found if found[name] != scene.expected[name]] == []
    assert sorted(found) == sorted(scene.expected)
