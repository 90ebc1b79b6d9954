"""Plant faults into clean rows: wrong labels and captions, foreign pictures, copies, ruins."""

import io
import struct
import zlib
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageEnhance

from jobs.demo.classes import DEMO_CLASSES, FOREIGN_SUBGROUPS
from jobs.demo.foreign import draw_foreign
from jobs.demo.glyphs import read_subgroups
from jobs.demo.render import encode
from jobs.demo.rows import Row

BROKEN_KINDS = (
    "truncated-image",
    "empty-image",
    "not-an-image",
    "huge-dimensions",
    "bad-utf8-text",
    "missing-text",
    "missing-image",
    "bad-json",
)
_HTML_PAGE = b"<!doctype html><title>Not found</title><p>The page you asked for has moved.</p>"
_HUGE_SIDE = 65_000
_IHDR_START = 12
"""Where the type of the first chunk of a PNG file stands; its two sides follow."""


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How many rows of each fault are planted, as a share of the clean rows asked for."""

    wrong_label: float = 0.12
    wrong_text: float = 0.08
    empty_text: float = 0.04
    foreign: float = 0.08
    exact_duplicate: float = 0.02
    near_duplicate: float = 0.02
    num_broken: int = 24
    """Rows, not a share: the kinds of broken file take turns."""

    def num_pictures(self, num_rows: int) -> int:
        """Count the pictures to draw: the rows asked for, and hosts of foreign and broken ones."""
        return num_rows + round(num_rows * self.foreign) + self.num_broken


def plant_faults(rows: list[Row], num_rows: int, shares: Shares, seed: int) -> list[Row]:
    """Return the rows with faults planted in them, in random order.

    Parameters
    ----------
    rows
        `shares.num_pictures(num_rows)` clean rows in random order.
    num_rows
        Rows to which the shares refer; the rows after these become foreign or broken.
    shares
        How many rows of each fault.
    seed
        Decides where the faults go.
    """
    rng = np.random.default_rng([seed, 1])
    planted = list(rows)
    count = {name: round(num_rows * share) for name, share in vars(shares).items()}
    _swap_texts(planted, num_rows, count["wrong_text"], rng)
    untouched = [place for place in range(num_rows) if planted[place].fault is None]
    wrong, empty, clean = np.split(
        rng.permutation(untouched),
        np.cumsum([count["wrong_label"], count["empty_text"]]),
    )
    for place in wrong:
        planted[place] = _with_wrong_label(planted[place], rng)
    for place in empty:
        planted[place] = replace(planted[place], text="", fault="empty-text")
    foreign_end = num_rows + count["foreign"]
    _make_foreign(planted, range(num_rows, foreign_end), rng)
    for turn, place in enumerate(range(foreign_end, len(planted))):
        planted[place] = _broken(planted[place], BROKEN_KINDS[turn % len(BROKEN_KINDS)])
    originals = rng.choice(clean, count["exact_duplicate"] + count["near_duplicate"], replace=False)
    for place in originals[: count["exact_duplicate"]]:
        copy = replace(planted[place], fault="exact-duplicate", duplicate_of=int(place))
        planted.append(copy)
    for place in originals[count["exact_duplicate"] :]:
        planted.append(_near_duplicate(planted[place], int(place), rng))
    return _shuffle(planted, rng)


def _swap_texts(rows: list[Row], num_rows: int, num_swapped: int, rng: np.random.Generator) -> None:
    """Give the first telling rows each other's captions, never one of the same class."""
    chosen = [place for place in range(num_rows) if rows[place].is_telling][:num_swapped]
    label = np.array([rows[place].label for place in chosen])
    donor = rng.permutation(len(chosen))
    while (clash := np.flatnonzero(label[donor] == label)).size:
        other = int(rng.integers(len(chosen)))
        donor[[clash[0], other]] = donor[[other, clash[0]]]
    texts = [rows[chosen[number]].text for number in donor]
    for place, text in zip(chosen, texts, strict=True):
        rows[place] = replace(rows[place], text=text, fault="wrong-text")


def _with_wrong_label(row: Row, rng: np.random.Generator) -> Row:
    others = [entry.name for entry in DEMO_CLASSES if entry.name != row.label]
    return replace(row, label=str(rng.choice(others)), fault="wrong-label")


def _make_foreign(rows: list[Row], places: range, rng: np.random.Generator) -> None:
    """Put pictures of no class in place of these rows' own."""
    subgroups = read_subgroups()
    glyphs = [glyph for name in FOREIGN_SUBGROUPS for glyph in subgroups[name]]
    for place in places:
        picture = draw_foreign(glyphs, rng)
        rows[place] = replace(
            rows[place],
            image=picture.data,
            suffix=picture.suffix,
            true_label=None,
            fault="foreign-image",
        )


def _near_duplicate(row: Row, place: int, rng: np.random.Generator) -> Row:
    """Cut a thin border away, change the brightness a little, encode again."""
    picture = Image.open(io.BytesIO(row.image)).convert("RGB")
    width, height = picture.size
    left, top, right, bottom = (int(cut) for cut in rng.integers(0, 4, 4))
    picture = picture.crop((left, top, width - right, height - bottom)).resize((width, height))
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.92, 1.08))
    data, suffix = encode(picture, rng)
    return replace(row, image=data, suffix=suffix, fault="near-duplicate", duplicate_of=place)


def _broken(row: Row, kind: str) -> Row:
    """Ruin the picture where the fault is in its bytes; the writer ruins the other members."""
    image, suffix = row.image, row.suffix
    if kind == "truncated-image":
        image = image[: len(image) // 2]
    elif kind == "empty-image":
        image = b""
    elif kind == "not-an-image":
        image = _HTML_PAGE
    elif kind == "huge-dimensions":
        image, suffix = _claim_huge_size(image), "png"
    return replace(row, image=image, suffix=suffix, fault=kind)


def _claim_huge_size(image: bytes) -> bytes:
    """Encode a picture as a PNG file whose header claims sides of `_HUGE_SIDE` pixels."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(image)).convert("RGB").quantize(16).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    struct.pack_into(">II", data, _IHDR_START + 4, _HUGE_SIDE, _HUGE_SIDE)
    header_end = _IHDR_START + 17
    struct.pack_into(">I", data, header_end, zlib.crc32(data[_IHDR_START:header_end]))
    return bytes(data)


def _shuffle(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    """Shuffle the rows and let each copy name the new place of its original."""
    order = rng.permutation(len(rows))
    new_place = {int(old): new for new, old in enumerate(order)}
    shuffled = [rows[old] for old in order]
    return [
        row if row.duplicate_of is None else replace(row, duplicate_of=new_place[row.duplicate_of])
        for row in shuffled
    ]
