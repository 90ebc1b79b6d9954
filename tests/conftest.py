"""A small encoder and a small crawl that the tests of every part share."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image
from threadpoolctl import threadpool_limits

from pipeline.curate import Outcome, curate
from pipeline.embed.spec import EncoderSpec
from pipeline.engine.local import LocalEngine
from pipeline.recipe import Recipe, parse_recipe
from pipeline.store.run import Run
from pipeline.store.workspace import Workspace

settings.register_profile("shared-machine", deadline=None)  # a busy machine is no fault
settings.load_profile("shared-machine")

NAMES = ("red panda", "snow goose", "oak")
CONFIG = {
    "model_cfg": {
        "embed_dim": 32,
        "vision_cfg": {
            "image_size": 32,
            "layers": 2,
            "width": 32,
            "head_width": 16,
            "patch_size": 16,
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}


@dataclass(frozen=True)
class Crawl:
    """A crawl of three shards on disk and what is wrong with it."""

    folder: Path
    classes: Path
    num_rows: int
    faults: dict[str, str]
    """Fault of every broken sample by key."""
    members: dict[str, dict[str, bytes]]
    """Original bytes of every sample by key and extension."""


def picture(seed: int = 0, kind: str = "JPEG", size: tuple[int, int] = (45, 37)) -> bytes:
    """Return a picture with some structure, so that no two are alike."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8))
    buffer = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(buffer, kind)
    return buffer.getvalue()


def crawl_members(number: int, num_rows: int) -> dict[str, dict[str, bytes]]:
    samples = {}
    for row in range(num_rows):
        seed = number * 100 + row
        label = NAMES[row % 3]
        fields = {
            "label": label if row % 5 else label.upper(),
            "url": f"https://example.org/{seed}",
            "nested": {"größe": [row, None]},
        }
        kind = "PNG" if row % 4 == 3 else "JPEG"
        extension = "png" if kind == "PNG" else "jpg"
        samples[f"{number:02d}-{row:03d}"] = {
            extension: picture(seed, kind),
            "txt": f" a {label} №{seed}\n".encode(),
            "json": json.dumps(fields).encode(),
        }
    return samples


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def break_some(number: int, samples: dict[str, dict[str, bytes]]) -> dict[str, str]:
    """Break a few samples of a shard in place and return their faults."""
    keys = list(samples)
    if number == 0:
        samples[keys[4]]["jpg"] = samples[keys[4]]["jpg"][:400]
        samples[keys[8]]["jpg"] = b"<html><body>404</body></html>"
        return {keys[4]: "truncated-image", keys[8]: "not-an-image"}
    if number == 1:
        samples[keys[5]]["json"] = b"{not json"
        samples[keys[9]]["jpg"] = b""
        samples[keys[10]]["seg.npy"] = npy(np.arange(6))
        return {keys[5]: "bad-json", keys[9]: "empty-image"}
    del samples[keys[2]]["txt"]
    del samples[keys[12]]["jpg"]
    samples[keys[13]]["txt"] = b"\xff\xfe"
    return {
        keys[2]: "missing-text",
        keys[12]: "missing-image",
        keys[13]: "bad-utf8-text",
    }


