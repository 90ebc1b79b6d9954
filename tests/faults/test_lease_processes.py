"""Real processes that want one output: stopped, killed, continued, and started twice."""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.store.lease import hold
from tests.conftest import published

SHORT_S = 0.3


@dataclass(frozen=True)
class Night:
    """A recipe that two processes run, and the output that it has undisturbed."""

    recipe: Path
    expected: dict[str, bytes]


@pytest.fixture(scope="module")
def night(tmp_path_factory, raw_recipe, curated):
    recipe = tmp_path_factory.mktemp("night") / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(raw_recipe()))
    return Night(recipe, published(curated.output))


@pytest.mark.slow
def test_a_run_refuses_an_output_that_a_live_process_writes(run, night, started, tmp_path):
    with hold(run, str(tmp_path / "output"), SHORT_S):
        code = (driver := started.run(night.recipe, tmp_path / "w", tmp_path / "output")).wait()

    assert code == 2
    assert "is being written by attempt 1 (run test, host " in driver.said()
    assert "wait until it has ended, or stop it, then run again" in driver.said()
    assert [path.name for path in (tmp_path / "output").iterdir()] == ["_lease"]


@pytest.mark.slow
@pytest.mark.parametrize("workspaces", [("w", "w"), ("w", "v")], ids=["one", "two"])
def test_of_two_runs_at_the_same_time_one_publishes(night, started, tmp_path, workspaces):
    output = tmp_path / "output"
    both = [started.run(night.recipe, tmp_path / name, output) for name in workspaces]

    codes = sorted(driver.wait() for driver in both)

    assert codes in ([0, 2], [0, 0]), [driver.said() for driver in both]
    assert published(output) == night.expected


STOPPED_AT = {
    "embed": "w/steps/embed-*/*-00007.parquet",
    "decide": "w/steps/decide-*/*-00007.parquet",
    "pack": "output/00001_stats.json",
    "ledger": "output/ledger/*.parquet",
}


@pytest.mark.slow
@pytest.mark.parametrize("step", STOPPED_AT)
def test_who_wakes_up_after_a_takeover_refuses_to_publish(night, started, tmp_path, step):
    output = tmp_path / "output"
    options = ("--lease", "1")
    sleeper = started.run(night.recipe, tmp_path / "w", output, *options)
    assert sleeper.wait_for(lambda: any(tmp_path.glob(STOPPED_AT[step])))
    sleeper.send(signal.SIGSTOP)
    was_published = (output / "manifest.json").exists()

    second = started.run(night.recipe, tmp_path / "w", output, *options)
    code = second.wait()
    manifest = (output / "manifest.json").stat()
    sleeper.send(signal.SIGCONT)
    late = sleeper.wait()

    assert not was_published
    assert (code, late) == (0, 2), second.said() + sleeper.said()
    assert "no sign of life for 1 s: taken over" in second.said()
    assert "was taken over from attempt 1" in sleeper.said()
    assert "this run stops without publishing" in sleeper.said()
    assert (output / "manifest.json").stat() == manifest
    assert published(output) == night.expected


@pytest.mark.slow
def test_a_dead_run_is_taken_over_at_once(night, started, tmp_path):
    output = tmp_path / "output"
    first = started.run(night.recipe, tmp_path / "w", output, "--lease", "3600")
    assert first.wait_for(lambda: any(tmp_path.glob(STOPPED_AT["embed"])))
    first.kill()

    second = started.run(night.recipe, tmp_path / "w", output)
    code = second.wait()

    assert code == 0, second.said()
    assert "reused: 3 of 3 shards indexed" in second.said()
    assert published(output) == night.expected


@pytest.mark.slow
def test_who_wakes_up_after_another_recipe_was_published_leaves_it_alone(
    night, started, tmp_path, raw_recipe
):
    output, workspace = tmp_path / "output", tmp_path / "w"
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(raw_recipe(pack={"shard_rows": 9, "seed": 5})))
    sleeper = started.run(night.recipe, workspace, output, "--lease", "1")
    assert sleeper.wait_for((output / "00001_stats.json").exists)
    sleeper.send(signal.SIGSTOP)
    assert started.run(other, workspace, output).wait() == 0
    made = published(output)

    sleeper.send(signal.SIGCONT)
    late = sleeper.wait()
    assert started.run(other, tmp_path / "v", tmp_path / "fresh").wait() == 0

    assert late == 2
    assert published(output) == made == published(tmp_path / "fresh")


@pytest.mark.slow
def test_status_tells_who_holds_the_lease_while_a_run_goes_on(night, started, tmp_path):
    output, workspace = tmp_path / "output", tmp_path / "w"
    driver = started.run(night.recipe, workspace, output)
    assert driver.wait_for(lambda: any(tmp_path.glob(STOPPED_AT["embed"])))

    driver.send(signal.SIGSTOP)
    during = CliRunner().invoke(app, ["status", str(workspace)]).output
    driver.kill()
    after = CliRunner().invoke(app, ["status", str(workspace)]).output

    pid = driver.process.pid
    assert re.search(
        rf"attempt 1 \(run \w+, host .*, process {pid}, since .*holds the lease", during
    )
    assert re.search(rf"attempt 1 \(run \w+, host .*, process {pid}, since .* has died", after)
