"""Pictures of no class: icons, letters, codes, plots, test patterns, other emoji."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from PIL.ImageFont import FreeTypeFont as Font

from jobs.demo.backgrounds import PALETTE, draw_background
from jobs.demo.glyphs import ICON_FONT, TEXT_FONTS, Glyph, emoji_picture, text_font
from jobs.demo.render import SIZES, Picture, draw_picture, encode, happens

ICONS = (
    "\uf1fe\uf080\uf036\uf0cb\uf0ce\uf1c0\uf121\uf120\uf1eb\uf02a\uf029\uf0c9\uf1de\uf0e8\uf1e0"
    "\uf126\uf019\uf093\uf002\uf0b0\uf1ec\uf021\uf074\uf0ec\uf011\uf2bb\uf09d\uf1fa\uf292\uf1f9"
    "\uf09e\uf012\uf0a0\uf2db\uf26c\uf108\uf109\uf10b\uf15b\uf233\uf205\uf127\uf0e0\uf155\uf200"
    "\uf05e\uf071\uf059\uf05a\uf044"
)
"""Icons for screens and forms, none of a thing that a class shows; no brands."""
_BANNERS = (
    "SALE",
    "-50%",
    "404",
    "NO IMAGE",
    "LOADING",
    "LOGIN",
    "MENU",
    "ADVERT",
    "FREE",
    "ERROR",
    "Thank you",
    "Page 2",
    "NEWS",
    "Sign up",
    "A4",
    "v2.0",
    "€ 9.99",
)
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabdefghkmnpqrt23456789&@%§ЖФЩДЯΩΨΞΔ"
_INKS = ("black", "blue", "red", "green", "purple", "teal", "white")
_MIN_CONTRAST = 200
"""Sum of the differences of the three colour levels."""

Draw = Callable[[tuple[int, int], np.random.Generator], Image.Image]


def draw_foreign(glyphs: list[Glyph], rng: np.random.Generator) -> Picture:
    """Draw a picture that belongs to no class.

    Parameters
    ----------
    glyphs
        Emoji of no class; about a quarter of the foreign pictures show one of these.
    rng
        Decides what is drawn.
    """
    if happens(0.25, rng):
        glyph = glyphs[rng.integers(len(glyphs))]
        return draw_picture(emoji_picture(glyph.character), rng, may_mirror=False)
    size = SIZES[rng.integers(len(SIZES))]
    draw = _KINDS[rng.integers(len(_KINDS))]
    data, suffix = encode(draw(size, rng), rng)
    return Picture(data, suffix, "")


def _write(size: tuple[int, int], text: str, font: Font, rng: np.random.Generator) -> Image.Image:
    """Write text in the middle of a background, in an ink that stands out from it."""
    canvas, colour = draw_background(size, rng)
    contrast = {name: np.abs(np.subtract(PALETTE[name], PALETTE[colour])).sum() for name in _INKS}
    ink = str(rng.choice([name for name in _INKS if contrast[name] > _MIN_CONTRAST]))
    middle = (size[0] // 2, size[1] // 2)
    ImageDraw.Draw(canvas).text(middle, text, font=font, fill=PALETTE[ink], anchor="mm")
    return canvas


def _banner(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    text = str(rng.choice(_BANNERS))
    return _write(size, text, _any_font(min(30, 110 // len(text)), rng), rng)


def _letter(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    letter = str(rng.choice(list(_ALPHABET)))
    return _write(size, letter, _any_font(int(rng.integers(48, 80)), rng), rng)


def _icon(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    icon = str(rng.choice(list(ICONS)))
    return _write(size, icon, text_font(ICON_FONT, int(rng.integers(40, 68))), rng)


def _any_font(size: int, rng: np.random.Generator) -> Font:
    return text_font(TEXT_FONTS[rng.integers(len(TEXT_FONTS))], size)


def _code(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Draw black and white cells, or bars, like a printed code."""
    cells = int(rng.integers(14, 24))
    shape = (cells, cells) if happens(0.7, rng) else (1, 2 * cells)
    dots = rng.integers(0, 2, shape, dtype=np.uint8) * np.uint8(255)
    return Image.fromarray(dots).resize(size, Image.Resampling.NEAREST).convert("RGB")


def _static(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Draw coloured noise, as of a broken camera."""
    coarse = rng.integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)


def _gradient(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BICUBIC)


def _plot(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Draw a line or a bar chart with axes."""
    canvas = Image.new("RGB", size, PALETTE["white"])
    pen = ImageDraw.Draw(canvas)
    width, height = size
    left, bottom = 10, height - 10
    pen.line((left, 6, left, bottom, width - 6, bottom), fill=PALETTE["black"])
    steps = int(rng.integers(5, 12))
    places = np.linspace(left + 4, width - 10, steps)
    values = bottom - 6 - np.abs(np.cumsum(rng.normal(0, 1, steps))) * 10
    levels = np.clip(values, 10, bottom - 2)
    ink = PALETTE[str(rng.choice(["blue", "red", "green", "purple", "teal", "orange"]))]
    if happens(0.5, rng):
        pen.line([(float(x), float(y)) for x, y in zip(places, levels, strict=True)], ink, 2)
        return canvas
    for x, y in zip(places, levels, strict=True):
        pen.rectangle((float(x) - 2, float(y), float(x) + 2, bottom - 1), fill=ink)
    return canvas


_KINDS: tuple[Draw, ...] = (_icon, _icon, _icon, _banner, _letter, _code, _static, _gradient, _plot)
