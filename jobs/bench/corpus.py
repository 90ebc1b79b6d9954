"""A crawl of tiny rows with vectors that exist already, written as fast as the disk takes it.

Tars of three members a row (jpg, txt, json), one file of image vectors and one of text vectors a
shard, a class file and the classes' vectors. Everything is a function of the seed and of the
number of the shard, so a smaller crawl is the beginning of a larger one.
"""

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BLOCK = 512
NUM_CLASSES, NUM_DIMS, NUM_PICTURES = 20, 32, 64
SPREAD = 0.12
"""Deviation of a row's vector from the centre of its class, in each dimension."""
WRONG = 0.1
"""Share of labels that are another class's."""
BROKEN_EVERY = 1000
"""One row in so many has a vector that is no direction: it must end in quarantine."""
NAME, SIZE, CHECKSUM = slice(0, 100), slice(124, 135), slice(148, 156)
"""Fields of a tar header."""


@dataclass(frozen=True)
class Corpus:
    """Where a crawl lies."""

    folder: Path
    num_rows: int
    num_shards: int
    picture_blocks: int = 1
    """Size of every picture in blocks of 512 bytes; behind its end it is zeros."""

    @property
    def shard_rows(self) -> int:
        """Rows of every shard."""
        return self.num_rows // self.num_shards

    def recipe(self) -> dict[str, object]:
        """Return a recipe over the crawl, with every default but the vectors."""
        return {
            "source": {"path": str(self.folder / "shards" / "*.tar")},
            "classes": str(self.folder / "classes.csv"),
            "vectors": {
                "image": str(self.folder / "image" / "*.npy"),
                "text": str(self.folder / "text" / "*.npy"),
                "classes": str(self.folder / "classes.npy"),
            },
        }


def write(corpus: Corpus, seed: int = 0) -> None:
    """Write a crawl."""
    for name in ("shards", "image", "text"):
        (corpus.folder / name).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, 0])
    centre = random.standard_normal((2, NUM_CLASSES, NUM_DIMS)).astype(np.float32)
    centre /= np.linalg.norm(centre, axis=2, keepdims=True)
    names = [f"thing {k:02d}" for k in range(NUM_CLASSES)]
    (corpus.folder / "classes.csv").write_text("\n".join(["name", *names]))
    np.save(corpus.folder / "classes.npy", centre[1])
    picture = padded([jpeg(random) for _ in range(NUM_PICTURES)])
    for number in range(corpus.num_shards):
        random = np.random.default_rng([seed, 1, number])
        true = random.integers(0, NUM_CLASSES, corpus.shard_rows)
        other = (true + random.integers(1, NUM_CLASSES, len(true))) % NUM_CLASSES
        label = np.where(random.random(len(true)) < WRONG, other, true)
        for which, name in enumerate(("image", "text")):
            vector = random.standard_normal((len(true), NUM_DIMS)).astype(np.float32) * SPREAD
            vector += centre[which][true]
            vector[::BROKEN_EVERY] = 0.0
            np.save(corpus.folder / name / f"{number:05d}.npy", vector.astype(np.float16))
        shown = picture[random.integers(0, len(picture), len(true))]
        fill = ((0, 0), (0, (corpus.picture_blocks - 1) * BLOCK))
        write_tar(corpus, number, np.pad(shown, fill), label)


def jpeg(random: np.random.Generator) -> bytes:
    """Return a picture of a few hundred bytes."""
    buffer = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (8, 8), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_tar(
    corpus: Corpus, number: int, picture: NDArray[np.uint8], label: NDArray[np.int64]
) -> None:
    """Write one shard of `(n, blocks * 512)` pictures and `(n,)` labels."""
    rows = number * corpus.shard_rows + np.arange(len(label))
    text = [f"picture {row:08d} of some thing".encode() for row in rows]
    fields = [
        json.dumps({"label": f"thing {k:02d}", "url": f"https://example.org/{row:08d}"}).encode()
        for row, k in zip(rows, label, strict=True)
    ]
    content = {"jpg": picture, "txt": padded(text), "json": padded(fields)}
    size = {"jpg": picture.shape[1], "txt": len(text[0]), "json": len(fields[0])}
    parts = [
        part
        for name, data in content.items()
        for part in (headers(number, len(label), name, size[name]), data)
    ]
    end = np.zeros(2 * BLOCK, np.uint8)
    with (corpus.folder / "shards" / f"{number:05d}.tar").open("wb") as file:
        np.concatenate(parts, axis=1).tofile(file)
        end.tofile(file)


def headers(number: int, num_rows: int, extension: str, size: int) -> NDArray[np.uint8]:
    """Return the `(n, 512)` tar headers of one kind of member."""
    info = tarfile.TarInfo("")
    info.size = size
    header = np.frombuffer(info.tobuf(tarfile.USTAR_FORMAT), np.uint8)
    header = np.repeat(header[None], num_rows, axis=0)
    names = [f"{number:05d}-{row:05d}.{extension}".encode() for row in range(num_rows)]
    header[:, NAME] = padded(names)[:, NAME]
    header[:, CHECKSUM] = ord(" ")
    digits = [f"{total:06o}\0 ".encode() for total in header.sum(axis=1, dtype=np.int64)]
    header[:, CHECKSUM] = np.frombuffer(b"".join(digits), np.uint8).reshape(num_rows, -1)
    return header


def padded(texts: list[bytes]) -> NDArray[np.uint8]:
    """Return texts as `(n, 512)` blocks."""
    joined = b"".join(text.ljust(BLOCK, b"\0") for text in texts)
    return np.frombuffer(joined, np.uint8).reshape(-1, BLOCK)
