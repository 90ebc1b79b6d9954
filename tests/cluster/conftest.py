"""The manifests as their readers see them."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"


class Strict(yaml.SafeLoader):
    """A loader that refuses a key that stands twice, of which the last would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, **deep: Any) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        repeated = {key for key in keys if keys.count(key) > 1}
        if repeated:
            raise yaml.constructor.ConstructorError(
                None, None, f"keys stand twice: {repeated}", node.start_mark
            )
        return super().construct_mapping(node, **deep)


def read(path: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.load_all(path.read_text(), Strict) if found]


def everything(found: Any) -> list[Any]:
    """Return every mapping, list and value inside of a document."""
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return [found, *(deep for part in inner for deep in everything(part))]


@pytest.fixture(scope="session")
def documents() -> dict[str, list[dict[str, Any]]]:
    """The documents of every YAML file of the folder, by its path."""
    return {
        path.relative_to(CLUSTER).as_posix(): read(path) for path in sorted(CLUSTER.rglob("*.yaml"))
    }


@pytest.fixture(scope="session")
def rays(documents) -> dict[str, dict[str, Any]]:
    """The objects of KubeRay, by the path of their file."""
    return {
        name: found
        for name, several in documents.items()
        for found in several
        if str(found.get("apiVersion", "")).startswith("ray.io/")
    }


@pytest.fixture(scope="session")
def jobs(rays) -> dict[str, dict[str, Any]]:
    """The specs of RayJobs, by the path of their file."""
    found = {}
    for name, ray in rays.items():
        spec = ray["spec"].get("jobTemplate", ray["spec"])
        if "entrypoint" in spec:
            found[name] = spec
    return found


@pytest.fixture(scope="session")
def clusters(rays, jobs) -> dict[str, dict[str, Any]]:
    """The specs of Ray clusters, by the path of their file."""
    return {
        name: jobs[name]["rayClusterSpec"] if name in jobs else ray["spec"]
        for name, ray in rays.items()
    }


@pytest.fixture(scope="session")
def pods(documents) -> list[tuple[str, dict[str, Any]]]:
    """Every pod of every manifest, with the path of its file."""
    return [
        (name, part["spec"])
        for name, several in documents.items()
        for part in everything(several)
        if isinstance(part, dict) and "containers" in (part.get("spec") or {})
    ]


@pytest.fixture(scope="session")
def release() -> str:
    """The version of the package."""
    return version("webwinnow")


@pytest.fixture(scope="session")
def pinned() -> dict[str, str]:
    """The pinned version of every package."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)
