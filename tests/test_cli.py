import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow.dataset as ds
import pytest
import yaml

from pipeline import cli, progress, show
from pipeline.shards import files


@pytest.fixture
def winnow(capfd, monkeypatch):
    """Run a command in this process: its exit code, what it printed, what it complained of."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["winnow", *map(str, arguments)])
        monkeypatch.setattr(cli, "console", cli.Terminal(width=200))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def recipe_file(tmp_path, raw_recipe):
    def write(**changes):
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(raw_recipe(**changes)))
        return path

    return write


@pytest.fixture
def places(tmp_path):
    return ("--workspace", str(tmp_path / "workspace"), "--output", str(tmp_path / "output"))


@pytest.fixture
def finished(tmp_path, curated):
    """The workspace and the output of a finished run."""
    return curated.workspace, curated.output


LOCAL = ("--engine", "local")


@pytest.mark.slow
def test_run_publishes_and_prints_the_counts(winnow, recipe_file, places, tmp_path):
    code, out, _ = winnow("run", recipe_file(), *places, *LOCAL)

    assert code == 0
    assert "60 rows" in out
    assert "53" in out
    assert "88.3%" in out
    assert str(tmp_path / "output") in out
    assert (tmp_path / "output" / "manifest.json").exists()


@pytest.mark.slow
def test_a_second_run_embeds_nothing(winnow, recipe_file, places, tmp_path):
    winnow("run", recipe_file(), *places, *LOCAL)
    vectors = list((tmp_path / "workspace" / "steps").glob("embed-*/*.parquet"))
    before = {path: path.stat().st_mtime_ns for path in vectors}

    code, _, _ = winnow("run", recipe_file(), *places, *LOCAL)

    vectors = list((tmp_path / "workspace" / "steps").glob("embed-*/*.parquet"))
    assert code == 0
    assert {path: path.stat().st_mtime_ns for path in vectors} == before
    assert len(before) == 9


@pytest.mark.slow
def test_options_and_settings_go_before_the_recipe(
    winnow, recipe_file, places, tmp_path, make_crawl
):
    crawl = make_crawl(tmp_path, num_shards=1, num_rows=12)
    options = ("--source", crawl.folder, "--classes", crawl.classes)
    settings = ("--set", "pack.shard_rows=4", "--set", "source.caption=null")

    code, out, _ = winnow("run", recipe_file(), *places, *LOCAL, *options, *settings)

    sizes = json.loads((tmp_path / "output" / "sizes.json").read_bytes())
    assert code == 0
    assert "12 rows" in out
    assert list(sizes.values()) == [4, 3, 3]


@pytest.mark.slow
def test_a_run_elsewhere_than_on_a_terminal_logs_json(winnow, recipe_file, places):
    _, _, err = winnow("run", recipe_file(), *places, *LOCAL)

    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    steps = [line["step"] for line in lines if line["state"] == "done"]
    assert steps[:2] == ["index", "embed"]
    assert steps[-1] == "pack"
    assert all(line["done"] == line["total"] for line in lines if line["state"] == "done")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"polcy": "x"}, "unknown key 'polcy'; did you mean 'policy'"),
        ({"classes": "/nowhere.csv"}, "/nowhere.csv does not exist; set `classes`"),
        ({"source": {"path": "/nowhere/*.tar"}}, "/nowhere does not exist: check the path"),
        ({"source": {}}, "no source.path; set it there or give --source"),
        ({"encoder": {"model": "RN50"}}, "'RN50' has no weights: set encoder.pretrained"),
    ],
)
def test_an_error_is_one_line_that_names_value_and_remedy(
    winnow, recipe_file, places, changes, says
):
    for command in (("run", *LOCAL), ("plan",)):
        code, out, err = winnow(command[0], recipe_file(**changes), *places, *command[1:])
        complaints = [line for line in err.splitlines() if not line.startswith("{")]

        assert (code, out) == (2, "")
        assert len(complaints) == 1
        assert complaints[0].startswith("winnow ")
        assert says in complaints[0]
        assert "Traceback" not in err


def test_a_message_with_brackets_is_printed_as_it_is(winnow, tmp_path, places):
    name = tmp_path / "[red]x[/red].yaml"

    code, _, err = winnow("run", name, *places, *LOCAL)

    assert code == 2
    assert str(name) in err


def test_a_missing_recipe_is_an_error(winnow, places):
    code, _, err = winnow("plan", "nowhere.yaml", *places)

    assert code == 2
    assert "nowhere.yaml cannot be read: No such file" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "r.yaml", "--engine", "dask"),
        ("run", "r.yaml", "--set", "pack.shard_rows"),
        ("run", "r.yaml", "--nonsense"),
        ("rum",),
    ],
)
def test_a_wrong_option_is_a_usage_error(winnow, places, arguments, recipe_file):
    given = [str(recipe_file()) if part == "r.yaml" else part for part in arguments]

    code, _, err = winnow(*given, *(places if len(given) > 1 else ()))

    assert code == 2
    assert "Traceback" not in err
    assert "Usage" in err


@pytest.mark.parametrize(
    "setting",
    ["pack.shard_rows=many", "nonsense=1", "pack.shard_rows=[1", "policy.name.x=1", "cleaners.x=1"],
)
def test_a_wrong_setting_is_an_error_of_the_recipe(winnow, recipe_file, places, setting):
    code, _, err = winnow("plan", recipe_file(), *places, "--set", setting)

    assert code == 2
    assert setting.split(".", maxsplit=1)[0].split("=")[0] in err


def test_a_setting_is_read_as_yaml():
    read = cli.overrides(None, None, None, ["a=3", "b=null", "c=[x, y]", "d=a=b", "e="])

    assert read == {"a": 3, "b": None, "c": ["x", "y"], "d": "a=b", "e": None}


def test_options_become_keys_of_the_recipe():
    read = cli.overrides("s.tar", "c.csv", "strict", ["source.path=t.tar"])

    assert read == {"source.path": "t.tar", "classes": "c.csv", "policy": "strict"}
    assert cli.overrides(None, None, None, None) == {}


def files_below(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in Path(folder).rglob("*")}


def test_plan_says_what_a_run_would_do_and_writes_nothing(
    winnow, recipe_file, places, tmp_path, crawl
):
    path = recipe_file()
    before, shards = files_below(tmp_path), files_below(crawl.folder)

    code, out, _ = winnow("plan", path, *places)

    assert code == 0
    assert "about " in out
    assert "1 truncated-image" in out
    assert "1 not-an-image" in out
    assert files_below(tmp_path) == before
    assert files_below(crawl.folder) == shards


def test_plan_knows_what_is_done_already(winnow, recipe_file, finished):
    workspace, output = finished
    before = files_below(workspace)

    code, out, _ = winnow("plan", recipe_file(), "--workspace", workspace, "--output", output)

    cells = {line.split("│")[1].strip(): line.split("│")[2].strip()
             for line in out.splitlines() if line.startswith("│")}  # fmt: skip
    assert code == 0
    assert cells["rows"] == "60"
    assert cells["fragments"] == "9"
    assert cells["embedded already"] == "9 fragments"
    assert files_below(workspace) == before


def test_plan_refuses_an_output_of_somebody_else(winnow, recipe_file, places, tmp_path):
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "thesis.docx").write_bytes(b"precious")

    code, _, err = winnow("plan", recipe_file(), *places)

    assert code == 2
    assert "thesis.docx" in err


def test_plan_refuses_a_crawl_of_which_nothing_can_be_used(
    winnow, recipe_file, places, tmp_path, make_tar_file, make_picture
):
    samples = {f"{n}": {"jpg": make_picture(n)} for n in range(3)}
    make_tar_file(tmp_path / "mute" / "00000.tar", samples)

    code, _, err = winnow("plan", recipe_file(), *places, "--source", tmp_path / "mute")

    assert code == 2
    assert "all of the first 3 rows" in err
    assert "missing-text" in err
    assert "set source.caption to null" in err


def test_plan_refuses_a_shard_that_is_none_and_tells_of_one_among_others(
    winnow, recipe_file, places, tmp_path, make_tar_file, make_picture
):
    crawl = tmp_path / "torn"
    crawl.mkdir()
    (crawl / "00000.tar").write_bytes(b"\x01" * 2048)

    code, _, err = winnow("plan", recipe_file(), *places, "--source", crawl)

    assert code == 2
    assert f"{crawl}/00000.tar has no samples: the file is not of the format" in err

    make_tar_file(crawl / "00001.tar", {"a": {"jpg": make_picture(0), "txt": b"an oak"}})

    code, out, _ = winnow("plan", recipe_file(), *places, "--source", crawl)

    assert code == 0
    assert "unreadable-shard" in out


def test_plan_refuses_labels_that_are_mostly_no_class(winnow, recipe_file, places, tmp_path):
    classes = tmp_path / "few.csv"
    classes.write_text("name\noak\n")

    code, _, err = winnow("plan", recipe_file(), *places, "--classes", classes)

    assert code == 2
    assert "have no label that is a class" in err
    assert "'label'" in err


def test_plan_tells_labels_of_no_class(winnow, recipe_file, places, tmp_path):
    classes = tmp_path / "few.csv"
    classes.write_text("name\noak\nred panda\n")

    code, out, _ = winnow("plan", recipe_file(), *places, "--classes", classes)

    (line,) = [line for line in out.splitlines() if "labels of no class" in line]
    assert code == 0
    assert int(line.split("│")[2]) > 2


def test_status_tells_the_steps_of_a_run(winnow, finished):
    workspace, _ = finished

    code, out, _ = winnow("status", workspace)

    rows = [[cell.strip() for cell in line.split("│")[2:7]] for line in out.splitlines()]
    found = {row[0]: row[1:] for row in rows if len(row) > 3}
    assert code == 0
    assert found["embed"] == ["done", "60", "9", *found["embed"][3:]]
    assert found["pack"][0] == "done"


def test_status_of_a_killed_run_says_running(winnow, tmp_path, recipe, crawl):
    from contextlib import contextmanager

    from pipeline.curate import curate
    from pipeline.engine.local import LocalEngine

    @contextmanager
    def fatal(name, total):
        def advance(rows):
            if name == "embed":
                raise KeyboardInterrupt

        yield advance

    with pytest.raises(KeyboardInterrupt):
        curate(recipe, str(tmp_path / "w"), str(tmp_path / "o"), LocalEngine(), fatal)

    code, out, _ = winnow("status", tmp_path / "w")

    (line,) = [line for line in out.splitlines() if " embed " in line]
    assert code == 0
    assert "running" in line


def test_status_of_a_step_under_way_tells_its_pace_by_what_was_committed():
    half_a_minute_ago = (datetime.now(timezone.utc) - timedelta(seconds=30)).isoformat()
    note = {"state": "running", "since": half_a_minute_ago, "rows": 1000, "reused": 100}
    done = {f"0a1b-{start:09d}-00100" for start in range(0, 400, 100)}

    (rate, _, left, _) = show.pace(note, done).split()

    assert rate == "10"
    assert left in {"0:01:00", "0:01:01"}


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "done"},
        {"reused": 400},
        {"since": "2026-11-20T10:00:00"},
        {"since": "9999-01-01T00:00:00+00:00"},
        {"since": 7},
        {"rows": "many"},
        {"rows": 10**30},
        {"reused": None},
    ],
    ids=str,
)
def test_status_tells_no_pace_where_there_is_none(changes):
    note = {"state": "running", "since": "2026-11-20T10:00:00+00:00", "rows": 1000, "reused": 100}
    done = {f"0a1b-{start:09d}-00100" for start in range(0, 400, 100)}

    assert show.pace(note, done)
    assert show.pace(note | changes, done) == ""


def test_a_step_notes_when_it_began_and_what_was_there(run):
    with run.step("score x", 10, "u") as advance:
        advance(4)
        note = show.parse_note(files.read_bytes(files.join(run.folder, "score x.json")))
        advance(6)

    assert datetime.fromisoformat(note.pop("since")) <= datetime.now(timezone.utc)
    assert note == {"rows": 10, "uri": "u", "state": "running", "reused": 4}


def test_status_of_no_workspace_is_an_error(winnow, tmp_path):
    code, _, err = winnow("status", tmp_path / "nowhere")

    assert code == 2
    assert "holds no run; is the path right?" in err


def test_report_tells_the_counts_and_where_the_page_is(winnow, finished):
    _, output = finished

    code, out, _ = winnow("report", output)

    assert code == 0
    assert "60 rows" in out
    assert str(output / "report.html") in out


def test_report_of_nothing_published_is_an_error(winnow, tmp_path):
    code, _, err = winnow("report", tmp_path)

    assert code == 2
    assert "nothing is published there yet" in err


@pytest.mark.parametrize("damaged", [b"", b"[1]", b'{"rows": 3}', b"\xff{"])
def test_report_of_a_damaged_manifest_is_an_error(winnow, tmp_path, damaged):
    (tmp_path / "manifest.json").write_bytes(damaged)

    code, _, err = winnow("report", tmp_path)

    assert code == 2
    assert "is damaged; run the recipe again" in err


def test_check_is_content_with_an_output_of_ours(winnow, finished):
    _, output = finished

    code, out, _ = winnow("check", output)

    assert code == 0
    assert "53 samples, 0 problems" in out


def test_check_ends_with_one_where_there_is_a_problem(winnow, finished):
    _, output = finished

    code, out, _ = winnow("check", output, "--workers", "8", "--world-size", "4")

    assert code == 1
    assert "too-few-shards" in out


def test_check_of_no_shards_is_an_error(winnow, tmp_path):
    code, _, err = winnow("check", tmp_path)

    assert code == 2
    assert "must hold tars, got none" in err


def test_without_a_command_there_is_help(winnow):
    _, out, err = winnow()

    for command in ("demo", "plan", "run", "status", "report", "check"):
        assert command in out + err


@pytest.mark.slow
def test_the_installed_command_prints_an_error_in_one_line(tmp_path):
    missing = tmp_path / ("a rather long name " * 5 + "recipe.yaml")
    arguments = ["plan", str(missing), "--workspace", "w", "--output", "o"]

    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments]
        if not Path(sys.executable).with_name("winnow").exists()
        else [str(Path(sys.executable).with_name("winnow")), *arguments],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
    )

    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "No such file" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_command_that_embeds_nothing_does_not_load_the_encoder_nor_the_engine():
    code = (
        "import sys, pipeline.cli\n"
        "from pipeline.recipe import parse_recipe\n"
        "from pipeline.embed.spec import identity\n"
        "identity(parse_recipe({}).encoder)\n"
        "heavy = {'open_clip', 'torch', 'torchvision', 'transformers', 'ray.data'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_the_ledger_of_an_output_is_read_with_any_parquet_reader(finished):
    _, output = finished

    assert ds.dataset(str(output / "ledger")).count_rows() == 60


def test_progress_is_a_bar_on_a_terminal_only(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert progress.track() is progress.bar

    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert progress.track() is progress.log


def test_a_bar_counts_rows(capfd):
    with progress.bar("embed", 10) as advance:
        advance(4)
        advance(6)

    assert "10/10" in capfd.readouterr().err


def test_a_log_tells_start_and_end_and_nothing_in_between(capfd):
    with progress.log("embed", 10) as advance:
        advance(0)
        advance(10)

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["state"], line["done"]) for line in lines] == [("start", 0), ("done", 10)]


def test_a_long_step_logs_in_between(capfd, monkeypatch):
    monkeypatch.setattr(progress, "LOG_EVERY_S", 0.0)

    with progress.log("embed", 100) as advance:
        advance(40)
        advance(60)

    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["state"], line["done"]) for line in lines] == [
        ("start", 0),
        ("running", 40),
        ("running", 100),
        ("done", 100),
    ]


def test_a_dry_run_decides_and_writes_no_output(winnow, recipe_file, places):
    output = Path(places[places.index("--output") + 1])

    code, dry, _ = winnow("run", recipe_file(), *places, "--engine", "local", "--dry-run")
    assert code == 0
    assert not output.exists()

    _, real, _ = winnow("run", recipe_file(), *places, "--engine", "local")
    told = [
        line.split("output")[-1].split("  (")[0]
        for line in real.splitlines()
        if "shards of" in line
    ]
    (shards,) = [part.split(", ")[-1] for part in told]
    assert shards in dry
    assert "dry run, not written" in dry
