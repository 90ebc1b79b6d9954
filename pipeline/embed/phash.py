"""A 64-bit hash of what a picture looks like: it survives resizing and recompression."""

from typing import Final

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

LEAST_RANGE: Final = 8
"""Grey levels that a picture must span: below it the hash would be that of rounding errors."""
HALVED: Final = 64
"""Pixels a side that are hashed: larger pictures are averaged down first, which is cheap."""


def perceptual_hash(pixel: NDArray[np.uint8]) -> int | None:
    """Return the pHash of `(height, width, 3)` pixels; None for a picture of one grey.

    Examples
    --------
    >>> ramp = np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)
    >>> hex(perceptual_hash(ramp)) == hex(perceptual_hash(ramp.repeat(2, 0).repeat(2, 1)))
    True
    >>> perceptual_hash(np.full((32, 32, 3), 255, np.uint8))
    """
    grey = Image.fromarray(pixel).convert("L")
    grey = grey.reduce(max(1, min(grey.size) // HALVED))
    if np.ptp(np.asarray(grey)) < LEAST_RANGE:
        return None
    bits = imagehash.phash(grey).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
