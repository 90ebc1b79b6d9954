"""Draw one varied picture of a glyph and encode it as the web would."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from jobs.demo.backgrounds import draw_background
from jobs.demo.glyphs import TEXT_FONTS, text_font

SIZES = ((96, 96), (96, 96), (96, 96), (96, 80), (80, 96), (104, 88))
_FORMATS = ("jpg", "jpg", "jpg", "jpg", "jpg", "jpg", "jpg", "webp", "webp", "png")
_WATERMARKS = ("example.org", "SAMPLE", "stock", "preview")
_PNG_COLOURS = 32


def happens(share: float, rng: np.random.Generator) -> bool:
    """Decide whether something happens that does so in this share of the cases."""
    return bool(rng.random() < share)


@dataclass(frozen=True)
class Picture:
    """An encoded picture, the suffix of its format, and the name of its background colour."""

    data: bytes
    suffix: str
    colour: str


def draw_picture(glyph: Image.Image, rng: np.random.Generator, *, may_mirror: bool) -> Picture:
    """Draw a glyph on a background of its own and encode it.

    Parameters
    ----------
    glyph
        RGBA picture, cropped to its ink.
    rng
        Decides everything about the picture.
    may_mirror
        Whether the glyph may be flipped from left to right.
    """
    size = SIZES[rng.integers(len(SIZES))]
    canvas, colour = draw_background(size, rng)
    if happens(0.15, rng):
        _draw_plate(canvas, rng)
    _paste_glyph(canvas, _vary_glyph(glyph, min(size), rng, may_mirror=may_mirror), rng)
    if happens(0.08, rng):
        _draw_watermark(canvas, rng)
    if happens(0.06, rng):
        canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.1)))
    if happens(0.04, rng):
        canvas = ImageOps.grayscale(canvas).convert("RGB")
    data, suffix = encode(canvas, rng)
    return Picture(data, suffix, colour)


def encode(picture: Image.Image, rng: np.random.Generator) -> tuple[bytes, str]:
    """Encode a picture as JPEG, WebP or PNG; return the bytes and the suffix."""
    suffix = _FORMATS[rng.integers(len(_FORMATS))]
    quality = int(rng.integers(60, 91))
    buffer = io.BytesIO()
    if suffix == "jpg":
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
    elif suffix == "webp":
        picture.save(buffer, "WEBP", quality=quality, method=4)
    else:
        picture.quantize(_PNG_COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue(), suffix


def _vary_glyph(
    glyph: Image.Image, side: int, rng: np.random.Generator, *, may_mirror: bool
) -> Image.Image:
    """Scale, mirror, tint and turn a glyph for a canvas whose shorter side is `side`."""
    scale = rng.uniform(0.55, 0.95) * side / max(glyph.size)
    width, height = (max(1, round(length * scale)) for length in glyph.size)
    varied = glyph.resize((width, height), Image.Resampling.LANCZOS)
    if may_mirror and happens(0.5, rng):
        varied = ImageOps.mirror(varied)
    opacity = varied.getchannel("A")
    varied = _shift_hue(varied.convert("RGB"), int(rng.normal(0, 4)))
    varied = ImageEnhance.Color(varied).enhance(rng.uniform(0.75, 1.2))
    varied = ImageEnhance.Brightness(varied).enhance(rng.uniform(0.85, 1.12))
    varied.putalpha(opacity)
    angle = rng.normal(0, 9) if happens(0.8, rng) else rng.uniform(-35, 35)
    return varied.rotate(angle, Image.Resampling.BICUBIC, expand=True)


def _shift_hue(picture: Image.Image, steps: int) -> Image.Image:
    """Turn the hue by `steps` of 256."""
    hue, saturation, value = picture.convert("HSV").split()
    turned = hue.point(lambda level: (level + steps) % 256)
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def _paste_glyph(canvas: Image.Image, glyph: Image.Image, rng: np.random.Generator) -> None:
    """Paste a glyph somewhere near the middle, sometimes above its shadow."""
    free = np.array(canvas.size) - glyph.size
    corner = free / 2 + np.maximum(np.abs(free) / 2, 3) * rng.uniform(-0.9, 0.9, 2)
    left, top = (int(value) for value in corner)
    if happens(0.25, rng):
        shadow = glyph.getchannel("A").filter(ImageFilter.GaussianBlur(2))
        canvas.paste((20, 20, 20), (left + 3, top + 3), shadow.point(lambda level: level // 2))
    canvas.paste(glyph, (left, top), glyph)


def _draw_plate(canvas: Image.Image, rng: np.random.Generator) -> None:
    """Draw a disc or a rounded square, as icon sets do."""
    width, height = canvas.size
    colour = tuple(int(level) for level in rng.integers(60, 250, 3))
    box = (4, 4, width - 5, height - 5)
    if happens(0.5, rng):
        ImageDraw.Draw(canvas).ellipse(box, fill=colour)
    else:
        ImageDraw.Draw(canvas).rounded_rectangle(box, radius=14, fill=colour)


def _draw_watermark(canvas: Image.Image, rng: np.random.Generator) -> None:
    text = str(rng.choice(_WATERMARKS))
    corner = (int(rng.integers(2, 30)), int(rng.integers(4, canvas.height - 14)))
    level = int(rng.choice([40, 130, 235]))
    font = text_font(TEXT_FONTS[1], 10)
    ImageDraw.Draw(canvas).text(corner, text, font=font, fill=(level, level, level))
