"""A Ray cluster of three nodes with its job server, and a checkout to send jobs from."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
README = ROOT / "cluster" / "README.md"
NODES = 3
PLASMA_BYTES = 100 * 2**20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def job_server() -> Iterator[str]:
    """Starts the cluster and returns the address of its job server."""
    from ray.cluster_utils import Cluster

    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # socket paths must be short
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("RAY_raylet_start_wait_time_s", "120")
        patch.setenv("RAY_TMPDIR", str(folder))  # else other drivers here would join this cluster
        (folder / "ray").mkdir()
        for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
            patch.delenv(name, raising=False)
        head = {"include_dashboard": True, "dashboard_port": free_port()}
        cluster = Cluster()
        try:
            # a folder for each node: they share this machine, not the copies of working directories
            for node in range(NODES):
                cluster.add_node(
                    num_cpus=1,
                    object_store_memory=PLASMA_BYTES,
                    temp_dir=str(folder / str(node)),
                    dashboard_agent_listen_port=free_port(),  # the usual one may be taken
                    **(head if node == 0 else {}),
                )
            yield f"http://{cluster.head_node.webui_url}"
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory, raw_recipe, crawl) -> Path:
    """A copy of what a checkout holds, with a recipe, and with things that must not travel."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "jobs", folder / "jobs")
    shutil.copytree(ROOT / "pipeline", folder / "pipeline")
    shutil.copy(ROOT / ".gitignore", folder)
    shutil.copy(crawl.classes, folder / "classes.csv")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(raw_recipe(classes="classes.csv")))
    for heavy in (".venv/lib", ".git", "demo-output", "demo-workspace", ".mypy_cache"):
        (folder / heavy).mkdir(parents=True)
        (folder / heavy / "heavy.bin").write_bytes(b"\0")
    return folder


def readme_line(start: str, **values: str) -> str:
    """Return the line of the README that starts so, with its capitals filled in."""
    text = README.read_text().replace("\\\n", " ")
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return re.sub(r"http://HEAD:8265|\b[A-Z]{5,}\b", lambda m: values.get(m[0], m[0]), line)


@pytest.fixture
def shell(job_server, checkout, tmp_path_factory):
    """Run a line of the README in the checkout: its exit code, what it printed, the last line."""
    places = tmp_path_factory.getbasetemp() / "submitted"

    def run(start, more="", **changes):
        values = {
            "http://HEAD:8265": job_server,
            "RECIPE": "recipe.yaml",
            "WORKSPACE": str(places / "workspace"),
            "OUTPUT": str(places / "output"),
            "NIGHT": "monday",
        }
        line = readme_line(start, **(values | changes)) + more
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = os.environ | {"PATH": path}
        done = subprocess.run(
            line, shell=True, cwd=checkout, env=env, capture_output=True, text=True, check=False
        )
        print(done.stdout, done.stderr)  # noqa: T201, a test that fails shows it
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        return done.returncode, done.stdout, last

    run.output = places / "output"
    return run
