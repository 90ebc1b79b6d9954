"""How much of a bare loop's speed the whole embed step keeps: tar to committed fragments.

The bare loop of a large encoder is its forward pass over batches that lie in memory; that of
`winnow-tiny`, which is as fast as decoding, is decode and forward. Both run in the same process
type, precision, batch size and number of threads as the encoder worker of the step.
"""

import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from pipeline.embed.decode import Picture, decode, stack
from pipeline.embed.encoder import Encoder
from pipeline.embed.frontend import frontend
from pipeline.embed.spec import TINY, EncoderSpec
from pipeline.engine.ray import RayEngine
from pipeline.shards.find import find_shards
from pipeline.store import catalog as catalogs
from pipeline.store import embed as step
from pipeline.store.workspace import Workspace

MODELS = ("ViT-B-32", TINY)
FRAGMENT_ROWS = 256
CAPTION = "a photograph of item number {} on a wooden table, free shipping"


def report(rows: int, models: Sequence[str], repeats: int) -> None:
    """Print the share of the bare loop's speed that the embed step reaches, for each model."""
    torch.set_num_threads(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        pictures = make_shards(Path(folder) / "shards", rows)
        for model in models:
            spec = EncoderSpec(model=model, pretrained=random_weights(model, Path(folder)))
            bare = bare_rate(spec, pictures, repeats)
            for attempt in range(repeats):
                whole = step_rate(spec, f"{folder}/shards/*.tar", f"{folder}/{model}-{attempt}")
                print(
                    f"embed {model}: step {whole:.1f} rows/s, bare loop {bare:.1f} rows/s, "
                    f"share {whole / bare:.2f}",
                    flush=True,
                )


def make_shards(folder: Path, rows: int, per_shard: int = 1024) -> list[bytes]:
    """Write tars of smooth random pictures, 256 x 192 JPEG, and return the pictures."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    pictures = [smooth_jpeg(rng) for _ in range(rows)]
    for start in range(0, rows, per_shard):
        with tarfile.open(folder / f"{start // per_shard:05d}.tar", "w") as tar:
            for i in range(start, min(start + per_shard, rows)):
                meta = json.dumps({"label": "thing"}).encode()
                members = (("jpg", pictures[i]), ("txt", CAPTION.format(i).encode()))
                for extension, data in (*members, ("json", meta)):
                    info = tarfile.TarInfo(f"{i:09d}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return pictures


def smooth_jpeg(rng: np.random.Generator) -> bytes:
    """Return a picture that compresses about as a photograph does."""
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    sink = io.BytesIO()
    coarse.resize((256, 192), Image.Resampling.BICUBIC).save(sink, "JPEG", quality=88)
    return sink.getvalue()


def random_weights(model: str, folder: Path) -> str | None:
    """Write random weights of a built-in architecture; the bundled model has its own."""
    if model == TINY:
        return None
    torch.manual_seed(0)
    file = folder / f"{model}.safetensors"
    state = open_clip.create_model(model).state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, file)
    return str(file)


def bare_rate(spec: EncoderSpec, pictures: Sequence[bytes], repeats: int) -> float:
    """Return rows/s of the loop without a pipeline around it."""
    encoder, front = Encoder(spec), frontend(spec)
    token, _ = front.tokens([CAPTION.format(i) for i in range(len(pictures))])
    pixel = decoded(pictures, spec)
    encoder.image(pixel[: spec.batch_rows])  # warm-up
    rates = []
    for _ in range(repeats):
        with stopwatch() as seconds:
            encoder.image(decoded(pictures, spec) if spec.model == TINY else pixel)
            encoder.text(token)
        rates.append(len(pictures) / seconds[0])
    return float(np.median(rates))


def decoded(pictures: Sequence[bytes], spec: EncoderSpec) -> np.ndarray:
    """Return the pixels of all pictures."""
    opened = (decode(picture, frontend(spec)) for picture in pictures)
    return stack(picture for picture in opened if isinstance(picture, Picture))


def step_rate(spec: EncoderSpec, source: str, workspace: str) -> float:
    """Return rows/s of the embed step through Ray, start of its workers included."""
    engine = RayEngine()
    place = Workspace(workspace)
    catalog = catalogs.build(place, find_shards(source), engine, FRAGMENT_ROWS, ignore)
    embedded = step.embed_step(place, spec, "auto")
    with stopwatch() as seconds:
        step.run(embedded, catalog, spec, "auto", engine, ignore)
    return catalog.num_rows / seconds[0]


def ignore(_rows: int) -> None:
    """Show no progress."""


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Yield a list that holds the seconds once the block is left."""
    seconds: list[float] = []
    started = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - started)
