"""What the manifests promise, and that all they name exists and agrees."""

import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from pipeline.cli import alone, app
from pipeline.recipe import load_recipe
from pipeline.store.classes import load_entries

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"

"""Modules that manifests name and that are still to be written."""

FOREIGN = {"alpine/k8s:1.34.1"}
"""Images that are not ours, beside Ray's."""


def options_of(command: typer.Typer, name: str | None = None) -> set[str]:
    """Return the options of a command line."""
    group = typer.main.get_command(command)
    found = group.commands[name] if name else group
    return {option for parameter in found.params for option in (*parameter.opts, "--help")}


def job_options(module: str) -> set[str]:
    """Return the options of a job of `jobs/`."""
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    (name,) = re.findall(r"^    main\((\w+)\)$", source, re.MULTILINE)
    return options_of(alone(getattr(importlib.import_module(module), name)))


def check_job(words: list[str]) -> None:
    """Check a line `python -m jobs.NAME ...`."""
    assert words[:2] == ["python", "-m"]
    module, *arguments = words[2:]
    assert {word for word in arguments if word.startswith("--")} <= job_options(module)


def shell_lines(text: str) -> list[str]:
    """Return the commands that a text shows: fenced lines, `code` and the comments of manifests."""
    joined = re.sub(r"\\\n(#\s*)?\s*", " ", text)
    fenced = re.findall(r"```sh\n(.*?)```", joined, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", joined)
    comments = re.findall(r"^#\s+((?:kubectl|winnow|ray|docker|sbatch) .*)$", joined, re.MULTILINE)
    return [*(line for block in fenced for line in block.splitlines()), *inline, *comments]


def test_jobs_name_modules_and_options_that_exist(jobs):
    for spec in jobs.values():
        check_job(shlex.split(spec["entrypoint"]))

    assert len(jobs) == 3


def test_jobs_read_the_recipe_that_is_mounted(jobs, documents):
    (kustomization,) = documents["kuberay/nightly/kustomization.yaml"]
    generated = {each["name"]: each["files"] for each in kustomization["configMapGenerator"]}

    for spec in jobs.values():
        recipe = Path(shlex.split(spec["entrypoint"])[3])
        head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
        (mount,) = [m for m in head["containers"][0]["volumeMounts"] if m["name"] == "recipe"]
        (volume,) = [v for v in head["volumes"] if v["name"] == "recipe"]
        assert recipe.parent == Path(mount["mountPath"])
        assert volume["configMap"]["name"] in {"winnow-recipe", "winnow-nightly-recipe"}
        assert recipe.name in generated["winnow-nightly-recipe"]


def test_the_files_of_the_kustomization_exist(documents):
    (kustomization,) = documents["kuberay/nightly/kustomization.yaml"]
    folder = CLUSTER / "kuberay" / "nightly"
    names = [name for each in kustomization["configMapGenerator"] for name in each["files"]]

    named = {*kustomization["resources"], *names, "kustomization.yaml"}

    assert named == {path.name for path in folder.iterdir()}


def test_the_recipe_of_a_night_loads_and_its_classes_travel_along():
    folder = CLUSTER / "kuberay" / "nightly"

    recipe = load_recipe(str(folder / "recipe.yaml"))

    assert recipe.classes == "/etc/winnow/classes.csv"
    assert [entry.name for entry in load_entries(str(folder / "classes.csv"))][-1] == "oak"


def test_the_cronjob_names_what_exists(documents):
    (cronjob,) = documents["kuberay/nightly/cronjob.yaml"]
    account, role, binding = documents["kuberay/nightly/rbac.yaml"]
    (kustomization,) = documents["kuberay/nightly/kustomization.yaml"]
    pod = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    template = {v["name"]: v for v in pod["volumes"]}["template"]["configMap"]["name"]
    generated = {each["name"]: each["files"] for each in kustomization["configMapGenerator"]}

    files = {Path(word).name for word in container["command"] if word.startswith("/etc/winnow/")}

    assert files == set(generated[template])
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"]}]
    assert role["rules"] == [
        {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "get", "list"]}
    ]


def test_nights_do_not_overlap_and_the_wait_outlasts_the_job(documents, jobs):
    (cronjob,) = documents["kuberay/nightly/cronjob.yaml"]
    waiting = cronjob["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"]

    assert cronjob["spec"]["concurrencyPolicy"] == "Forbid"
    assert cronjob["spec"]["startingDeadlineSeconds"] > 100  # less: the controller may miss it
    assert waiting > jobs["kuberay/nightly/rayjob.yaml"]["activeDeadlineSeconds"]
    assert waiting < 24 * 3600


def test_pods_do_not_run_as_root(pods):
    for name, pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name

    assert len(pods) == 4 * 3 + 3 + 1  # pods of clusters, submitters, the CronJob's


def test_containers_ask_for_what_they_use_and_have_a_bound(pods):
    for name, pod in pods:
        for container in pod["containers"]:
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), name
            assert resources["limits"]["memory"] == resources["requests"]["memory"] or (
                container["name"] == "create-night"
            )


