"""From the bytes of a sample to pixels and tokens, or to the reason why not."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipeline.embed.blocks import has_many_blocks, has_many_scans
from pipeline.embed.phash import perceptual_hash

if TYPE_CHECKING:
    from pipeline.embed.frontend import Frontend

MAX_PIXELS = 89_478_485
"""Pictures with more pixels are quarantined before decoding: Pillow's own bomb limit."""

MAX_ASPECT = 100
"""Thinner pictures are quarantined: resized by the shorter side they would fill the memory."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO")
"""What is opened at all; Pillow hands some other formats to foreign programs."""

FAULTS = {
    "not-an-image": "the bytes are no picture that Pillow can identify",
    "truncated-image": "the picture ends before its last line, or its data is damaged",
    "image-too-thin": f"one side of the picture is more than {MAX_ASPECT} times the other",
    "image-too-complex": "the file has so many blocks or scans that it is made to waste time",
    "image-too-large": f"the picture has more than {MAX_PIXELS:,} pixels",
}
"""What decoding can find wrong with a picture."""

_DAMAGE = (ArithmeticError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError,
           ValueError, struct.error, zlib.error)  # fmt: skip
"""What Pillow's plugins raise on damaged data; no `MemoryError`, which says nothing of the data."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture: pixels as the encoder wants them, and its original size."""

    pixel: NDArray[np.uint8]
    width: int
    height: int
    phash: int | None
    """What it looks like: see `perceptual_hash`."""


def decode(image: bytes, frontend: "Frontend") -> Picture | str:
    """Return the picture in `image`, resized for the encoder, or a key of `FAULTS`."""
    if has_many_blocks(image):
        return "image-too-complex"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(image), formats=FORMATS)
        width, height = opened.size
        refused = _refused(image, width, height)
        if refused is not None:
            return refused
        pixel = np.asarray(frontend.resize(opened))
        phash = perceptual_hash(pixel)
    except UnidentifiedImageError:
        return "not-an-image"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return "image-too-large"
    except _DAMAGE:
        return "truncated-image"
    return Picture(pixel, width, height, phash)


def _refused(image: bytes, width: int, height: int) -> str | None:
    """Return why a picture of this size is not decoded at all."""
    if width * height > MAX_PIXELS:
        return "image-too-large"
    if max(width, height) > MAX_ASPECT * min(width, height):
        return "image-too-thin"
    return "image-too-complex" if has_many_scans(image, width * height) else None


def stack(pictures: Iterable[Picture | Any]) -> NDArray[np.uint8]:
    """Return `(n, height, width, 3)` uint8 of the pictures; `(0, 1, 1, 3)` for none."""
    pixel = [picture.pixel for picture in pictures]
    return np.stack(pixel) if pixel else np.zeros((0, 1, 1, 3), np.uint8)
