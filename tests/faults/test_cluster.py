"""A real cluster of three nodes whose workers die, hang and stop, and whose nodes are killed.

`WINNOW_SOAK=1` runs the long form.
"""

import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.local import LocalEngine
from tests.faults.hostile import (
    CRASHES,
    DIES,
    DIES_ONCE,
    SPINS,
    STOPS,
    STOPS_ONCE,
    Trial,
    assert_only_lost,
    gif,
    install,
)
from tests.faults.soak import IS_SOAK

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(900),
]
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
FRAGMENT_S = 40 if IS_SOAK else 20
"""A worker that takes longer hangs: what is slow on a busy machine is searched, and not blamed."""


@dataclass
class Nodes:
    """The cluster, and what kills a part of it."""

    cluster: Any
    once: Path
    """Where what happens once leaves a file."""
    num_killed: int = 0

    def kill_one(self) -> None:
        """Kill a node that is not the head, raylet and workers, with SIGKILL; start another."""
        node = next(iter(self.cluster.worker_nodes))
        raylet = node.all_processes["raylet"][0].process.pid
        workers = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
        for pid in (raylet, *map(int, workers)):
            os.kill(pid, signal.SIGKILL)
        self.cluster.remove_node(node, allow_graceful=False)
        self.cluster.add_node(**NODE)
        self.num_killed += 1


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    import ray
    from ray.cluster_utils import Cluster

    ray.shutdown()
    folder = tmp_path_factory.mktemp("plugin")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in install(folder).items():
            patch.setenv(name, value)
        cluster = Cluster(initialize_head=True, head_node_args=NODE)
        try:
            for _ in range(2):
                cluster.add_node(**NODE)
            cluster.wait_for_nodes()
            ray.init(address=cluster.address, log_to_driver=False)
            yield Nodes(cluster, folder / "once")
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def engine(nodes):
    from pipeline.engine.ray import RayEngine

    for path in nodes.once.iterdir():
        path.unlink()
    return RayEngine()


@pytest.fixture
def trial(tmp_path, make_crawl, make_tar_file, raw_recipe):
    return Trial(tmp_path, make_crawl(tmp_path), make_tar_file, raw_recipe)


def on_steps(names: tuple[str, ...], act: Callable[[], None]) -> Any:
    """Follow a run, and act once in each of some steps, when the first piece of it is done."""
    waiting = set(names)

    @contextmanager
    def track(step, total):
        reports = []

        def advance(rows):
            reports.append(rows)
            if step in waiting and len(reports) > 1:
                waiting.remove(step)
                act()

        yield advance

    return track


HOSTILE = {
    "00-001": ("kills-worker", DIES),
    "00-002": ("kills-worker", CRASHES),
}
if IS_SOAK:  # the short form has one that hangs in test_watchdog.py
    HOSTILE |= {"01-006": ("times-out", STOPS), "02-008": ("times-out", SPINS)}


def test_only_the_pictures_that_kill_or_hang_every_worker_are_lost(
    engine, nodes, trial, track, published_bytes
):
    limits = {"tries": 3 if IS_SOAK else 1, "fragment_s": FRAGMENT_S}
    hostile = {key: gif(width) for key, (_, width) in HOSTILE.items()}
    trial.plant(hostile)

    found = trial.curate(engine, "cluster", track, **limits)

    trial.plant({key: bytes(len(picture)) for key, picture in hostile.items()})
    harmless = trial.curate(LocalEngine(), "local", track)
    lost = {key: reasons for key, reasons in found.reasons().items() if key in hostile}
    assert lost == {key: [reason] for key, (reason, _) in HOSTILE.items()}
    assert_only_lost(found, harmless, hostile, published_bytes)
    assert found.marks() == []


@pytest.mark.parametrize("round_", range(5 if IS_SOAK else 1))
def test_nodes_that_are_killed_while_workers_die_and_stop_change_no_byte(
    engine, nodes, trial, track, published_bytes, round_
):
    trial.plant({"01-006": gif(STOPS_ONCE), "02-009": gif(DIES_ONCE)})
    before = nodes.num_killed

    killing = on_steps(("embed", "pack"), nodes.kill_one)
    found = trial.curate(engine, "cluster", killing, fragment_s=FRAGMENT_S)

    undisturbed = trial.curate(LocalEngine(), "local", track)
    assert nodes.num_killed == before + 2
    assert {path.name for path in nodes.once.iterdir()} == {"died", "stopped"}
    assert published_bytes(found.output) == published_bytes(undisturbed.output)
    assert found.steps() == undisturbed.steps()
    assert found.marks() == []
