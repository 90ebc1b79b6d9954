"""The readers of foreign bytes, each as one call on a file, with its valid inputs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from jobs.fuzz import mutation, seeds, texts
from jobs.fuzz.mutation import Mutate
from pipeline.embed.checkpoint import create
from pipeline.embed.decode import Picture, decode
from pipeline.embed.fragment import describe
from pipeline.embed.frontend import frontend
from pipeline.embed.local_model import read_config
from pipeline.embed.spec import EncoderSpec
from pipeline.recipe import load_recipe
from pipeline.report.text import visible
from pipeline.report.thumbnails import data_uri
from pipeline.schema import SAMPLE
from pipeline.shards.fields import caption_of, parse_object
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read
from pipeline.store import generations, nights, states
from pipeline.store.answers import load_answers
from pipeline.store.arrays import load_array, load_rows
from pipeline.store.classes import ClassEntry, load_entries
from pipeline.store.label import Labeller
from pipeline.store.workspace import from_parquet

ENCODER: Final = EncoderSpec()
ENTRIES: Final = tuple(ClassEntry(name=name) for name in ("oak", "red panda", "snow goose"))
MANY: Final = 10**6
"""Rows of a night of which the fragments are not counted one by one."""
CAPTIONED: Final = Labeller("caption", ENTRIES)
FIELDED: Final = Labeller("auto", ENTRIES)


@dataclass(frozen=True)
class Reader:
    """One reader, and what it reads."""

    file: str
    """Name of the input."""
    seeds: Sequence[bytes]
    """Valid inputs."""
    call: Callable[[Path], None]
    """Reads the input; only a CurationError may leave it."""
    shape: Mutate = mutation.words
    """A change that keeps the format."""
    weight: int = 4
    """Its share of the inputs; less for what is slow."""
    is_python: bool = True
    """Whether its parser is written in Python, so that atheris can see what an input reaches."""


def shard(path: Path) -> None:
    """Index a shard, read it, and describe every sample as the embed step does."""
    for found in find_shards(str(path)):
        samples = list(read(found, index(found).table))
        rows = [describe(found.uri, sample, sample.fault or "unknown") for sample in samples]
        pa.Table.from_pylist(rows, SAMPLE)
        for sample in samples:
            FIELDED.find(FIELDED.raw(sample.fields, sample.caption))
            json.dumps(sample.fields, allow_nan=False).encode()


def sidecar(path: Path) -> None:
    """Read a tar beside which the input lies."""
    beside = path.with_suffix(".tar")
    if not beside.exists():
        beside.write_bytes(seeds.tars()[0])
    shard(beside)


def image(path: Path) -> None:
    """Decode a picture for the encoder and for the report."""
    data = path.read_bytes()
    found = decode(data, frontend(ENCODER))
    if not isinstance(found, Picture | str):
        raise TypeError(f"decode must return a picture or a fault, got {found!r}")
    data_uri(data)


def fields(path: Path) -> None:
    """Parse a json member, find its label and write it out."""
    found = parse_object(path.read_bytes())
    if found is not None:
        FIELDED.find(FIELDED.raw(found, None))
        caption_of(found.get("caption"))
        json.loads(json.dumps(found, allow_nan=False))


def caption(path: Path) -> None:
    """Decode a caption, tokenise it, search it for classes and show it."""
    text, _ = caption_of(path.read_bytes())
    if text is not None:
        frontend(ENCODER).tokens([text])
        CAPTIONED.raw({}, text)
        visible(text).encode()


def classes(path: Path) -> None:
    """Load a class file and the prompts of its classes."""
    for entry in load_entries(str(path)):
        entry.parts()


def answers(path: Path) -> None:
    """Load the answers of a teacher."""
    load_answers(str(path), {"oak": 0, "=oak": 1}.get)


def recipe(path: Path) -> None:
    """Load a recipe and write it out."""
    load_recipe(str(path)).to_yaml()


def vectors(path: Path) -> None:
    """Load given vectors, in part and, as those of the classes, whole."""
    is_archive = path.suffix == ".npz"
    load_rows(str(path), "image" if is_archive else "", 1, 5)
    if not is_archive:
        load_array(str(path))


def state(path: Path) -> None:
    """Load a fitted state whose digests are right."""
    digests = {states.ARRAYS: states.digest(path.read_bytes())}
    (path.parent / states.DIGESTS).write_text(json.dumps(digests))
    states.load(str(path.parent))


def step(path: Path) -> None:
    """Load a committed fragment."""
    from_parquet(str(path))
    from_parquet(str(path), ["caption"])


def night(path: Path) -> None:
    """Load the record of a night, and all that is told of it."""
    found = nights.parse(f"nights/a/{path.name}", path.read_bytes())
    generations.entry(found)
    if found.num_rows < MANY:
        len(found.fragments)


def config(path: Path) -> None:
    """Load the configuration of a local model."""
    read_config(path.parent)


def weights(path: Path) -> None:
    """Load a local model."""
    (path.parent / "open_clip_config.json").write_bytes(texts.CONFIGS[0])
    create(EncoderSpec(model=f"local-dir:{path.parent}"))


def tensors() -> list[bytes]:
    """Return the weights of the smallest model."""
    import open_clip
    import safetensors.torch

    given = json.loads(texts.CONFIGS[0])["model_cfg"]
    model = open_clip.model.CLIP(**given)
    return [safetensors.torch.save(model.state_dict())]


READERS: Final[Mapping[str, Reader]] = {
    "tar": Reader("shard.tar", seeds.tars(), shard, mutation.tar, 8),
    "parquet": Reader("shard.parquet", seeds.tables(), shard, is_python=False),
    "sidecar": Reader("shard.parquet", seeds.sidecars(), sidecar, weight=2, is_python=False),
    "image": Reader("image", seeds.pictures(), image, mutation.png, 6, is_python=False),
    "json": Reader("sample.json", texts.JSONS, fields, weight=12),
    "caption": Reader("caption.txt", texts.CAPTIONS, caption, weight=8),
    "classes-csv": Reader("classes.csv", texts.CLASSES_CSV, classes),
    "classes-yaml": Reader("classes.yaml", texts.CLASSES_YAML, classes, is_python=False),
    "answers": Reader("answers.csv", texts.ANSWERS, answers, weight=6),
    "recipe": Reader("recipe.yaml", texts.RECIPES, recipe),
    "npy": Reader("vectors.npy", seeds.arrays(), vectors, mutation.npy, 5),
    "npz": Reader("vectors.npz", seeds.archives(), vectors, weight=5),
    "state": Reader(states.ARRAYS, seeds.states(), state, mutation.safetensors, is_python=False),
    "step": Reader("step.parquet", seeds.tables(), step, weight=2, is_python=False),
    "night": Reader("night.json", texts.NIGHTS, night, weight=6),
    "config": Reader("open_clip_config.json", texts.CONFIGS, config, weight=6),
    "weights": Reader(
        "open_clip_model.safetensors", tensors(), weights, mutation.safetensors, 1, is_python=False
    ),
}
