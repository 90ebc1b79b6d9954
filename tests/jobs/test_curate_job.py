import runpy
import sys

import pytest
import yaml


@pytest.fixture
def job(capfd, monkeypatch):
    """Run a job's module in this process: its exit code, its output, the lines of its errors."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        monkeypatch.delitem(sys.modules, f"jobs.{name}", raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(f"jobs.{name}", run_name="__main__")
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err.splitlines()

    return run


@pytest.fixture
def recipe_file(tmp_path, raw_recipe):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw_recipe()))
    return path


@pytest.fixture
def places(tmp_path):
    return ("--workspace", tmp_path / "workspace", "--output", tmp_path / "output")


LOCAL = ("--engine", "local")


@pytest.mark.slow
def test_curate_is_the_run_command(job, recipe_file, places, curated, published_bytes):
    code, out, _ = job("curate", recipe_file, *places, *LOCAL)

    assert code == 0
    assert "60 rows" in out
    assert published_bytes(places[3]) == published_bytes(curated.output)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--source", "/nowhere/*.tar", *LOCAL), "/nowhere does not exist"),
        (("--engine", "dask"), "engine 'dask' must be ray or local"),
        (("--address", "ray://head:10001"), "winnow submit --address http://HEAD:8265"),
        (("--address", "http://head:8265"), "winnow submit --address http://HEAD:8265"),
    ],
)
def test_a_failing_job_ends_with_two_and_the_reason_as_its_last_line(
    job, recipe_file, places, arguments, reason
):
    code, _, err = job("curate", recipe_file, *places, *arguments)

    assert code == 2
    assert reason in err[-1]


def test_curate_needs_a_recipe(job, places):
    code, _, err = job("curate", *places)

    assert code == 2
    assert "Missing argument" in err[-1]


@pytest.mark.slow
def test_curate_finds_what_embed_has_committed(job, recipe_file, places, curated, published_bytes):
    embedded = job("embed", recipe_file, *places[:2], *LOCAL)
    steps = list((places[1] / "steps").glob("embed-*/*.parquet"))
    written = {path: path.stat().st_mtime_ns for path in steps}

    code, _, _ = job("curate", recipe_file, *places, *LOCAL)

    assert (embedded[0], code) == (0, 0)
    assert '"rows": 60' in embedded[1]
    assert len(written) == 9
    assert {path: path.stat().st_mtime_ns for path in steps} == written
    assert published_bytes(places[3]) == published_bytes(curated.output)


@pytest.mark.slow
def test_embed_publishes_nothing(job, recipe_file, places, tmp_path):
    job("embed", recipe_file, *places[:2], *LOCAL)

    assert {path.name for path in tmp_path.iterdir()} == {"recipe.yaml", "workspace"}
    assert not list((tmp_path / "workspace").glob("steps/label-*"))


def test_report_prints_what_was_published(job, curated):
    code, out, _ = job("report", curated.output)

    assert code == 0
    assert "60 rows" in out


def test_report_of_nothing_is_an_error(job, tmp_path):
    code, _, err = job("report", tmp_path)

    assert code == 2
    assert "nothing is published there yet" in err[-1]
