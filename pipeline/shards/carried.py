"""Which members of a source sample a training job can load, and without running what they hold."""

import io
import json
import math
import re
import warnings
from collections.abc import Callable
from typing import Any, Final

from numpy.lib import format as npy
from PIL import Image

EXECUTED: Final = frozenset({"pyd", "pickle", "pth", "pkl", "pt", "ckpt", "joblib", "dill", "npz"})
"""Unpickled by WebDataset's loader, or by those who load what they find under these names."""
UNPACKED: Final = frozenset({"gz", "ten", "tb", "mp", "msg", "cbor"})
"""WebDataset's loader unpacks these first, or needs a package that the job may not have."""
NUMBERS: Final = frozenset({"cls", "cls2", "index", "inx", "id"})
TEXTS: Final = frozenset({"txt", "text", "transcript"})
PICTURES: Final = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO")
"""Of the picture of a sample, whatever its name: no other decoder is tried."""
MAX_PIXELS: Final = 89_478_485
"""Of a picture: Pillow's own limit, above which the loader warns or fails."""

_OPENED: Final = frozenset(
    [
        *("blp", "bmp", "dib", "bufr", "cur", "pcx", "dcx", "dds", "ps", "eps", "fit", "fits"),
        *("fli", "flc", "ftc", "ftu", "gbr", "gif", "grib", "h5", "hdf", "apng", "jp2", "j2k"),
        *("jpc", "jpf", "jpx", "j2c", "icns", "ico", "im", "iim", "tif", "tiff", "jfif", "jpe"),
        *("mpg", "mpeg", "msp", "pcd", "pxr", "pbm", "pgm", "ppm", "pnm", "psd", "bw", "rgb"),
        *("rgba", "sgi", "ras", "tga", "icb", "vda", "vst", "wmf", "emf", "xbm", "xpm"),
    ]
)
"""The other names that WebDataset hands to Pillow, which starts Ghostscript for some contents."""
_NAME: Final = re.compile(r"[a-z0-9_-]{1,64}(\.[a-z0-9_-]{1,64}){0,7}")
"""Of an extension: what no tar, loader or shell reads as anything else."""
_FAULTS: Final = (OSError, ValueError, TypeError, SyntaxError, LookupError, ArithmeticError,
                  EOFError, MemoryError, RuntimeError, Image.DecompressionBombError)  # fmt: skip


def is_loadable(extension: str, data: bytes) -> bool:
    """Return whether the default decoder of WebDataset and OpenCLIP loads a member harmlessly.

    What it cannot load costs the training job the whole sample; what it does not know it hands on
    as bytes.

    Examples
    --------
    >>> is_loadable("cls", b"7"), is_loadable("cls", b"cat"), is_loadable("seg.npy", b"")
    (True, False, False)
    >>> is_loadable("pickle", b""), is_loadable("pickle.gz", b""), is_loadable("a b", b"")
    (False, False, False)
    """
    if _NAME.fullmatch(extension) is None:
        return False
    last = extension.rpartition(".")[2]
    if last in EXECUTED or last in UNPACKED or last in _OPENED:
        return False
    if last in PICTURES:
        return is_picture(data, PICTURES[last])
    return last not in _CHECKS or _CHECKS[last](data)


def is_executed(extension: str) -> bool:
    """Return whether a loader may unpickle a member of this name, packed or not.

    Examples
    --------
    >>> is_executed("seg.pickle.gz"), is_executed("pickle.txt")
    (True, False)
    """
    parts = re.split("[^a-z0-9]+", extension)
    if _NAME.fullmatch(extension) is None:
        return not EXECUTED.isdisjoint(parts)
    return next((part for part in reversed(parts) if part != "gz"), "") in EXECUTED


def is_picture(data: bytes, kind: str | None = None) -> bool:
    """Return whether Pillow decodes a picture of the web that is not larger than `MAX_PIXELS`."""
    formats = [kind] if kind else FORMATS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=formats) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    return False
                picture.convert("RGB")
    except _FAULTS:
        return False
    return True


def _is_number(data: bytes) -> bool:
    return re.fullmatch(rb"\s*[+-]?\d{1,18}\s*", data) is not None


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _is_array(data: bytes) -> bool:
    """Return whether `.npy` holds numbers, all of them: objects would be pickles."""
    stream = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, _, kind = _HEADS[npy.read_magic(stream)](stream)
    except _FAULTS:
        return False
    is_whole = kind.itemsize * math.prod(shape) == len(data) - stream.tell()
    return is_whole and min(shape, default=0) >= 0 and not kind.hasobject


_HEADS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_CHECKS: Final[dict[str, Callable[[bytes], Any]]] = {
    **dict.fromkeys(NUMBERS, _is_number),
    **dict.fromkeys(TEXTS, _is_text),
    **dict.fromkeys(("json", "jsn"), _is_json),
    "npy": _is_array,
}
