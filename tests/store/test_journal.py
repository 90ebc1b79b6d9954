"""The line of a committed fragment: who writes it, when, and what stands in it."""

import json
import os
import socket
from datetime import datetime

import pyarrow as pa
import pytest

from pipeline.engine.local import LocalEngine
from pipeline.errors import SchemaError
from pipeline.observer import Watched
from pipeline.options import make_engine
from pipeline.store.journal import JournalEngine
from pipeline.store.workspace import Workspace

WATCHED = Watched(run="0a1b", recipe="r", attempt=3)
NAME = "0123456789abcdef-000000000-00002"


@pytest.fixture
def step(tmp_path):
    return Workspace(str(tmp_path / "sécret-place")).step("score-all", 1)


def lines(capfd):
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def commit(step, *names):
    for name in names:
        step.write(name, pa.table({"a": [1, 2]}))
    return len(names)


def test_a_commit_is_one_line_that_says_who_did_what(step, capfd):
    engine = JournalEngine(LocalEngine()).observed(WATCHED)

    assert list(engine.each(lambda name: commit(step, name), [NAME])) == [(0, 1)]

    (line,) = lines(capfd)
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line.pop("seconds") >= 0
    assert line == {
        "state": "committed",
        "run": "0a1b",
        "attempt": 3,
        "step": "score-all",
        "fragment": NAME,
        "rows": 2,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }


def test_every_commit_of_one_item_has_its_line(step, capfd):
    engine = JournalEngine(LocalEngine()).observed(WATCHED)

    list(engine.each(lambda names: commit(step, *names), [("a", "b"), ("c",)]))

    told = lines(capfd)
    assert [line["fragment"] for line in told] == ["a", "b", "c"]
    assert all(line["seconds"] >= 0 for line in told)


def test_the_stage_of_a_pipe_tells_as_well(step, capfd):
    engine = JournalEngine(LocalEngine()).observed(WATCHED)

    done = list(engine.pipe(str, lambda: lambda name: commit(step, name), ["a", "b"]))

    assert done == [(0, 1), (1, 1)]
    assert [line["fragment"] for line in lines(capfd)] == ["a", "b"]


def test_what_is_not_committed_is_not_told(step, capfd):
    engine = JournalEngine(LocalEngine()).observed(WATCHED)
    wrong = NAME.replace("00002", "00007")

    with pytest.raises(SchemaError, match="must have 7 rows, got 2"):
        list(engine.each(lambda name: commit(step, name), [wrong]))
    commit(step, NAME)  # outside of the engine, after an item that has failed

    assert lines(capfd) == []


def test_nothing_is_told_without_a_journal_or_before_it_knows_its_run(step, capfd):
    for engine in (LocalEngine().observed(WATCHED), JournalEngine(LocalEngine())):
        list(engine.each(lambda name: commit(step, name), ["a"]))
        list(engine.pipe(str, lambda: lambda name: commit(step, name), ["b"]))

    assert capfd.readouterr().err == ""


def test_a_journal_keeps_its_run_under_other_limits(step, capfd):
    engine = JournalEngine(LocalEngine()).observed(WATCHED)
    limits = engine.limits

    list(engine.within(limits).each(lambda name: commit(step, name), ["a"]))

    assert [line["run"] for line in lines(capfd)] == ["0a1b"]


@pytest.mark.parametrize(
    ("chosen", "is_terminal", "is_told"),
    [(None, True, False), (None, False, True), (True, True, True), (False, False, False)],
)
def test_fragments_are_told_by_option_or_where_there_is_no_terminal(
    monkeypatch, chosen, is_terminal, is_told
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)

    engine = make_engine("local", log_fragments=chosen)

    assert isinstance(engine, JournalEngine) == is_told


def test_the_demo_tells_of_no_fragment(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: False)

    assert make_engine("local") == LocalEngine()
