"""The rows to train on, in a fixed order; nothing that is kept for evaluation."""

import csv
import io
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from jobs.tiny import captions
from jobs.tiny.captions import Texts
from jobs.tiny.render import Fonts, Glyph, draw, emoji_glyphs, icon_glyphs

SOURCES = ("tiny", "shop", "flickr", "garment", "recipe", "emoji", "icon")
DRAWN = ("emoji", "icon")
_UNSURE = (None, "Not sure", "Other", "Skip")
_VALIDATION_STEP = 50
_NUM_EMOJI_VARIANTS = 10
_NUM_ICON_VARIANTS = 2
_KEYWORDS_IN_CAPTION = 4
_LEAST_SIDE = 0.55
_MOST_STRETCH = 1.25


@dataclass(frozen=True)
class Row:
    """One picture, its texts by key, and whether it is kept for validation."""

    source: str
    picture: bytes
    texts: Texts
    is_validation: bool = False
    view: int = 0
    """0 is the whole picture, every other number a crop of its own."""

    def image(self) -> Image.Image:
        """Decode the picture and cut out the view."""
        picture = Image.open(io.BytesIO(self.picture)).convert("RGB")
        return picture.crop(self._box(*picture.size)) if self.view else picture

    def _box(self, width: int, height: int) -> tuple[int, int, int, int]:
        rng = np.random.default_rng((zlib.crc32(self.picture), self.view))
        side = rng.uniform(_LEAST_SIDE, 1)
        stretch = math.sqrt(math.exp(rng.uniform(-1, 1) * math.log(_MOST_STRETCH)))
        wide = max(1, round(min(1, side * stretch) * width))
        high = max(1, round(min(1, side / stretch) * height))
        left, top = rng.integers(0, width - wide + 1), rng.integers(0, height - high + 1)
        return int(left), int(top), int(left) + wide, int(top) + high


def read_views(data: Path, fonts: Fonts, num_views: Mapping[str, int]) -> Iterator[Row]:
    """Read every row as the views that teacher and student both look at.

    A teacher that is asked about the very crop its student sees teaches better than one that saw
    the whole picture once (Beyer et al. 2022, Knowledge distillation: a good teacher is patient
    and consistent). Rows kept for validation, and sources that `num_views` does not name, are
    seen whole.
    """
    for row in read_rows(data, fonts):
        num = 1 if row.is_validation else num_views.get(row.source, 1)
        yield from (replace(row, view=view) for view in range(num))


def read_rows(data: Path, fonts: Fonts) -> Iterator[Row]:
    """Read every training row, then the validation rows of Flickr8k."""
    yield from _tiny_rows(data)
    yield from _shop_rows(data)
    yield from _flickr_rows(data)
    yield from _garment_rows(data)
    yield from _recipe_rows(data)
    yield from _emoji_rows(data, fonts)
    yield from _icon_rows(fonts)


def read_classes(data: Path) -> list[dict[str, str]]:
    """Read the 200 classes of Tiny-ImageNet in the order of their labels."""
    with (data / "tiny_imagenet_classes.csv").open(encoding="utf-8") as file:
        return sorted(csv.DictReader(file), key=lambda row: int(row["label"]))


def table(path: Path) -> list[dict[str, Any]]:
    """Read a parquet file as rows."""
    return pq.read_table(path).to_pylist()


def code_points(name: str) -> str:
    """Turn `emoji_u1f468_200d_1f680` into the characters it stands for."""
    codes = name.removeprefix("emoji_u").split("_")
    return "".join(chr(int(code, 16)) for code in codes)


def heldout_emoji(data: Path) -> set[str]:
    """List the emoji of the evaluation set, without variation selectors."""
    names = pq.read_table(data / "emoji_apache2.parquet", columns=["id"])["id"].to_pylist()
    return {code_points(name).replace("\ufe0f", "") for name in names}


def is_heldout(glyph: Glyph, heldout: set[str]) -> bool:
    """Say whether the evaluation set shows this emoji."""
    return glyph.character.replace("\ufe0f", "") in heldout


def _tiny_rows(data: Path) -> Iterator[Row]:
    texts = [captions.class_texts(row) for row in read_classes(data)]
    for index, row in enumerate(table(data / "tiny_imagenet_train.parquet")):
        is_validation = index % _VALIDATION_STEP == 0
        yield Row("tiny", row["jpg"], texts[row["label"]], is_validation)


def _shop_rows(data: Path) -> Iterator[Row]:
    for row in table(data / "fashion_products.parquet"):
        yield Row("shop", row["jpg"], captions.shop_texts(row))


def _flickr_rows(data: Path) -> Iterator[Row]:
    for row in table(data / "flickr8k.parquet"):
        if row["split"] in ("train", "dev"):
            texts = {f"flickr/{row['image']}": tuple(row["captions"])}
            yield Row("flickr", row["jpg"], texts, row["split"] == "dev")


def _garment_rows(data: Path) -> Iterator[Row]:
    for row in table(data / "clothing_cc0.parquet"):
        if row["label"] not in _UNSURE:
            yield Row("garment", row["jpg"], captions.garment_texts(row))


def _recipe_rows(data: Path) -> Iterator[Row]:
    for row in table(data / "based_cooking_publicdomain.parquet"):
        yield Row("recipe", row["jpg"], captions.recipe_texts(row))


def _emoji_rows(data: Path, fonts: Fonts) -> Iterator[Row]:
    heldout = heldout_emoji(data)
    keywords = captions.read_keywords(fonts.keywords)
    for glyph in emoji_glyphs(fonts):
        if is_heldout(glyph, heldout):
            continue
        words = keywords.get(glyph.character.replace("\ufe0f", ""), ())[:_KEYWORDS_IN_CAPTION]
        texts = captions.emoji_texts(glyph.name, glyph.subgroup, glyph.group, words)
        yield from _drawn("emoji", glyph, texts, _NUM_EMOJI_VARIANTS)


def _icon_rows(fonts: Fonts) -> Iterator[Row]:
    for glyph in icon_glyphs(fonts):
        yield from _drawn("icon", glyph, captions.icon_texts(glyph.name), _NUM_ICON_VARIANTS)


def _drawn(source: str, glyph: Glyph, texts: Texts, num_variants: int) -> Iterator[Row]:
    for variant in range(num_variants):
        picture = draw(glyph, variant)
        if picture is not None:
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=90)
            yield Row(source, buffer.getvalue(), texts)
