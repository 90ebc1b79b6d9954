"""Measure an exported model folder on pictures it was not trained on.

    python -m jobs.tiny.evaluate --data DATA --recipe RECIPE --model pipeline/embed/winnow_tiny

Stock open_clip loads the folder; the recipe only says where the fonts of the emoji are.
"""

import argparse
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL import Image
from torch import Tensor, nn

from jobs.tiny import metrics
from jobs.tiny.augment import normalize
from jobs.tiny.data import heldout_emoji, is_heldout, read_classes, table
from jobs.tiny.recipe import read_recipe
from jobs.tiny.render import HELDOUT_LOOK, TRAINING_LOOK, Fonts, Glyph, draw, emoji_glyphs

Figures = dict[str, float]
_PROMPTS = ("{}", "a photo of a {}", "a picture of a {}")
_SHOP_PROMPTS = ("{}", "a photo of a {}", "a product photo of {}")
_EMOJI_PROMPTS = ("{}", "{} emoji", "an emoji of {}", "{} icon")
_LOOKS = (("familiar", 99, TRAINING_LOOK), ("unfamiliar", 0, HELDOUT_LOOK))
_DEPTHS = (1, 5, 10)
_LEAST_TYPE_ROWS = 20
_RECALL_ROWS = 1000
_SPEED_ROWS = 1024
_SPEED_BATCH = 256
_SPEED_REPEATS = 5
_NUM_CAPTIONS = 5


