"""Manifests against the schemas of those who read them."""

import os
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
KUBERNETES = "1.34"
FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
KUBERAY = Path(os.environ.get("KUBERAY_SCHEMAS", ROOT.parent / "shared" / "schemas" / "kuberay"))


def strict(schema: Any) -> Any:
    """Return a schema that refuses fields it does not name, as `kubectl create` does."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(part) for key, part in schema.items()}
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if (
        isinstance(schema.get("properties"), dict)
        and schema.get("type") == "object"
        and not is_open
    ):
        closed["additionalProperties"] = False
    return closed


@pytest.fixture(scope="session")
def definitions() -> dict[str, Any]:
    """KubeRay's own schemas, by kind."""
    if not KUBERAY.is_dir():
        pytest.skip(f"KubeRay's definitions are not in {KUBERAY}: set KUBERAY_SCHEMAS")
    schemas = {}
    for path in KUBERAY.glob("*.yaml"):
        definition = yaml.load(path.read_text(), FAST)["spec"]
        (served,) = [v for v in definition["versions"] if v["name"] == "v1"]
        schema = strict(served["schema"]["openAPIV3Schema"])
        schemas[definition["names"]["kind"]] = jsonschema.Draft202012Validator(schema)
    return schemas


def test_core_objects_fit_the_schemas_of_kubernetes(documents):
    core = [
        found
        for name, several in documents.items()
        for found in several
        if name.startswith("kuberay/nightly/")
        and "ray.io" not in found.get("apiVersion", "")
        and "kustomize" not in found.get("apiVersion", "kustomize")
    ]

    for found in core:
        kubernetes_validate.validate(found, KUBERNETES, strict=True)

    kinds = {"ServiceAccount", "Role", "RoleBinding", "CronJob"}
    assert {found["kind"] for found in core} == kinds


def test_a_fault_in_a_core_object_is_found(documents):
    (cronjob,) = deepcopy(documents["kuberay/nightly/cronjob.yaml"])
    cronjob["spec"]["concurencyPolicy"] = "Forbid"

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(cronjob, KUBERNETES, strict=True)


@pytest.mark.slow
def test_ray_objects_fit_the_schemas_of_kuberay(rays, definitions):
    for found in rays.values():
        definitions[found["kind"]].validate(found)

    assert {found["kind"] for found in rays.values()} == {"RayCluster", "RayJob", "RayCronJob"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "value"), [("backOffLimit", 2), ("ttlSecondsAfterFinished", "an hour")]
)
def test_a_fault_in_a_ray_object_is_found(rays, definitions, field, value):
    wrong = deepcopy(rays["kuberay/rayjob.yaml"])
    wrong["spec"][field] = value

    with pytest.raises(jsonschema.ValidationError):
        definitions["RayJob"].validate(wrong)


@pytest.mark.slow
def test_pods_of_ray_objects_fit_the_schemas_of_kubernetes(pods):
    for _, spec in pods:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "pod"},
            "spec": spec,
        }
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_cluster_launcher_files_pass_rays_own_validator(documents, name):
    from ray.autoscaler._private.util import prepare_config, validate_config

    (config,) = deepcopy(documents[f"ray/{name}.yaml"])

    prepared = prepare_config(config)
    validate_config(prepared)

    workers = {kind for kind in prepared["available_node_types"] if kind != "head"}
    assert prepared["provider"]["type"] == name
    assert workers == {"gpu", "cpu"}
    assert prepared["available_node_types"]["gpu"]["resources"]["GPU"] == 1


def test_a_fault_in_a_cluster_launcher_file_is_found(documents):
    from ray.autoscaler._private.util import prepare_config, validate_config

    (config,) = deepcopy(documents["ray/aws.yaml"])
    config["idle_timeout_minuets"] = 5

    with pytest.raises(jsonschema.ValidationError):
        validate_config(prepare_config(config))
