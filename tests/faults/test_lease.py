"""The lease of an output: who may write it, who may take over, and who must refuse."""

import json
import logging
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from pipeline.engine.local import LocalEngine
from pipeline.errors import LeaseError
from pipeline.shards import files
from pipeline.store import lease
from pipeline.store.fence import Fence, FencedEngine, attempt_uri, attempts, holder_of, latest
from pipeline.store.holder import Holder, Process, parse
from pipeline.store.lease import enter, hold, take

SHORT_S = 0.3
FAR = Process("gpu-7", 4711, "another boot", "12345")
"""A process that cannot be seen from here."""


@pytest.fixture(params=["local", "memory"])
def output(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "output")
    return f"memory://{tmp_path.name}/output"


def holder(attempt=1, process=FAR, lease_s=SHORT_S):
    return Holder(attempt, "their-run", process, datetime.now(timezone.utc), lease_s)


def leave(output, left):
    """Leave a file as a holder does that has not released its lease."""
    files.write(attempt_uri(output, left.attempt), left.encoded())


def finished_process():
    """Return a process that has ended, as it was while it lived."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    seen = replace(Process.current(), pid=child.pid)
    child.communicate(b"\n")
    return seen


def test_attempts_are_numbered_one_by_one_and_the_last_file_stays(run, output):
    numbers = []
    for _ in range(3):
        with hold(run, output, SHORT_S) as fence:
            numbers.append(fence.attempt)

    assert numbers == [1, 2, 3]
    assert list(attempts(output)) == [3]
    assert not holder_of(output).is_held


def test_a_failed_run_gives_its_lease_back(run, output):
    with pytest.raises(KeyboardInterrupt), hold(run, output, 3600):
        raise KeyboardInterrupt

    with hold(run, output, 3600) as fence:
        assert fence.attempt == 2


def test_the_notes_of_a_run_tell_where_its_lease_is(run, output):
    with hold(run, output, SHORT_S):
        note = json.loads(files.read_bytes(files.join(run.folder, "lease.json")))

    assert note == {"output": output, "attempt": 1}


def test_a_live_holder_is_named_and_not_disturbed(run, output):
    with hold(run, output, SHORT_S) as fence:
        me = Process.current()
        who = rf"attempt 1 \(run test, host {me.host}, process {me.pid}, since 20.* UTC\)"
        with pytest.raises(LeaseError, match=rf"is being written by {who}; wait until"):
            take(output, "second", 3600)

        fence.check()


def test_a_silent_holder_is_taken_over_after_its_own_lease_time(output, caplog):
    caplog.set_level(logging.WARNING)
    leave(output, holder())
    started = time.monotonic()

    taken = take(output, "second", 3600)

    assert taken.attempt == 2
    assert time.monotonic() - started >= SHORT_S
    assert "waiting up to 0.3 s for a sign of life" in caplog.messages[0]
    assert "attempt 1 (run their-run, host gpu-7, process 4711, since" in caplog.messages[1]
    assert "no sign of life for 0.3 s: taken over" in caplog.messages[1]


@pytest.mark.parametrize("year", [1971, 2999])
def test_the_clock_of_the_holder_does_not_matter(output, year):
    leave(output, replace(holder(), since=datetime(year, 1, 1, tzinfo=timezone.utc)))

    assert take(output, "second", SHORT_S).attempt == 2


def test_a_process_of_this_machine_that_has_ended_is_taken_over_at_once(output, caplog):
    dead = finished_process()
    leave(output, holder(process=dead, lease_s=3600))

    assert take(output, "second", SHORT_S).attempt == 2


def test_a_process_number_that_was_given_out_again_is_not_the_holder(output):
    later = replace(Process.current(), born="1")
    leave(output, holder(process=later, lease_s=3600))

    assert take(output, "second", SHORT_S).attempt == 2


@pytest.mark.parametrize(
    "process",
    [
        Process.current(),
        FAR,
        replace(Process.current(), pid=1, born=""),
        replace(finished_process(), place="another boot"),
        replace(finished_process(), place=""),
        replace(finished_process(), host="another-host"),
    ],
    ids=["this", "far", "hidden", "other boot", "unknown place", "other host"],
)
def test_a_process_is_gone_only_where_that_is_certain(process):
    assert not process.is_gone


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"attempt": "one"}'])
def test_a_damaged_lease_is_watched_like_a_holder(output, monkeypatch, data):
    monkeypatch.setattr(lease, "LEASE_S", SHORT_S)
    files.write(attempt_uri(output, 7), data)

    assert parse(data) is None
    assert take(output, "second", SHORT_S).attempt == 8


def test_files_of_others_in_the_folder_of_the_lease_are_left_alone(output):
    files.write(files.join(output, "_lease", "notes.txt"), b"mine")

    take(output, "first", SHORT_S)

    assert files.read_bytes(files.join(output, "_lease", "notes.txt")) == b"mine"


def test_who_was_taken_over_may_change_nothing_and_is_told_by_whom(run, output):
    with hold(run, output, 3600) as fence:
        leave(output, holder(attempt=2))

        with pytest.raises(
            LeaseError, match=r"taken over from attempt 1, .* by attempt 2 \(run their-run, host"
        ):
            fence.check()

    assert holder_of(output).process == FAR


def test_a_task_begins_only_while_the_fence_holds(output):
    engine = FencedEngine(LocalEngine(), Fence(output, 1))
    done = engine.each(lambda item: item, [1, 2, 3])
    first = next(done)
    leave(output, holder(attempt=2))

    with pytest.raises(LeaseError, match="taken over"):
        next(done)

    assert first == (0, 1)


def test_a_watcher_that_is_late_does_not_take_an_old_number(output):
    found, _ = latest(output)
    for attempt in (1, 2, 3):
        enter(output, holder(attempt=attempt))

    is_mine = enter(output, holder(attempt=found + 1))

    assert not is_mine
    assert latest(output)[0] == 3


@pytest.mark.slow
def test_of_many_that_come_at_once_one_holds_the_lease(output):
    leave(output, holder())
    taken, refused = [], []
    start = threading.Barrier(8)

    def come(number):
        start.wait()
        try:
            taken.append(take(output, f"run {number}", SHORT_S))
        except LeaseError as error:
            refused.append(error)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    valid = [each for each in taken if Fence(output, each.attempt).is_valid]
    assert len(valid) == 1
    assert len({each.attempt for each in taken}) == len(taken)
    assert len(taken) + len(refused) == 8


class Leases(RuleBasedStateMachine):
    """Processes that look, hesitate, enter, beat and release in any order."""

    looked = Bundle("looked")
    """What a process has seen; it may act on that much later."""
    held = Bundle("held")

    count = 0

    @initialize(kind=st.sampled_from(["local", "memory"]))
    def begin(self, kind):
        Leases.count += 1
        self.output = f"memory://leases/{id(self)}-{Leases.count}"
        if kind == "local":
            self.output = str(self.folder / str(Leases.count))
        self.holders = []

    @rule(target=looked)
    def look(self):
        return latest(self.output)[0]

    @rule(target=held, seen=looked)
    def go_in(self, seen):
        mine = holder(attempt=seen + 1)
        if enter(self.output, mine):
            assert all(mine.attempt > other.attempt for other in self.holders)
            self.holders.append(mine)
        return mine

    @rule(mine=held)
    def show_life(self, mine):
        uri = attempt_uri(self.output, mine.attempt)
        files.write(uri, replace(mine, beat=mine.beat + 1).encoded())

    @rule(mine=held)
    def give_back(self, mine):
        lease.release(Fence(self.output, mine.attempt), mine)

    @invariant()
    def at_most_one_is_valid(self):
        found = getattr(self, "holders", [])
        valid = [each for each in found if Fence(self.output, each.attempt).is_valid]
        assert len(valid) <= 1
        assert valid == found[-1:]


@pytest.mark.slow
def test_at_most_one_holder_is_valid_whatever_happens_in_between(tmp_path):
    class Here(Leases):
        folder = tmp_path

    machine = Here.TestCase
    machine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

    machine().runTest()
