"""The fuzzer can fail: it sees a crash, a hang, a death and a forbidden act."""

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from jobs.fuzz import mutation, seeds
from jobs.fuzz.__main__ import guidance, shares
from jobs.fuzz.parent import Result, run
from jobs.fuzz.worker import place_of

ROOT = Path(__file__).parents[2]
ACTS = {
    "a write outside": "open('/tmp/winnow-outside', 'w').close()",
    "a command": "import subprocess; subprocess.Popen(['true'])",
    "a shell": "import os; os.system('true')",
    "a pickle": "import pickle; pickle.loads(pickle.dumps(print))",
    "a connection": "import socket; socket.create_connection(('127.0.0.1', 9), 1)",
    "a program": "exec('1 + 1')",
    "a folder": "import os; os.mkdir('/tmp/winnow-outside-folder')",
}


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_a_forbidden_act_is_seen(tmp_path, act):
    script = f"""
from pathlib import Path
from jobs.fuzz.watch import Watch
watch = Watch(Path({str(tmp_path)!r}))
def reader():
    {act}
reader_code = compile("reader()", __file__ if "__file__" in globals() else "/etc/hosts", "eval")
(Path({str(tmp_path)!r}) / "inside").write_text("x")
watch.is_on = True
(Path({str(tmp_path)!r}) / "inside").write_text("y")
assert not watch.seen, watch.seen
try:
    reader()
except OSError:
    pass
watch.is_on = False
print(len(watch.seen))
"""
    (tmp_path / "script.py").write_text(script)

    ended = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    Path("/tmp/winnow-outside").unlink(missing_ok=True)
    if Path("/tmp/winnow-outside-folder").is_dir():
        Path("/tmp/winnow-outside-folder").rmdir()
    assert int(ended.stdout) > 0


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Make a worker whose only reader does `act` at its fifth input."""

    def make(act, inputs=20):
        package = tmp_path / "jobs" / "fuzz"
        package.mkdir(parents=True)
        for file in (ROOT / "jobs" / "fuzz").glob("*.py"):
            (package / file.name).write_text(file.read_text())
        (package / "readers.py").write_text(
            "import os, time\n"
            "from types import SimpleNamespace\n"
            "from jobs.fuzz.mutation import words\n"
            "count = 0\n"
            "def call(path):\n"
            "    global count\n"
            "    count += 1\n"
            f"    if count == 5:\n        {act}\n"
            "odd = SimpleNamespace(file='x', seeds=(b'a b',), call=call, shape=words)\n"
            "READERS = {'odd': odd}\n"
        )
        (tmp_path / "pipeline").mkdir()
        (tmp_path / "pipeline" / "__init__.py").write_text("")
        (tmp_path / "pipeline" / "errors.py").write_text("class CurationError(Exception): ...\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        return run(tmp_path / "work", "plain", "0", {"odd": inputs})[0]

    return make


@pytest.mark.slow
def test_an_exception_that_must_not_leave_a_reader_is_a_crash(broken):
    result = broken("raise KeyError('x')")

    assert (result.inputs, len(result.crashes), result.hangs) == (20, 1, [])
    assert "KeyError" in result.findings()[0]


@pytest.mark.slow
def test_the_death_of_the_process_is_a_crash_and_the_rest_is_fed(broken):
    result = broken("os.abort()", inputs=6)

    assert result.inputs == 6
    assert next(iter(result.crashes)).startswith("the process died with -6")
    assert Path(next(iter(result.crashes.values()))).is_file()


@pytest.mark.slow
def test_an_input_that_takes_too_long_is_a_hang(broken, monkeypatch):
    monkeypatch.setattr("jobs.fuzz.parent.HANG_S", 1.0)

    result = broken("exec('while True: pass')", inputs=6)

    assert result.hangs
    assert result.inputs == 6


def test_the_same_state_makes_the_same_input():
    valid = seeds.tars()

    one, other = (mutation.mutated(valid[0], Random("7"), valid, mutation.tar) for _ in range(2))

    assert one == other


@pytest.mark.parametrize(
    ("shape", "data"),
    [
        (mutation.tar, seeds.tars()[0]),
        (mutation.png, seeds.picture("PNG")),
        (mutation.safetensors, seeds.states()[0]),
        (mutation.npy, seeds.arrays()[0]),
        (mutation.words, b"a: b, c"),
    ],
)
def test_a_change_that_knows_the_format_takes_any_bytes(shape, data):
    for number in range(200):
        random = Random(number)
        cut = data[: random.randint(0, len(data))]

        assert isinstance(shape(random.choice((data, cut, b"")), random), bytes)


def test_inputs_are_shared_by_weight_and_none_is_lost_in_rounding():
    assert shares(100, {"a": 3, "b": 1}) == {"a": 75, "b": 25}
    assert shares(100, {"a": 1, "b": 1, "c": 1}) == {"a": 34, "b": 34, "c": 34}


def test_without_atheris_nothing_is_guided_and_it_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "atheris", None)

    assert guidance(0.3) == 0.0
    assert "atheris is not installed" in capsys.readouterr().out


def test_a_result_with_a_finding_says_it():
    result = Result("tar", "plain", crashes={"KeyError at x": "file"}, writes=["open ('/x')"])

    assert result.findings() == ["crash: KeyError at x (file)", "forbidden: open ('/x')"]


def test_a_crash_is_named_by_its_place():
    with pytest.raises(KeyError) as caught:
        {}["x"]

    assert place_of(caught.value).startswith("KeyError at ")
