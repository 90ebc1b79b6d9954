"""The dashboard and the monitor, as Grafana and the Prometheus operator read them.

Neither publishes a schema that is installed here: the fields are compared with their documentation.
That the metrics exist is tested on a real endpoint, in `tests/engine/test_ray_metrics.py`.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.promql import metrics

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "cluster" / "grafana" / "winnow.json"
WIDTH = 24
"""Columns of Grafana's grid."""


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text())


@pytest.fixture(scope="module")
def queries(dashboard) -> dict[str, list[str]]:
    return {
        panel["title"]: [target["expr"] for target in panel["targets"]]
        for panel in dashboard["panels"]
    }


def test_every_panel_asks_the_chosen_source(dashboard):
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    chosen = {"type": "prometheus", "uid": "${datasource}"}

    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    for panel in dashboard["panels"]:
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])


def test_every_variable_of_a_query_is_defined(dashboard, queries):
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    built_in = {"__rate_interval", "__range"}

    for several in queries.values():
        for query in several:
            assert set(re.findall(r"\$\{?(\w+)", query)) <= variables | built_in, query


def test_panels_are_told_apart_and_do_not_overlap(dashboard):
    cells = [
        (x, y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < WIDTH
    for key in ("id", "title"):
        assert len({panel[key] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(panel["description"] for panel in dashboard["panels"])


def test_what_an_operator_asks_for_is_there(queries):
    shown = {name for several in queries.values() for query in several for name in metrics(query)}

    assert {
        "ray_winnow_rows_total",
        "ray_winnow_quarantined_rows_total",
        "ray_winnow_step_rows_total",
        "ray_winnow_step_left_rows",
        "ray_winnow_step_progress_timestamp_seconds",
        "ray_winnow_encoder_busy_seconds_total",
        "ray_winnow_encoders",
        "ray_winnow_retries_total",
        "ray_winnow_lease_held",
    } <= shown


def test_the_readme_tells_of_every_metric_and_of_no_other():
    source = (ROOT / "pipeline" / "engine" / "ray_metrics.py").read_text()
    text = (ROOT / "cluster" / "README.md").read_text()
    (table,) = re.findall(r"^\| `ray_winnow_\.\.\.` .*\n(?:\|.*\n)+", text, re.MULTILINE)
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]

    told = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]

    assert sorted(told) == sorted(re.findall(r'"winnow_(\w+)"', source))


def test_a_query_of_a_run_is_about_the_chosen_runs(queries):
    for several in queries.values():
        for query in several:
            selected = len(re.findall(r'ray_winnow_\w+\{run=~"\$run"', query))
            assert selected == len(re.findall("ray_winnow_", query)), query


def test_the_monitor_finds_the_pods_and_the_port_of_the_manifests(documents, clusters):
    (monitor,) = documents["kuberay/podmonitor.yaml"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    groups = [
        group
        for spec in clusters.values()
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])
    ]

    assert (monitor["apiVersion"], monitor["kind"]) == ("monitoring.coreos.com/v1", "PodMonitor")
    assert monitor["spec"]["selector"] == {"matchLabels": {"ray.io/is-ray-node": "yes"}}
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports[endpoint["port"]] == 8080  # where KubeRay has Ray export
        assert "metrics-export-port" not in group["rayStartParams"]
    assert float(endpoint["scrapeTimeout"][:-1]) < float(endpoint["interval"][:-1])