def test_ray_is_told_the_cpus_that_its_pods_ask_for(clusters):
    for spec in clusters.values():
        for group in spec["workerGroupSpecs"]:
            (container,) = group["template"]["spec"]["containers"]
            assert group["rayStartParams"]["num-cpus"] == container["resources"]["requests"]["cpu"]
        assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_the_same_pods_stand_in_every_manifest(clusters):
    """The head of a job mounts a recipe, the head of a scaling cluster lets the autoscaler in."""
    first, *others = [spec["workerGroupSpecs"] for spec in clusters.values()]
    pods_of = [[group["template"] for group in groups] for groups in (first, *others)]
    heads = []
    for spec in clusters.values():
        head = dict(spec["headGroupSpec"]["template"]["spec"]["containers"][0])
        head["volumeMounts"] = [m for m in head["volumeMounts"] if m["name"] != "recipe"]
        heads.append(head)

    assert all(pods == pods_of[0] for pods in pods_of)
    assert all(head == heads[0] for head in heads)
    assert len(heads) == 4


def test_workers_bear_spot_machines_and_gpus(clusters):
    for spec in clusters.values():
        gpu, cpu = spec["workerGroupSpecs"]
        for group in (gpu, cpu):
            keys = {each["key"] for each in group["template"]["spec"]["tolerations"]}
            assert {"cloud.google.com/gke-spot", "karpenter.sh/capacity-type"} <= keys
            assert ("nvidia.com/gpu" in keys) == (group is gpu)
        limits = gpu["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert limits["nvidia.com/gpu"] == 1


def test_kueue_gets_clusters_of_fixed_size_that_are_deleted(rays, jobs):
    for name, spec in jobs.items():
        assert rays[name]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "winnow"
        assert spec["shutdownAfterJobFinishes"] is True
        assert "clusterSelector" not in spec
        assert "enableInTreeAutoscaling" not in spec["rayClusterSpec"]
        for group in spec["rayClusterSpec"]["workerGroupSpecs"]:
            assert group["replicas"] == group["minReplicas"] == group["maxReplicas"]


def test_the_staying_cluster_scales_from_nothing(clusters):
    spec = clusters["kuberay/raycluster.yaml"]

    assert spec["enableInTreeAutoscaling"] is True
    assert {group["minReplicas"] for group in spec["workerGroupSpecs"]} == {0}


def test_both_nightly_manifests_run_the_same_job(jobs):
    cron, night = jobs["kuberay/raycronjob.yaml"], jobs["kuberay/nightly/rayjob.yaml"]

    assert cron == night


def test_images_and_versions_agree(release, pinned):
    text = "".join(path.read_text() for path in CLUSTER.rglob("*") if path.is_file())
    ours = {f"registry.example.com/winnow:{release}-{kind}" for kind in ("cpu", "gpu")}

    images = set(re.findall(r"^\s*(?:- )?image: (\S+)$", text, re.MULTILINE))

    assert images == ours | FOREIGN | {f"rayproject/ray:{pinned['ray']}-py311-gpu"}
    assert set(re.findall(r"registry\.example\.com/\S+?:[\w.-]+[cg]pu", text)) == ours
    assert set(re.findall(r'rayVersion: "(.+)"', text)) == {pinned["ray"]}
    assert set(re.findall(r"gcsfs==([\w.]+)", text)) == {pinned["fsspec"]}
    assert set(re.findall(r"webwinnow\[s3\]==([\w.]+)", text)) == {release}


def test_no_secret_is_written_down(documents, pods):
    key = r"AKIA[0-9A-Z]{16}|PRIVATE KEY"
    value = r"(secret|token|password|_key)\s*[:=]\s*\S{16,}"
    words = re.compile(f"{key}|{value}", re.IGNORECASE)

    for path in CLUSTER.rglob("*"):
        assert not (path.is_file() and words.search(path.read_text())), path
    for several in documents.values():
        assert "Secret" not in {found.get("kind") for found in several}
    for name, pod in pods:
        for container in pod["containers"]:
            given = {each["name"]: each.get("value") for each in container.get("env", [])}
            assert {key for key, value in given.items() if value} <= {"HOME"}, name


@pytest.mark.parametrize(
    "path", sorted(p for p in CLUSTER.rglob("*") if p.is_file() and p.suffix != ".csv"), ids=str
)
def test_the_commands_that_a_file_shows_exist(path):
    commands = 0
    for line in shell_lines(path.read_text()):
        words = shlex.split(line, comments=True)
        flags = {word.partition("=")[0] for word in words if word.startswith("--") and word != "--"}
        if words[:1] == ["winnow"] and len(words) > 1 and words[1].isalpha():
            own = words[: words.index("--")] if "--" in words else words
            flags = {word for word in own if word.startswith("--")}
            assert flags <= options_of(app, words[1]), line
            commands += 1
        if "python" in words and "-m" in words:
            check_job(words[words.index("python") :])
        for word in words:
            if word.startswith(("cluster/", "jobs/")) and "{" not in word:
                assert (ROOT / word.partition("=")[2] if "=" in word else ROOT / word).exists(), (
                    line
                )

    assert commands or path.name != "README.md"


def test_the_readme_links_to_what_exists():
    links = re.findall(r"\]\(([^)#]+)\)", (CLUSTER / "README.md").read_text())

    assert all((CLUSTER / link).exists() for link in links)
    assert len(links) > 5
