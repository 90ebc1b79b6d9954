"""Work that kills or hangs its process: counted, ended in time, and isolated to the row."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.local import LocalEngine
from pipeline.shards.find import Shard, find_shards
from pipeline.store.attempts import Attempts
from pipeline.store.catalog import Fragment, build
from pipeline.store.isolate import FAULTS, Isolate, culprits, fate
from pipeline.store.samples import Read
from pipeline.store.workspace import Workspace
from tests.faults.hostile import (
    CRASHES,
    DIES,
    SPINS,
    STOPS,
    Made,
    Trial,
    assert_only_lost,
    gif,
    install,
)
from tests.faults.soak import IS_SOAK

DEADLINE = """
import os, signal, sys, time
from pipeline.engine.deadline import deadline
with deadline(30):
    with deadline(float(sys.argv[1])):
        {work}
    print("done")
"""


def under_deadline(seconds, work):
    command = [sys.executable, "-c", DEADLINE.format(work=work), str(seconds)]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.strip(), time.monotonic() - started


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a halted process needs a timer of the kernel")
@pytest.mark.parametrize("work", ["while True: pass", "os.kill(os.getpid(), signal.SIGSTOP)"])
def test_a_process_that_hangs_or_was_halted_is_killed_in_time(work):
    code, printed, took = under_deadline(0.5, work)

    assert (code, printed) == (-signal.SIGKILL, "")
    assert took < 20


@pytest.mark.slow
def test_work_that_is_done_in_time_is_left_alone():
    assert under_deadline(0.5, "pass; time.sleep(0.1)")[:2] == (0, "done")


@given(st.integers(1, 300), st.data())
def test_halving_finds_exactly_the_rows_that_kill(num_rows, data):
    killers = data.draw(st.sets(st.integers(0, num_rows - 1), max_size=5))
    attempts = []

    def attempt(places):
        attempts.append(places)
        return "kills-worker" if killers & set(places) else None

    found = culprits(range(num_rows), attempt)

    assert found == dict.fromkeys(sorted(killers), "kills-worker")
    assert len(attempts) <= 1 + 2 * len(killers) * num_rows.bit_length()


def test_the_fate_of_an_attempt_is_told_from_how_it_ends():
    def fail():
        raise ValueError("an error that is raised is no death")

    def spin():
        while True:
            pass

    assert fate(lambda: None, 30) is None
    assert fate(fail, 30) is None
    assert fate(lambda: os._exit(0), 30) == "kills-worker"
    assert fate(lambda: os.kill(os.getpid(), signal.SIGKILL), 30) == "kills-worker"
    assert fate(spin, 0.2) == "times-out"
    assert set(FAULTS) == {"kills-worker", "times-out"}


@dataclass(frozen=True)
class Trap(Isolate):
    """Row 2 kills, row 5 hangs, and row 4 kills once, when it is looked at alone."""

    folder: Path | None = None

    def work(self, _, places):
        (self.folder / f"{places[0]}-{places[-1]}").touch()
        if 5 in places:
            time.sleep(60)
        if 2 in places:
            os.kill(os.getpid(), signal.SIGKILL)
        if 4 in places and not (self.folder / "once").exists():
            (self.folder / "once").touch()
            os._exit(1)


def test_a_row_that_fails_once_is_not_blamed_and_the_whole_is_not_tried_again(spec, tmp_path):
    trap = Trap(Read(spec, None), is_embedded=False, seconds=1.0, folder=tmp_path)
    fragment = Fragment(Shard("a.tar", "webdataset", 1, "a"), "a.parquet", 10, 18)

    assert trap.search(fragment) == {2: "kills-worker", 5: "times-out"}
    assert {path.name for path in tmp_path.iterdir()} == {
        *("once", "0-3", "0-1", "2-3", "2-2", "3-3"),
        *("4-7", "4-5", "6-7", "4-4", "5-5"),
    }


def test_a_mark_stays_only_where_an_attempt_was_killed(tmp_path):
    attempts = Attempts(str(tmp_path))
    with attempts.attempt("done", 1):
        assert attempts.failed("done") == 1
    with pytest.raises(ValueError, match="an error"), attempts.attempt("raised", 1):
        raise ValueError("an error")

    if not os.fork():
        with attempts.attempt("killed", 1):
            os.kill(os.getpid(), signal.SIGKILL)
    os.wait()

    assert [attempts.failed(name) for name in ("done", "raised", "killed")] == [0, 0, 1]
    (told,) = attempts.open()
    assert told.startswith("killed.1 on ")


def test_marks_are_forgotten_once_an_attempt_ends(tmp_path):
    attempts = Attempts(str(tmp_path))
    for number in (1, 2):
        (tmp_path / f"a.{number}").write_text("{}")

    with attempts.attempt("a", attempts.failed("a") + 1):
        assert attempts.failed("a") == 3

    assert attempts.failed("a") == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def trial(tmp_path, make_crawl, make_tar_file, raw_recipe):
    return Trial(tmp_path, make_crawl(tmp_path), make_tar_file, raw_recipe)


def test_a_shard_that_kills_whoever_lists_it_is_left_out(trial, tmp_path):
    shards = find_shards(str(trial.crawl.folder))
    workspace = Workspace(str(tmp_path / "w"))
    folder = tmp_path / "w" / "attempts" / "index"
    folder.mkdir(parents=True)
    for number in (1, 2, 3):
        (folder / f"{shards[1].identity}.{number}").touch()

    catalog = build(workspace, shards, LocalEngine(), 7, lambda _rows: None)

    assert catalog.faults == ((shards[1].uri, "kills-reader"),)
    assert {f.shard.uri for f in catalog.fragments} == {shards[0].uri, shards[2].uri}
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("hang", [STOPS, SPINS] if IS_SOAK else [STOPS])
def test_a_run_that_pictures_end_is_started_again_until_they_are_isolated(
    tmp_path, trial, track, published_bytes, started, hang
):
    hostile = {"00-001": gif(DIES), "00-002": gif(CRASHES)}
    hangs = {"02-001": gif(hang)}
    trial.plant(hostile | hangs)
    recipe, found = tmp_path / "recipe.yaml", Made(tmp_path / "found")
    recipe.write_text(trial.recipe(tries=1, fragment_s=10).to_yaml())
    environment = install(tmp_path / "plugin")

    codes = [
        started.run(recipe, found.workspace, found.output, environment=environment).wait()
        for _ in range(3)
    ]
    was_left = found.marks()

    trial.plant({key: bytes(len(picture)) for key, picture in (hostile | hangs).items()})
    harmless = trial.curate(LocalEngine(), "harmless", track, tries=1, fragment_s=60)
    assert codes == [0, -signal.SIGKILL, 0]
    assert was_left == []
    wanted = dict.fromkeys(hostile, "kills-worker") | dict.fromkeys(hangs, "times-out")
    assert {key: found.reasons()[key] for key in wanted} == {k: [v] for k, v in wanted.items()}
    assert_only_lost(found, harmless, wanted, published_bytes)


@pytest.mark.slow
def test_a_fragment_that_was_begun_too_often_is_searched_without_harm(
    tmp_path, trial, track, published_bytes, monkeypatch
):
    trial.plant({})
    undisturbed = trial.curate(LocalEngine(), "undisturbed", track)
    names = [path.stem for path in undisturbed.workspace.glob("steps/embed-*/*.parquet")]
    (step,) = undisturbed.workspace.glob("steps/embed-*")
    for name in names[:1]:
        for number in (1, 2, 3):
            mark = tmp_path / "found/workspace/attempts" / step.name / "read" / f"{name}.{number}"
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.write_text('{"host": "h", "pid": 1, "since": "now"}')

    found = trial.curate(LocalEngine(), "found", track)

    assert found.steps() == undisturbed.steps()
    assert published_bytes(found.output) == published_bytes(undisturbed.output)
    assert found.marks() == []
