"""One row of the demo corpus, and how clean rows are drawn."""

from dataclasses import dataclass

import numpy as np

from jobs.demo.captions import write_caption
from jobs.demo.classes import DEMO_CLASSES
from jobs.demo.glyphs import emoji_picture, glyphs_of, read_subgroups
from jobs.demo.render import Picture, draw_picture


@dataclass(frozen=True, kw_only=True)
class Row:
    """A picture, its caption and web label, and the truth about them."""

    image: bytes
    suffix: str
    text: str
    label: str
    true_label: str | None
    """The class that the picture shows; null for none."""
    is_telling: bool
    """Whether the caption tells what the picture shows."""
    fault: str | None = None
    duplicate_of: int | None = None
    """Position of the row that this one copies."""


def draw_clean_rows(num_rows: int, seed: int) -> list[Row]:
    """Draw clean rows in random order: classes of uneven size, glyphs of a class in turn."""
    rng = np.random.default_rng(seed)
    subgroups = read_subgroups()
    weight = rng.uniform(0.7, 1.3, len(DEMO_CLASSES))
    num_of_class = rng.multinomial(num_rows, weight / weight.sum())
    rows = []
    for demo_class, count in zip(DEMO_CLASSES, num_of_class, strict=True):
        glyphs = glyphs_of(demo_class, subgroups)
        turn = rng.permutation(len(glyphs))
        for number in range(count):
            glyph = glyphs[turn[number % len(glyphs)]]
            row_rng = np.random.default_rng([seed, len(rows)])
            picture = draw_picture(
                emoji_picture(glyph.character), row_rng, may_mirror=demo_class.may_mirror
            )
            class_words = (demo_class.name, *demo_class.synonyms)
            text, is_telling = write_caption(glyph.name, class_words, picture.colour, row_rng)
            rows.append(_clean_row(picture, text, demo_class.name, is_telling=is_telling))
    return [rows[position] for position in rng.permutation(num_rows)]


def _clean_row(picture: Picture, text: str, class_name: str, *, is_telling: bool) -> Row:
    return Row(
        image=picture.data,
        suffix=picture.suffix,
        text=text,
        label=class_name,
        true_label=class_name,
        is_telling=is_telling,
    )
