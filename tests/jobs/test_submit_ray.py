"""Jobs on a real cluster of three nodes, by the lines of the README."""

import io
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

from pipeline.engine.ray_jobs import STOPPED, Command, JobServer
from pipeline.errors import ClusterError
from pipeline.handover import INTERRUPTED, hand_over
from pipeline.submit import Travel

pytestmark = [pytest.mark.slow, pytest.mark.ray]


@pytest.fixture
def server(job_server):
    return JobServer(job_server)


@pytest.fixture
def command(request):
    """A command under a key of its own."""

    def make(entrypoint, **runtime_env):
        key = re.sub(r"\W", "-", request.node.name)
        return Command(key=key, entrypoint=entrypoint, runtime_env=runtime_env, metadata={})

    return make


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


def content(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files of an output without the manifest, which names the run and its recipe."""
    return {name: data for name, data in files.items() if name != "manifest.json"}


def test_the_readmes_line_for_ray_curates_a_crawl(shell, curated, published_bytes):
    code, out, last = shell("ray job submit")

    assert code == 0, (out, last)
    assert content(published_bytes(shell.output)) == content(published_bytes(curated.output))


def test_the_readmes_line_for_winnow_runs_a_night_once(shell, curated, published_bytes):
    first = shell("winnow submit")
    second = shell("winnow submit")

    assert first[0] == second[0] == 0, first
    assert "submitted job winnow-curate-monday-" in first[1]
    assert "60 rows" in first[1]
    assert "has succeeded before and is not run again" in second[1]
    assert "60 rows" in second[1]
    assert content(published_bytes(shell.output)) == content(published_bytes(curated.output))


def test_a_night_that_a_gate_holds_back_keeps_its_code_and_the_gate_comes_last(shell):
    output = str(shell.output.parent / "nights")
    code, _, last = shell(
        "winnow submit", " --job nightly -- --set gates.min_rows=61", OUTPUT=output
    )

    assert code == 3
    assert "winnow-nightly-monday-" in last[0]
    assert "ended with exit code 3" in last[0]
    assert "gates.min_rows asks for 61" in last[0]


def test_a_failing_job_keeps_its_code_and_its_reason_comes_last(shell):
    code, _, last = shell("winnow submit", " -- --source /nowhere/*.tar")

    assert code == 2
    assert re.match(r"winnow \S+: job winnow-curate-monday-\S+ ended with exit code 2: ", last[0])
    assert "/nowhere does not exist: check the path" in last[0]


def test_a_submission_that_runs_is_joined_and_a_failed_one_tried_again(server, command, console):
    slow = command("echo begun; sleep 3; exit 7")

    with ThreadPoolExecutor(2) as both:
        submitted = list(both.map(lambda _: server.submit(slow), range(2)))
    joined = hand_over(console, server, slow, is_followed=True)
    again = server.submit(slow)

    assert {job.id for job in submitted} == {slow.key}
    assert sorted(job.is_new for job in submitted) == [False, True]
    assert joined[0] == slow.key
    assert joined[1].code == 7
    assert joined[1].reason == "begun"
    assert console.file.getvalue().count("begun\n") == 1
    assert (again.id, again.is_new) == (f"{slow.key}-2", True)


def test_a_job_that_is_killed_ends_as_a_shell_tells_it(server, command):
    job = server.submit(command("echo alive; kill -KILL $$"))

    ended = server.follow(job.id, lambda _: None)

    assert ended.code == 128 + signal.SIGKILL
    assert ended.reason == "alive"


class Impatient(io.StringIO):
    """Presses Ctrl-C as soon as the job writes."""

    def write(self, text: str) -> int:
        if "begun" in text:
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C interrupt: a shell lets processes in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_leaves_the_job_running_and_says_how_to_stop_it(server, command, ctrl_c):
    file = Impatient()
    long = command("echo begun; sleep 60")

    job_id, ended = hand_over(Console(file=file, width=300), server, long, is_followed=True)

    assert ended.code == INTERRUPTED
    assert not server.client.get_job_status(job_id).is_terminal()
    assert f"ray job stop --address {server.address} {job_id}" in file.getvalue()
    server.client.stop_job(job_id)
    assert server.follow(job_id, lambda _: None).code == STOPPED


def test_what_travels_is_the_code_and_the_recipe_alone(server, command, checkout):
    listing = command("find . -type f", **Travel(folder=checkout).runtime_env())
    written = io.StringIO()

    ended = server.follow(server.submit(listing).id, written.write)

    files = {line for line in written.getvalue().splitlines() if line.startswith("./")}
    here = {f"./{path.relative_to(checkout)}" for path in checkout.rglob("*") if path.is_file()}
    left = {path for path in here - files if "__pycache__" not in path}
    assert ended.code == 0
    assert {path.split("/")[-1] for path in left} == {"heavy.bin"}
    assert "./pipeline/embed/winnow_tiny/open_clip_model.safetensors" in files
    assert "./recipe.yaml" in files
    assert not any("heavy.bin" in path for path in files)


def test_a_variable_reaches_the_job(server, command):
    written = io.StringIO()
    said = command('echo "it is $GREETING"', env_vars={"GREETING": "moin"})

    server.follow(server.submit(said).id, written.write)

    assert "it is moin" in written.getvalue()


def test_a_job_that_cannot_start_tells_why(server, command, tmp_path):
    with pytest.raises(ClusterError, match=r"absent"):
        server.submit(command("true", working_dir=str(tmp_path / "absent")))


def test_no_job_server_is_an_error_of_ours():
    with pytest.raises(ClusterError, match=r"job server http://127.0.0.1:9 must take the job"):
        JobServer("http://127.0.0.1:9")


def test_a_variable_that_ray_puts_first_is_an_error(job_server, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "other:6379")

    with pytest.raises(ClusterError, match="RAY_ADDRESS=other:6379"):
        JobServer(job_server)
