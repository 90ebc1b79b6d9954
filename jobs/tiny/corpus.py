"""The training data as tensors in memory, and the batch of each step."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jobs.tiny.data import SOURCES, Row
from jobs.tiny.metrics import Tokenize
from jobs.tiny.recipe import Recipe
from jobs.tiny.told import class_shares

NO_KEY = -1


@dataclass(frozen=True)
class Corpus:
    """Every picture and every text; `n` pictures, `v` texts."""

    pixel: Tensor
    """`(n, 3, side, side)` uint8, channels last."""
    key: Tensor
    """`(n, 4)` numbers of the keys of a picture, the most special first, then `NO_KEY`."""
    text_start: Tensor
    text_count: Tensor
    """Where the texts of each key begin in `token`, and how many they are."""
    token: Tensor
    """`(v, context_length)`."""
    class_key: Tensor
    """Keys of the classes of Tiny-ImageNet, by label."""
    rows: dict[str, Tensor]
    """Training rows of each source."""
    validation: dict[str, Tensor]
    feature: Tensor
    logit: Tensor
    """What the teacher said: `(n, 1280)`, centred, and `(n, 1001)`; float16."""
    told: Tensor
    """`(n, 200)` shares of the classes of Tiny-ImageNet by the teacher, float16; 0 elsewhere."""


@dataclass(frozen=True)
class Batch:
    """`n` pictures and `t` texts; the first texts are one per class of Tiny-ImageNet."""

    row: Tensor
    token: Tensor
    is_positive: Tensor
    """`(n, t)`: whether a text fits a picture."""


def build_corpus(rows: Sequence[Row], tokenizer: Tokenize, teacher: Path, side: int) -> Corpus:
    """Tokenise the texts, decode the pictures and add the teacher's view of them."""
    names, texts = _collect_texts(rows)
    number = {name: index for index, name in enumerate(names)}
    counts = torch.tensor([len(texts[name]) for name in names])
    flat = [text for name in names for text in texts[name]]
    answers = np.load(teacher)
    feature = torch.from_numpy(answers["feature"]).float()
    key = torch.tensor([_padded([number[name] for name in row.texts]) for row in rows])
    class_key = torch.tensor([number[f"tiny/{label}"] for label in range(200)])
    tiny = _rows_of(rows, "tiny", is_validation=False)
    told = torch.zeros(len(rows), len(class_key), dtype=torch.float16)
    label = (key[tiny, :1] == class_key).int().argmax(1)
    picture = np.array([zlib.crc32(rows[row].picture) for row in tiny])
    told[tiny] = torch.from_numpy(
        class_shares(feature[tiny].numpy(), label.numpy(), picture)
    ).half()
    return Corpus(
        pixel=_pixels(rows, side),
        key=key,
        text_start=counts.cumsum(0) - counts,
        text_count=counts,
        token=torch.cat([tokenizer(flat[i : i + 4096]) for i in range(0, len(flat), 4096)]),
        class_key=class_key,
        rows={source: _rows_of(rows, source, is_validation=False) for source in SOURCES},
        validation={name: _rows_of(rows, name, is_validation=True) for name in ("tiny", "flickr")},
        feature=(feature - feature.mean(0)).half(),
        logit=torch.from_numpy(answers["logit"]),
        told=told,
    )


def load_or_build(path: Path, build: Callable[[], Corpus]) -> Corpus:
    """Read the corpus of an earlier start, or build it and keep it for the next."""
    if not path.exists():
        corpus = build()
        torch.save({field.name: getattr(corpus, field.name) for field in fields(corpus)}, path)
        return corpus
    return Corpus(**torch.load(path, weights_only=True))


def draw_batch(corpus: Corpus, recipe: Recipe, step: int) -> Batch:
    """Draw the batch of a step; it depends on the recipe and the step alone."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
    row, text_key = [], [corpus.class_key]
    for source, num in recipe.batch.items():
        chosen = _rows_at(corpus, recipe, source, step)
        row.append(chosen)
        if source != "tiny":
            weights = torch.tensor(recipe.key_weights[source])
            which = torch.multinomial(weights, num, replacement=True, generator=generator)
            text_key.append(corpus.key[chosen, which])
    rows, keys = torch.cat(row), torch.cat(text_key)
    share = torch.rand(len(keys), generator=generator)
    text = corpus.text_start[keys] + (share * corpus.text_count[keys]).long()
    is_positive = (corpus.key[rows][:, :, None] == keys).any(1)
    return Batch(rows, corpus.token[text].long(), is_positive)


def _rows_at(corpus: Corpus, recipe: Recipe, source: str, step: int) -> Tensor:
    """Walk through the shuffled rows of a source, epoch after epoch."""
    rows, num = corpus.rows[source], recipe.batch[source]
    place = torch.arange(step * num, (step + 1) * num)
    epoch, offset = place // len(rows), place % len(rows)
    seed = recipe.seed + SOURCES.index(source)
    orders = {int(e): _order(len(rows), seed, int(e)) for e in epoch.unique()}
    return torch.stack([rows[orders[int(e)][int(o)]] for e, o in zip(epoch, offset, strict=True)])


@lru_cache(maxsize=32)
def _order(num_rows: int, seed: int, epoch: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed * 1009 + epoch)
    return torch.randperm(num_rows, generator=generator)


def _collect_texts(rows: Sequence[Row]) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    texts: dict[str, tuple[str, ...]] = {}
    for row in rows:
        for name, some in row.texts.items():
            texts.setdefault(name, some)
    return list(texts), texts


def _padded(keys: list[int], num: int = 4) -> list[int]:
    return keys + [NO_KEY] * (num - len(keys))


def _rows_of(rows: Sequence[Row], source: str, *, is_validation: bool) -> Tensor:
    return torch.tensor(
        [i for i, r in enumerate(rows) if r.source == source and r.is_validation == is_validation]
    )


def _pixels(rows: Sequence[Row], side: int) -> Tensor:
    small = (row.image().resize((side, side), Image.Resampling.BICUBIC) for row in rows)
    pixel = np.stack([np.asarray(picture) for picture in small])
    return torch.from_numpy(pixel).permute(0, 3, 1, 2)
