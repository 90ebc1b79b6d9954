"""What Prometheus sees of a run: a real endpoint of Ray, read over HTTP."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.curate import Outcome, curate
from pipeline.observer import Watched
from pipeline.recipe import parse_recipe
from pipeline.store.journal import JournalEngine
from tests.cluster.promql import labels, metrics

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(300),
]
ROOT = Path(__file__).parents[2]
FORGOTTEN_S = 30.0
"""More than the time after which Ray forgets a gauge that nobody sets."""
PATIENCE_S = 60.0
"""How long a value may take from the driver to the endpoint; Ray exports every second here."""
STEPS = {"index", "embed", "fit match", "score match", "decide", "order", "pack"}

Labels = frozenset[tuple[str, str]]
Scrape = dict[str, dict[Labels, float]]
"""Samples by name and labels; of ours, without those that Ray adds."""


@dataclass(frozen=True)
class Endpoint:
    """The metrics of a node."""

    port: int

    def scrape(self) -> Scrape:
        with urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        found: Scrape = {}
        for sample in (sample for family in families for sample in family.samples):
            is_ours = "winnow" in sample.name
            kept = {key: x for key, x in sample.labels.items() if not is_ours or key not in RAYS}
            found.setdefault(sample.name, {})[frozenset(kept.items())] = sample.value
        return found

    def awaited(self, is_there: Callable[[Scrape], bool]) -> Scrape:
        """Return the first scrape in which something is there."""
        until = time.monotonic() + PATIENCE_S
        while not is_there(scraped := self.scrape()):
            assert time.monotonic() < until, {n: v for n, v in scraped.items() if "winnow" in n}
            time.sleep(0.5)
        return scraped


OURS = {"run", "recipe", "step", "how", "action", "reason", "attempt", "host"}
"""Labels that a run gives."""
RAYS = {
    *("Component", "NodeAddress", "SessionName", "Version", "WorkerId"),
    *("otel_scope_name", "otel_scope_schema_url", "otel_scope_version"),
}
"""Labels that Ray adds to them."""


def of(scrape: Scrape, name: str, **labels: str) -> dict[Any, float]:
    """Return the samples that bear these labels, by their other labels but run and recipe."""
    wanted = set(labels.items())
    named = {*labels, "run", "recipe"}
    return {
        frozenset(item for item in found if item[0] not in named): value
        for found, value in scrape.get(name, {}).items()
        if wanted <= found
    }


def by(key: str, samples: dict[Any, float]) -> dict[str, float]:
    return {dict(found)[key]: value for found, value in samples.items()}


@pytest.fixture(scope="module")
def endpoint():
    import ray

    ray.shutdown()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(
        "local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        _metrics_export_port=port,
        _system_config={"metrics_report_interval_ms": 1000},
    )
    yield Endpoint(port)
    ray.shutdown()


@dataclass(frozen=True)
class Seen:
    """A run, and what the endpoint said while it went on and after."""

    outcome: Outcome
    workspace: Path
    manifest: dict[str, Any]
    embedding: Scrape
    packing: Scrape
    after: Scrape
    workers_err: list[str]
    """Every line that the workers wrote."""

    @property
    def run(self) -> str:
        """The id of the run."""
        return next((self.workspace / "runs").iterdir()).name


@pytest.fixture(scope="module")
def seen(endpoint, raw_recipe, tmp_path_factory) -> Seen:
    from pipeline.engine.ray import RayEngine

    folder = tmp_path_factory.mktemp("seen")
    recipe = parse_recipe(raw_recipe(name="first", cleaners=["match"]))
    said: dict[str, Scrape] = {}

    @contextmanager
    def looking(name: str, total: int):
        def advance(rows: int) -> None:
            if name == "embed" and rows and name not in said:
                said[name] = endpoint.awaited(lambda found: "ray_winnow_encoders" in found)

        if name == "pack":
            said[name] = endpoint.awaited(
                lambda found: of(found, "ray_winnow_step_left_rows", step="order")
            )
        yield advance

    output = folder / "output"
    engine = JournalEngine(RayEngine())
    outcome = curate(recipe, str(folder / "workspace"), str(output), engine, looking)
    after = endpoint.awaited(lambda found: 0 in of(found, "ray_winnow_lease_held").values())
    manifest = json.loads((output / "manifest.json").read_text())
    import ray

    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    lines = [line for path in logs.glob("worker-*.err") for line in path.read_text().splitlines()]
    return Seen(outcome, folder / "workspace", manifest, said["embed"], said["pack"], after, lines)


def test_rows_by_action_are_those_of_the_manifest(seen):
    assert by("action", of(seen.after, "ray_winnow_rows_total")) == seen.manifest["actions"]


def test_quarantined_rows_are_counted_by_reason(seen, crawl):
    reasons = by("reason", of(seen.after, "ray_winnow_quarantined_rows_total"))

    assert reasons == Counter(crawl.faults.values())


def test_a_step_counts_the_rows_that_it_has_done(seen):
    done = by("step", of(seen.after, "ray_winnow_step_rows_total", how="new"))

    assert done == {timing.name: timing.rows for timing in seen.outcome.timings}
    assert done.keys() == STEPS


def test_a_step_tells_while_it_runs_what_is_left_and_when_something_was_done(seen, crawl):
    (left,) = of(seen.embedding, "ray_winnow_step_left_rows", step="embed").values()
    (last,) = of(
        seen.embedding, "ray_winnow_step_progress_timestamp_seconds", step="embed"
    ).values()

    assert left == crawl.num_rows
    assert abs(last - time.time()) < 3600


def test_the_encoders_that_are_there_have_worked_and_no_longer_than_the_step_took(seen):
    (number,) = of(seen.embedding, "ray_winnow_encoders").values()
    (busy,) = of(seen.after, "ray_winnow_encoder_busy_seconds_total").values()
    (step,) = [timing for timing in seen.outcome.timings if timing.name == "embed"]

    assert number == 1
    assert 0 < busy < step.seconds
    assert list(of(seen.after, "ray_winnow_encoders").values()) == [0]


def test_the_lease_is_held_by_the_attempt_until_the_end(seen):
    holder = frozenset({("attempt", "1"), ("host", socket.gethostname())})

    assert of(seen.packing, "ray_winnow_lease_held") == {holder: 1}
    assert of(seen.after, "ray_winnow_lease_held") == {holder: 0}


def test_the_dashboard_names_metrics_and_labels_that_are_exported(endpoint, seen):
    from pipeline.engine.ray import RayEngine

    dashboard = json.loads((ROOT / "cluster" / "grafana" / "winnow.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    engine = RayEngine().observed(Watched(run="unlucky", recipe="r"))
    engine.observer.retried()
    engine.observer.ended()
    last = endpoint.awaited(lambda found: "ray_winnow_retries_total" in found)
    exported: dict[str, set[str]] = {}
    for scrape in (seen.embedding, seen.packing, seen.after, last):
        for name, found in scrape.items():
            exported.setdefault(name, set()).update(key for labels in found for key, _ in labels)

    for query in queries:
        assert metrics(query) <= exported.keys(), query
        assert labels(query) <= {key for name in metrics(query) for key in exported[name]}, query
    assert len(queries) > 10


def test_tags_are_the_run_and_what_has_few_values(seen):
    ours = {name: found for name, found in seen.after.items() if "winnow" in name}
    keys = {key for found in ours.values() for labels in found for key, _ in labels}

    assert keys == OURS
    assert {dict(labels)["recipe"] for found in ours.values() for labels in found} == {"first"}
    assert all(len(found) < 20 for found in ours.values())


def test_what_is_found_done_is_no_progress(endpoint, raw_recipe, curated, tmp_path, track):
    from pipeline.engine.ray import RayEngine

    workspace = tmp_path / "workspace"
    shutil.copytree(curated.workspace, workspace)
    recipe = parse_recipe(raw_recipe(name="again"))

    curate(recipe, str(workspace), str(tmp_path / "output"), RayEngine(), track, is_dry_run=True)
    found = endpoint.awaited(lambda found: of(found, "ray_winnow_rows_total", recipe="again"))

    reused = by("step", of(found, "ray_winnow_step_rows_total", recipe="again", how="reused"))
    rows = curated.outcome.summary.rows
    assert reused == {"index": 3, "embed": rows, "decide": rows}
    assert not of(found, "ray_winnow_step_rows_total", recipe="again", how="new")
    actions = by("action", of(found, "ray_winnow_rows_total", recipe="again"))
    assert actions == curated.outcome.summary.actions
    assert not of(found, "ray_winnow_lease_held", recipe="again")


def test_work_that_is_begun_again_is_counted_under_its_step(endpoint, tmp_path):
    from pipeline.engine.ray import RayEngine

    flag = str(tmp_path / "died")

    def die_once(number):
        if number == 3 and not os.path.exists(flag):
            Path(flag).touch()
            os._exit(1)
        return number

    engine = RayEngine().observed(Watched(run="deadly", recipe="r"))
    with engine.observer.step("score match", 8):
        list(engine.each(die_once, list(range(8))))
    found = endpoint.awaited(lambda found: of(found, "ray_winnow_retries_total", run="deadly"))

    assert by("step", of(found, "ray_winnow_retries_total", run="deadly")) == {"score match": 1}
    engine.observer.ended()


def test_a_fragment_that_was_begun_before_counts_as_begun_again(
    endpoint, raw_recipe, curated, tmp_path, track
):
    from pipeline.engine.ray import RayEngine

    workspace = tmp_path / "workspace"
    shutil.copytree(curated.workspace, workspace)
    lost = next((workspace / "steps").glob("embed-*/*.parquet"))
    mark = workspace / "attempts" / lost.parent.name / "read" / f"{lost.stem}.1"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text('{"host": "gpu-7", "pid": 1, "since": "then"}')
    lost.unlink()
    recipe = parse_recipe(raw_recipe(name="begun"))

    curate(recipe, str(workspace), str(tmp_path / "output"), RayEngine(), track, is_dry_run=True)
    found = endpoint.awaited(lambda found: of(found, "ray_winnow_rows_total", recipe="begun"))

    assert by("step", of(found, "ray_winnow_retries_total", recipe="begun")) == {"embed": 1}
    reasons = by("reason", of(found, "ray_winnow_quarantined_rows_total", recipe="begun"))
    assert sum(reasons.values()) == curated.outcome.summary.actions["quarantine"]


def test_a_gauge_stays_while_nothing_happens(endpoint):
    from pipeline.engine.ray import RayEngine

    engine = RayEngine().observed(Watched(run="patient", recipe="r", attempt=7))
    with engine.observer.step("embed", 9) as advance:
        advance(1)
        advance(3)
        time.sleep(FORGOTTEN_S)
        found = endpoint.scrape()
    engine.observer.ended()
    endpoint.awaited(lambda found: not of(found, "ray_winnow_lease_held", run="patient"))

    assert list(of(found, "ray_winnow_step_left_rows", run="patient").values()) == [5]
    assert list(of(found, "ray_winnow_lease_held", run="patient").values()) == [1]


def test_without_ray_nothing_is_exported_and_ray_is_not_loaded():
    code = (
        "import sys, pipeline.curate, pipeline.store.journal\n"
        "from pipeline.engine.local import LocalEngine\n"
        "from pipeline.observer import Watched\n"
        "LocalEngine().observed(Watched(run='r', recipe='r')).observer.ended()\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'ray'])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_every_commit_is_told_once_in_the_log_of_a_worker(seen, tmp_path):
    lines = [json.loads(line) for line in seen.workers_err if line.startswith("{")]
    steps = seen.workspace / "steps"
    files = {(path.parent.name.rpartition("-")[0], path.stem) for path in steps.rglob("*.parquet")}

    told = [(line["step"], line["fragment"]) for line in lines]
    assert sorted(told) == sorted(files)
    assert {line["attempt"] for line in lines} == {1}
    assert {line["run"] for line in lines} == {seen.run}
    assert os.getpid() not in {line["pid"] for line in lines}