def write_tar(path: Path, samples: dict[str, dict[str, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for key, members in samples.items():
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def write_crawl(folder: Path, num_shards: int = 3, num_rows: int = 20) -> Crawl:
    faults: dict[str, str] = {}
    members: dict[str, dict[str, bytes]] = {}
    for number in range(num_shards):
        samples = crawl_members(number, num_rows)
        faults |= break_some(number, samples)
        members |= samples
        write_tar(folder / "crawl" / f"{number:05d}.tar", samples)
    classes = folder / "classes.csv"
    classes.write_text("name,synonyms,definition\nred panda,firefox;lesser panda,\n"
                       "snow goose,,a white bird\noak,quercus,\n")  # fmt: skip
    return Crawl(folder / "crawl", classes, num_shards * num_rows, faults, members)


@pytest.fixture(scope="module", autouse=True)
def one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give cleaners and what they compute one thread, as a run does (`store.clean`).

    On two cores that have other work, two threads wait for each other longer than they work.
    """
    is_numeric = request.path.parent.name in ("cleaners", "contract", "drift", "numeric")
    with threadpool_limits(1) if is_numeric else nullcontext():
        yield


def untracked(name: str, total: int) -> Any:
    """Show nothing of a step's progress."""

    @contextmanager
    def advance() -> Iterator[Callable[[int], None]]:
        yield lambda _rows: None

    return advance()


@pytest.fixture
def track() -> Callable[[str, int], Any]:
    return untracked


@pytest.fixture
def make_picture() -> Callable[..., bytes]:
    return picture


@pytest.fixture
def make_tar_file() -> Callable[[Path, dict[str, dict[str, bytes]]], None]:
    return write_tar


@pytest.fixture
def make_crawl() -> Callable[..., Crawl]:
    """Writes a crawl of its own for a test that changes it."""
    return write_crawl


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory) -> Path:
    """A random encoder in open_clip's own layout."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("encoder")
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{folder}")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def spec(encoder_folder) -> EncoderSpec:
    return EncoderSpec(model=f"local-dir:{encoder_folder}", precision="fp32")


@pytest.fixture(scope="session")
def crawl(tmp_path_factory) -> Crawl:
    """A crawl that no test may change."""
    return write_crawl(tmp_path_factory.mktemp("crawl"))


@pytest.fixture(scope="session")
def raw_recipe(crawl, spec) -> Callable[..., dict[str, Any]]:
    """Returns a recipe without cleaners over the crawl, as its YAML would hold it."""

    def make(**changes: Any) -> dict[str, Any]:
        raw: dict[str, Any] = {
            "source": {"path": str(crawl.folder), "fragment_rows": 7},
            "classes": str(crawl.classes),
            "encoder": {"model": spec.model, "precision": "fp32"},
            "cleaners": [],
            "policy": {"name": "none", "rules": []},
            "pack": {"shard_rows": 16, "window_rows": 30},
        }
        return raw | changes

    return make


@pytest.fixture(scope="session")
def recipe(raw_recipe) -> Recipe:
    return parse_recipe(raw_recipe())


@dataclass(frozen=True)
class Curated:
    """A finished run."""

    workspace: Path
    output: Path
    outcome: Outcome


@pytest.fixture(scope="session")
def curated(tmp_path_factory, recipe) -> Curated:
    """An undisturbed local run of the recipe, that no test may change."""
    folder = tmp_path_factory.mktemp("curated")
    workspace, output = folder / "workspace", folder / "output"
    outcome = curate(recipe, str(workspace), str(output), LocalEngine(), untracked)
    return Curated(workspace, output, outcome)


@pytest.fixture
def run(tmp_path) -> Run:
    """A run on the local engine with a workspace of its own."""
    return Run("test", Workspace(str(tmp_path / "workspace")), LocalEngine(), untracked)


def published(output: Path) -> dict[str, bytes]:
    """Return the bytes of every file of an output but the report and the lease: they tell the time.

    What a killed writer has left under a temporary name is no file of the output.
    """
    found = (path for path in output.rglob("*") if path.is_file())
    paths = sorted(p for p in found if p.parent.name != "_lease" and not p.name.startswith("."))
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in paths
        if path.name != "report.html"
    }


@pytest.fixture
def published_bytes() -> Callable[[Path], dict[str, bytes]]:
    return published


def read_output(output: Path) -> dict[str, dict[str, bytes]]:
    samples: dict[str, dict[str, bytes]] = {}
    for path in sorted(output.glob("*.tar")):
        with tarfile.open(path) as tar:
            for info in tar.getmembers():
                key, _, extension = info.name.partition(".")
                samples.setdefault(key, {})[extension] = tar.extractfile(info).read()
    return samples


@pytest.fixture
def output_samples() -> Callable[[Path], dict[str, dict[str, bytes]]]:
    """Returns the members of every sample of an output, by key and extension."""
    return read_output
