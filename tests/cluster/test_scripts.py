"""Shell scripts, the Dockerfile and the DAG."""

import ast
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from pipeline.cli import app

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
BIN = Path(sys.executable).parent
DOCKER = CLUSTER / "docker"
DAG = CLUSTER / "airflow" / "winnow_nightly.py"

KUBECTL = """#!/bin/sh
# stands in for kubectl: the cluster is a folder
echo "$@" >> "$CLUSTER/calls"
case "$1 $*" in
  create*) cat > "$CLUSTER/rayjob.yaml"; echo rayjob.ray.io/winnow-nightly-abc ;;
  *--selector*) [ ! -e "$CLUSTER/rayjob.yaml" ] || echo rayjob.ray.io/winnow-nightly-abc ;;
  *metadata.name*) head -n 1 "$CLUSTER/states"; sed -i 1d "$CLUSTER/states" ;;
  *jobStatus*) cat "$CLUSTER/ended" ;;
  *message*) echo "last words" ;;
esac
"""


def tool(name: str) -> str:
    found = BIN / name
    return str(found) if found.exists() else shutil.which(name) or pytest.skip(f"no {name} here")


@pytest.mark.parametrize(
    "script", sorted([*CLUSTER.rglob("*.sh"), *CLUSTER.rglob("*.sbatch")]), ids=lambda p: p.name
)
def test_shell_scripts_pass_shellcheck(script):
    done = subprocess.run([tool("shellcheck"), script], capture_output=True, text=True, check=False)

    assert done.stdout == ""
    assert done.returncode == 0


@pytest.fixture
def night(tmp_path):
    """Create a night on a stand-in for a cluster that passes through some states."""
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(KUBECTL)
    kubectl.chmod(stat.S_IRWXU)
    folder = CLUSTER / "kuberay" / "nightly"

    def run(states, ended):
        (tmp_path / "states").write_text("".join(f"{state}\n" for state in states))
        (tmp_path / "ended").write_text(ended)
        done = subprocess.run(
            ["sh", folder / "create_night.sh", folder / "rayjob.yaml"],
            env={
                "PATH": f"{kubectl.parent}:{os.environ['PATH']}",
                "CLUSTER": str(tmp_path),
                "NIGHT": "winnow-nightly-29384920",
                "POLL_S": "0",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        created = (tmp_path / "calls").read_text().count("create ")
        return done.returncode, created, done.stderr, (tmp_path / "rayjob.yaml").read_text()

    return run


RUNNING = [f"winnow-nightly-abc {state}" for state in ("", "Initializing", "Running")]
COMPLETE = [*RUNNING, "winnow-nightly-abc Complete"]


def test_a_night_is_created_with_its_name_and_waited_for(night):
    code, created, err, manifest = night(COMPLETE, "SUCCEEDED")

    assert (code, created) == (0, 1)
    assert "SUCCEEDED: last words" in err
    assert "    winnow/night: winnow-nightly-29384920\n" in manifest
    assert "NIGHT_OF_THE_CRONJOB" not in manifest


def test_a_night_is_created_once(night):
    night(COMPLETE, "SUCCEEDED")

    code, created, _, _ = night(COMPLETE, "SUCCEEDED")

    assert (code, created) == (0, 1)


@pytest.mark.parametrize("last", ["Failed", "ValidationFailed", "Complete"])
def test_a_night_that_failed_fails(night, last):
    code, _, err, _ = night([*RUNNING, f"winnow-nightly-abc {last}"], "FAILED")

    assert code == 1
    assert "FAILED: last words" in err


def test_a_night_that_was_deleted_fails(night):
    code, _, err, _ = night([*RUNNING], "")

    assert code == 1
    assert "was deleted before its end" in err


def test_the_dockerfile_passes_hadolint():
    done = subprocess.run(
        [tool("hadolint"), DOCKER / "Dockerfile"], capture_output=True, text=True, check=False
    )

    assert done.stdout == ""
    assert done.returncode == 0


def test_what_the_dockerfile_copies_exists_and_is_sent_to_the_builder():
    text = (DOCKER / "Dockerfile").read_text()
    copied = {word for line in re.findall(r"^COPY (.+)$", text, re.M) for word in line.split()[:-1]}
    sent = re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text(), re.M)

    assert copied == set(sent)
    assert all((ROOT / name).exists() for name in copied)
    assert set(re.findall(r"^FROM \S+ AS (\w+)$", text, re.M)) == {"base", "cpu", "gpu"}
    assert len(re.findall(r"^USER 1000:1000$", text, re.M)) == 2
    assert "pip install -c constraints.txt" in text


def test_the_slurm_script_uses_options_that_ray_has():
    from ray.scripts.scripts import start
    from ray.scripts.symmetric_run import symmetric_run

    text = (CLUSTER / "slurm" / "curate.sbatch").read_text().replace("\\\n", " ")
    (line,) = [line for line in text.splitlines() if "ray symmetric-run" in line]
    own, entrypoint = line.split("ray symmetric-run")[1].split(" -- ")
    known = {option for each in (start, symmetric_run) for p in each.params for option in p.opts}

    used = set(re.findall(r"--[\w-]+", own))

    assert used <= known
    assert entrypoint == 'python -m jobs.curate "$@"'


@pytest.fixture
def dag_command() -> list[str]:
    """The words of the DAG's task, read without Airflow."""
    tree = ast.parse(DAG.read_text())
    (command,) = [
        keyword.value.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "bash_command" and isinstance(keyword.value, ast.Constant)
    ]
    return shlex.split(re.sub(r"\{\{.*?\}\}", "VALUE", command))


def test_the_dag_runs_a_command_that_exists(dag_command):
    submit = typer.main.get_command(app).commands[dag_command[1]]
    known = {option for parameter in submit.params for option in parameter.opts}

    assert {word for word in dag_command if word.startswith("--")} <= known
    assert dag_command[:2] == ["VALUE", "submit"]
    assert dag_command[dag_command.index("--job") + 1] == "nightly"


@pytest.mark.slow
def test_airflow_imports_the_dag(tmp_path):
    python = os.environ.get("AIRFLOW_PYTHON", sys.executable)
    probe = [python, "-c", "import airflow.sdk, airflow.providers.standard"]
    env = os.environ | {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__UNIT_TEST_MODE": "True"}
    if subprocess.run(probe, capture_output=True, check=False, env=env).returncode:
        pytest.skip("Airflow is not installed: set AIRFLOW_PYTHON to an interpreter that has it")
    script = (
        f"import sys; sys.path.insert(0, {str(DAG.parent)!r})\n"
        "from winnow_nightly import dag\n"
        "print(dag.dag_id, dag.max_active_runs, dag.catchup, [t.task_id for t in dag.tasks])\n"
    )

    done = subprocess.run(
        [python, "-c", script], capture_output=True, text=True, check=False, env=env
    )

    assert done.stdout.splitlines()[-1:] == ["winnow_nightly 1 False ['submit']"], done.stderr
