"""Draw emoji and icons of Debian's free fonts as training pictures."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jobs.demo.backgrounds import draw_background

SIDE = 96
_EMOJI_FONT_SIZE = 109
_ICON_FONT_SIZE = 96
_PATTERNED = 0.6
"""Share of training pictures on one of the demo's backgrounds."""
_SKIN_TONES = {chr(code) for code in range(0x1F3FB, 0x1F400)}
_EMOJI_LINE = re.compile(r"^([0-9A-F ]+?)\s*; fully-qualified\s+# \S+ E[\d.]+ (.+)$")
_ICON_RULE = re.compile(
    r"\.(?:fa|mdi)-([a-z0-9-]+)::?before\s*\{\s*content:\s*\"\\([0-9a-fA-F]{4,5})\""
)


@dataclass(frozen=True, kw_only=True)
class Fonts:
    """Where the fonts and the lists of their glyphs lie."""

    emoji_list: str
    emoji_font: str
    keywords: str
    """The English annotations of CLDR."""
    icons: tuple[tuple[str, str], ...]
    """Pairs of a font and the style sheet that names its glyphs."""


@dataclass(frozen=True)
class Glyph:
    """One picture of a font and what it is called."""

    character: str
    name: str
    group: str
    subgroup: str
    font: str
    is_colour: bool


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a glyph is laid on its ground."""

    turn: tuple[float, float] = (-20.0, 20.0)
    """Least and most degrees; the look of the evaluation lies outside."""
    scale: tuple[float, float] = (0.55, 0.95)
    checks: bool = False


TRAINING_LOOK = Look()
HELDOUT_LOOK = Look(turn=(22.0, 35.0), scale=(0.45, 0.54), checks=True)


def emoji_glyphs(fonts: Fonts) -> Iterator[Glyph]:
    """List the emoji without a skin tone, with their Unicode group and subgroup."""
    group = subgroup = ""
    for line in Path(fonts.emoji_list).read_text(encoding="utf-8").splitlines():
        if line.startswith("# group:"):
            group = line.partition(":")[2].strip()
        elif line.startswith("# subgroup:"):
            subgroup = line.partition(":")[2].strip()
        elif match := _EMOJI_LINE.match(line):
            character = "".join(chr(int(code, 16)) for code in match[1].split())
            if not _SKIN_TONES & set(character):
                yield Glyph(character, match[2], group, subgroup, fonts.emoji_font, is_colour=True)


def icon_glyphs(fonts: Fonts) -> Iterator[Glyph]:
    """List the icons by the names in their style sheets."""
    for font, sheet in fonts.icons:
        for name, code in _ICON_RULE.findall(Path(sheet).read_text(encoding="utf-8")):
            words = name.replace("-", " ")
            yield Glyph(chr(int(code, 16)), words, "Icons", "icon", font, is_colour=False)


def draw(glyph: Glyph, variant: int, look: Look = TRAINING_LOOK) -> Image.Image | None:
    """Draw one variant of a glyph, or None where the font has no picture.

    Parameters
    ----------
    glyph
        What to draw.
    variant
        With the glyph's name it seeds colours, size, place and turn.
    look
        Ranges of these.
    """
    seed = zlib.crc32(f"{glyph.font}/{glyph.name}".encode())
    rng = np.random.default_rng((seed, variant))
    ink = _ink(glyph, rng)
    if ink is None:
        return None
    canvas, is_dark = _ground(rng, checks=look.checks)
    if not glyph.is_colour:
        ink = _paint(ink, rng, is_light=is_dark)
    scale = rng.uniform(*look.scale) * SIDE / max(ink.size)
    ink = ink.resize([max(1, round(length * scale)) for length in ink.size])
    turn = rng.uniform(*look.turn) * rng.choice([-1, 1])
    ink = ink.rotate(turn, Image.Resampling.BICUBIC, expand=True)
    room = [max(0, SIDE - length) for length in ink.size]
    place = tuple(int(rng.integers(0, space + 1)) for space in room)
    canvas.paste(ink, place, ink)
    return canvas


def _ink(glyph: Glyph, rng: np.random.Generator) -> Image.Image | None:
    """Return the glyph alone as RGBA, cut to its box."""
    size = _EMOJI_FONT_SIZE if glyph.is_colour else _ICON_FONT_SIZE
    font = ImageFont.truetype(glyph.font, size)
    canvas = Image.new("RGBA", (220, 220))
    fill = tuple(int(value) for value in rng.integers(0, 256, 3))
    draw_on = ImageDraw.Draw(canvas)
    draw_on.text((40, 40), glyph.character, font=font, fill=fill, embedded_color=glyph.is_colour)
    box = canvas.getbbox()
    return canvas.crop(box) if box else None


def _paint(ink: Image.Image, rng: np.random.Generator, *, is_light: bool) -> Image.Image:
    """Give a one-colour glyph a colour that stands out."""
    low, high = (170, 256) if is_light else (0, 110)
    colour = tuple(int(value) for value in rng.integers(low, high, 3))
    painted = Image.new("RGBA", ink.size, (*colour, 255))
    painted.putalpha(ink.getchannel("A"))
    return painted


def _ground(rng: np.random.Generator, *, checks: bool) -> tuple[Image.Image, bool]:
    """Return a background and whether it is dark."""
    is_dark = bool(rng.random() < 0.3)  # noqa: PLR2004
    low, high = (0, 90) if is_dark else (185, 256)
    if not checks and rng.random() < _PATTERNED:
        ground, _ = draw_background((SIDE, SIDE), rng)
        return ground, float(np.asarray(ground).mean()) < 128  # noqa: PLR2004
    first, second = rng.integers(low, high, (2, 3)).astype(float)
    if rng.random() < 0.25 and not is_dark:  # noqa: PLR2004
        first = second = np.array([255.0, 255.0, 255.0])
    across, down = np.meshgrid(np.linspace(0, 1, SIDE), np.linspace(0, 1, SIDE))
    if checks:
        share = ((across * 8).astype(int) + (down * 8).astype(int)) % 2
    else:
        angle = rng.uniform(0, 2 * np.pi)
        share = np.clip(0.5 + np.cos(angle) * (across - 0.5) + np.sin(angle) * (down - 0.5), 0, 1)
    pixel = first * (1 - share[..., None]) + second * share[..., None]
    return Image.fromarray(pixel.round().astype(np.uint8)), is_dark
