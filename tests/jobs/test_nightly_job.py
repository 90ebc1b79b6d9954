import runpy
import sys

import pytest
import yaml

from pipeline.submit import Job


@pytest.fixture
def nightly(capfd, monkeypatch, tmp_path, raw_recipe):
    """Run `jobs.nightly` in this process: its exit code, its output, the lines of its errors."""

    def run(*arguments, **changes):
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(yaml.safe_dump(raw_recipe(**changes)))
        places = ("--workspace", tmp_path / "workspace", "--output", tmp_path / "output")
        words = ["nightly", recipe, *places, "--engine", "local", *arguments]
        monkeypatch.setattr(sys, "argv", [*map(str, words)])
        monkeypatch.delitem(sys.modules, "jobs.nightly", raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("jobs.nightly", run_name="__main__")
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err.splitlines()

    return run


def test_a_night_is_published_once(nightly, tmp_path):
    first = nightly("--night", "monday")
    again = nightly("--night", "monday")
    next_night = nightly("--night", "tuesday")

    assert [code for code, *_ in (first, again, next_night)] == [0, 0, 0]
    assert "night monday is published" in first[1]
    assert "night monday was published before" in again[1]
    assert "night tuesday: nothing new" in next_night[1]
    assert (tmp_path / "output" / "monday" / "manifest.json").exists()
    assert not (tmp_path / "output" / "tuesday").exists()


def test_a_night_that_a_gate_holds_back_ends_with_three_and_the_gate_in_the_last_line(nightly):
    code, _, err = nightly("--night", "monday", gates={"min_rows": 61})

    assert code == 3
    assert "night monday is held: the night has 60 rows, gates.min_rows asks for 61" in err[-1]
    assert 'winnow publish monday --override "REASON"' in err[-1]


@pytest.mark.parametrize("name", ["", "../up", "a b", ".hidden", "latest.json"])
def test_a_night_must_be_a_name_that_can_be_a_folder(nightly, name):
    code, _, err = nightly("--night", name)

    assert code == 2
    assert f"--night {name!r} must be letters, digits" in err[-1]


def test_submit_hands_the_night_on(raw_recipe, tmp_path, crawl):
    from pipeline.recipe import parse_recipe
    from pipeline.submit import Travel

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(raw_recipe()))
    job = Job(name="nightly", recipe=str(recipe), workspace="/w", output="/o", night="monday")

    command = job.command(parse_recipe(raw_recipe()), Travel(folder=tmp_path))

    assert command.entrypoint.endswith("--output /o --night monday")