@dataclass(frozen=True)
class Subject:
    """The model, its preprocessing and its tokenizer."""

    model: nn.Module
    resize: Callable[[Image.Image], Image.Image]
    tokenize: metrics.Tokenize

    def pixels(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Resize pictures and return `(n, 3, side, side)` uint8."""
        small = [torch.frombuffer(bytearray(self._bytes(p)), dtype=torch.uint8) for p in pictures]
        side = int((len(small[0]) // 3) ** 0.5)
        return torch.stack(small).view(-1, side, side, 3).permute(0, 3, 1, 2)

    def _bytes(self, picture: Image.Image) -> bytes:
        return self.resize(picture.convert("RGB")).tobytes()

    def classes(self, names: Sequence[str], prompts: Sequence[str]) -> Tensor:
        """Return one unit embedding a class name."""
        filled = [[prompt.format(name) for prompt in prompts] for name in names]
        return metrics.embed_classes(self.model, filled, self.tokenize)


def load(folder: Path) -> Subject:
    """Load a model folder the way any user of open_clip would."""
    name = f"local-dir:{folder.resolve()}"
    model, _, transform = open_clip.create_model_and_transforms(name)
    resize = transform.transforms[0]
    return Subject(model.eval(), resize, open_clip.get_tokenizer(name))


def decode(jpg: bytes) -> Image.Image:
    """Decode an encoded picture."""
    return Image.open(io.BytesIO(jpg)).convert("RGB")


def tiny_imagenet(subject: Subject, data: Path) -> Figures:
    """Return zero-shot accuracy over the 200 classes."""
    rows = table(data / "tiny_imagenet_val.parquet")
    names = [row["simple_name"] for row in read_classes(data)]
    picture = _embed(subject, [decode(row["jpg"]) for row in rows])
    label = torch.tensor([row["label"] for row in rows])
    one = metrics.accuracy(picture, subject.classes(names, _PROMPTS[1:2]), label)
    return {
        "tiny_top1_one_prompt": one,
        "tiny_top1": metrics.accuracy(picture, subject.classes(names, _PROMPTS), label),
    }


def flickr(subject: Subject, data: Path) -> Figures:
    """Return recall both ways over 1,000 photos and 5,000 captions."""
    rows = [row for row in table(data / "flickr8k.parquet") if row["split"] == "test"]
    picture = _embed(subject, [decode(row["jpg"]) for row in rows])
    captions = [caption for row in rows for caption in row["captions"]]
    text = metrics.embed_texts(subject.model, captions, subject.tokenize)
    owner = torch.arange(len(rows)).repeat_interleave(_NUM_CAPTIONS)
    is_match = owner[:, None] == torch.arange(len(rows))
    cosine = text @ picture.T
    figures = {f"flickr_t2i_r{k}": metrics.recall(cosine, is_match, k) for k in _DEPTHS}
    back = {f"flickr_i2t_r{k}": metrics.recall(cosine.T, is_match.T, k) for k in _DEPTHS}
    return figures | back


def shop(subject: Subject, data: Path) -> Figures:
    """Return how well swapped titles are told, recall, and zero-shot over article types."""
    rows = [r for r in table(data / "fashion_products_heldout.parquet") if r["title"]]
    picture = _embed(subject, [decode(row["jpg"]) for row in rows])
    titles = [row["title"] for row in rows]
    text = metrics.embed_texts(subject.model, titles, subject.tokenize)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    swapped = torch.tensor([titles[i] != titles[int(j)] for i, j in enumerate(order)])
    matched, other = (picture * text).sum(1), (picture * text[order]).sum(1)[swapped]
    some = order[:_RECALL_ROWS]
    number = {title: index for index, title in enumerate(dict.fromkeys(titles))}
    title_of = torch.tensor([number[titles[int(i)]] for i in some])
    is_match = title_of[:, None] == title_of
    cosine = text[some] @ picture[some].T
    return {
        "shop_swapped_auroc": metrics.area_under_curve(matched, other),
        "shop_t2i_r10_of_1000": metrics.recall(cosine, is_match, 10),
        **_article_types(subject, rows, picture),
    }


def _article_types(subject: Subject, rows: list[dict[str, Any]], picture: Tensor) -> Figures:
    kinds = [row["articleType"] for row in rows]
    common = sorted(k for k, num in Counter(kinds).items() if num >= _LEAST_TYPE_ROWS)
    kept = torch.tensor([kind in common for kind in kinds])
    label = torch.tensor([common.index(kind) for kind in kinds if kind in common])
    classes = subject.classes(common, _SHOP_PROMPTS)
    return {
        "shop_num_types": float(len(common)),
        "shop_type_top1": metrics.accuracy(picture[kept], classes, label),
    }


def emoji(subject: Subject, data: Path, fonts: Fonts) -> Figures:
    """Return zero-shot accuracy over Unicode subgroups, in a familiar and in an unfamiliar look.

    `seen` are emoji that training drew, in other variants; `unseen` those of the evaluation set.
    """
    glyphs = [glyph for glyph in emoji_glyphs(fonts) if glyph.group != "Flags"]
    heldout = heldout_emoji(data)
    figures = {}
    for name, variant, look in _LOOKS:
        drawn = [(glyph, draw(glyph, variant, look)) for glyph in glyphs]
        shown = [glyph for glyph, picture in drawn if picture is not None]
        picture = _embed(subject, [picture for _, picture in drawn if picture is not None])
        unseen = torch.tensor([is_heldout(glyph, heldout) for glyph in shown])
        for kind, chosen in (("seen", ~unseen), ("unseen", unseen)):
            found = _emoji_figures(subject, shown, picture, chosen)
            figures |= {f"emoji_{name}_{kind}_{what}": value for what, value in found.items()}
    return figures


def _emoji_figures(
    subject: Subject, glyphs: Sequence[Glyph], picture: Tensor, chosen: Tensor
) -> Figures:
    subgroups = sorted({glyph.subgroup for glyph in glyphs})
    label = torch.tensor([subgroups.index(glyph.subgroup) for glyph in glyphs])
    words = [name.replace("-", " ").replace("&", "and") for name in subgroups]
    named = subject.classes([glyph.name for glyph in glyphs], _EMOJI_PROMPTS)
    own = torch.arange(len(glyphs))
    classes = subject.classes(words, _EMOJI_PROMPTS)
    cosine = picture[chosen] @ named.T
    return {
        "subgroup_top1": metrics.accuracy(picture[chosen], classes, label[chosen]),
        "subgroup_of_nearest_name": float(
            (label[cosine.argmax(1)] == label[chosen]).float().mean()
        ),
        "name_r10": metrics.recall(cosine, own[chosen][:, None] == own, 10),
    }


def speed(subject: Subject, data: Path) -> Figures:
    """Return pairs a second through both towers, without and with decoding."""
    rows = [row for row in table(data / "flickr8k.parquet") if row["split"] == "test"]
    rows = (rows * 2)[:_SPEED_ROWS]
    token = subject.tokenize([row["captions"][0] for row in rows])
    pixel = subject.pixels([decode(row["jpg"]) for row in rows])
    decoding = _best_time(lambda: subject.pixels([decode(row["jpg"]) for row in rows]))
    figures = {}
    for name, dtype in (("fp32", None), ("bf16", torch.bfloat16)):
        forward = _best_time(partial(_forward, subject.model, pixel, token, dtype))
        figures[f"{name}_forward_per_s"] = len(rows) / forward
        figures[f"{name}_decode_and_forward_per_s"] = len(rows) / (forward + decoding)
    return figures


def _best_time(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_SPEED_REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


@torch.inference_mode()
def _forward(model: nn.Module, pixel: Tensor, token: Tensor, dtype: torch.dtype | None) -> None:
    parts = zip(pixel.split(_SPEED_BATCH), token.split(_SPEED_BATCH), strict=True)
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        for part, text in parts:
            picture = normalize(part).contiguous(memory_format=torch.channels_last)
            model.encode_image(picture, normalize=True)
            model.encode_text(text, normalize=True)


def _embed(subject: Subject, pictures: Sequence[Image.Image]) -> Tensor:
    return metrics.embed_pictures(subject.model, subject.pixels(pictures))


def main() -> None:
    """Print every figure as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    subject = load(arguments.model)
    fonts = read_recipe(arguments.recipe).fonts
    figures = {
        **tiny_imagenet(subject, arguments.data),
        **flickr(subject, arguments.data),
        **shop(subject, arguments.data),
        **emoji(subject, arguments.data, fonts),
        **speed(subject, arguments.data),
    }
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
