"""Small JPEG pictures as data URIs, made from bytes that nobody has vetted."""

import struct
import warnings
from base64 import b64encode
from io import BytesIO
from typing import Final

from PIL import Image, ImageOps

SIDE: Final = 128
"""Longest side of a thumbnail in pixels."""
MAX_BYTES: Final = 64 * 2**20
"""A larger file is not opened."""
MAX_PIXELS: Final = 64 * 10**6
"""A picture that claims more is not decoded."""
FORMATS: Final = ("JPEG", "PNG", "WEBP")
"""The formats that the read stage lets through; no other decoder is tried."""
FAULTS: Final = (OSError, ValueError, TypeError, SyntaxError, LookupError, ArithmeticError,
                 EOFError, MemoryError, struct.error, Image.DecompressionBombError)  # fmt: skip
"""What decoders raise on broken files."""

PLACEHOLDER: Final = "data:image/svg+xml;base64," + b64encode(
    b'<svg xmlns="http://www.w3.org/2000/svg" width="128" height="128" viewBox="0 0 128 128">'
    b'<g fill="none" stroke="#9a9ca3" stroke-width="3" stroke-linejoin="round">'
    b'<rect x="38" y="43" width="52" height="42" rx="5"/><circle cx="54" cy="57" r="4"/>'
    b'<path d="M40 80l16-14 10 8 12-13 12 12"/></g></svg>'
).decode("ascii")
"""Shown where there is no picture."""


def data_uri(image: bytes | None) -> str:
    """Return a thumbnail of an encoded image, or the placeholder where that fails.

    Parameters
    ----------
    image
        The original file, or None.

    Returns
    -------
    A `data:` URI of base64 and so safe inside an attribute.

    Examples
    --------
    >>> data_uri(b"GIF89a, or so it says") == data_uri(None) == PLACEHOLDER
    True
    """
    if image is None or len(image) > MAX_BYTES:
        return PLACEHOLDER
    try:
        jpeg = _thumbnail(image)
    except FAULTS:
        return PLACEHOLDER
    return "data:image/jpeg;base64," + b64encode(jpeg).decode("ascii")


def _thumbnail(image: bytes) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(BytesIO(image), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ValueError(f"picture claims {picture.size} pixels")
            picture.draft("RGB", (SIDE, SIDE))
            picture.thumbnail((SIDE, SIDE))
            small = _flat(ImageOps.exif_transpose(picture))
    small.info.clear()
    file = BytesIO()
    small.save(file, "JPEG", quality=80, optimize=True)
    return file.getvalue()


def _flat(picture: Image.Image) -> Image.Image:
    """Return the picture in RGB, laid on white where it is transparent."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    clear = picture.convert("RGBA")
    white = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(white, clear).convert("RGB")
