import shlex
from pathlib import Path

import pytest

from pipeline.engine.ray_jobs import cluster_errors
from pipeline.errors import ClusterError, RecipeError
from pipeline.recipe import parse_recipe
from pipeline.submit import Job, Travel


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "web.yaml").write_text("classes: classes.csv\n")
    (tmp_path / "classes.csv").write_text("name\noak\n")
    return tmp_path


@pytest.fixture
def make(folder):
    """Describe a job of the recipe with some changes, in a folder that travels."""

    def command(travel=None, classes="classes.csv", **changes):
        wanted = {
            "name": "curate",
            "recipe": str(folder / "recipes" / "web.yaml"),
            "workspace": "s3://work/w",
            "output": "s3://clean/o",
            "night": "monday",
        }
        job = Job(**(wanted | changes))
        return job.command(parse_recipe({"classes": classes}), travel or Travel(folder=folder))

    return command


def test_the_job_runs_in_the_folder_that_travels(make):
    command = make(more=["--set", "source.path=s3://crawl/{0..9}.tar"])

    assert shlex.split(command.entrypoint) == [
        *("python", "-m", "jobs.curate", "recipes/web.yaml"),
        *("--workspace", "s3://work/w", "--output", "s3://clean/o"),
        *("--set", "source.path=s3://crawl/{0..9}.tar"),
    ]


def test_the_same_submission_has_the_same_key(make):
    assert make().key == make().key


@pytest.mark.parametrize(
    "changes",
    [
        {"night": "tuesday"},
        {"name": "nightly"},
        {"workspace": "s3://work/v"},
        {"output": "s3://clean/p"},
        {"more": ["--policy", "strict"]},
        {"classes": "recipes/web.yaml"},
    ],
)
def test_another_submission_has_another_key(make, changes):
    assert make(**changes).key != make().key


def test_the_key_says_what_runs_and_when(make):
    assert make(name="nightly").key.startswith("winnow-nightly-monday-")


def test_a_night_without_a_name_is_today(make):
    key = make(night=None).key

    assert key.removeprefix("winnow-curate-")[:2] == "20"
    assert key.count("-") == 5


def test_only_a_nightly_job_is_told_its_night(make):
    assert "--night monday" in make(name="nightly").entrypoint
    assert "--night" not in make().entrypoint


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "curat"}, "--job 'curat' must be one of curate, nightly, embed; did you mean"),
        ({"output": None}, "--output must be given for job curate"),
        ({"name": "embed"}, "--output must not be given for job embed"),
        ({"workspace": "w"}, "--workspace w must be a URL or an absolute path"),
        ({"output": "../o"}, "--output ../o must be a URL or an absolute path"),
        ({"night": "a b"}, "--night 'a b' must be letters"),
        ({"recipe": "/etc/hostname"}, "recipe /etc/hostname must be a file inside"),
        ({"classes": "../c.csv"}, "must be a file inside"),
        ({"classes": "none.csv"}, "none.csv must be a file inside"),
    ],
)
def test_what_no_cluster_can_run_is_refused(make, changes, says):
    with pytest.raises(RecipeError, match=r".") as refused:
        make(**changes)

    assert says in str(refused.value)


def test_classes_in_a_store_need_not_travel(make):
    assert make(classes="s3://work/classes.csv").entrypoint
    assert make(classes="/etc/winnow/classes.csv").entrypoint


def test_variables_travel_by_name(make, folder, monkeypatch):
    monkeypatch.setenv("STORE_TOKEN", "geheim")

    command = make(Travel(folder=folder, variables=["STORE_TOKEN"], requirements=["s3fs"]))

    assert command.runtime_env["env_vars"] == {"STORE_TOKEN": "geheim"}
    assert command.runtime_env["pip"] == ["s3fs"]
    assert "geheim" not in command.entrypoint
    assert "geheim" not in repr(command)


def test_a_variable_that_is_not_set_is_an_error(make, folder):
    with pytest.raises(RecipeError, match="--env NOT_SET_HERE must name a variable"):
        make(Travel(folder=folder, variables=["NOT_SET_HERE"]))


def test_an_error_of_the_cluster_never_shows_a_variable():
    with pytest.raises(ClusterError) as raised, cluster_errors("http://head:8265", ["geheim"]):
        raise RuntimeError("status 500: env_vars {'STORE_TOKEN': 'geheim'} refused")

    assert "geheim" not in str(raised.value)
    assert "refused" in str(raised.value)
