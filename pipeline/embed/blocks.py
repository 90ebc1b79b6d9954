"""How much work the blocks of a picture file make: decoders spend seconds on a few megabytes."""

import struct
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

MAX_BLOCKS: Final = 100_000
"""Chunks of a PNG, segments of a JPEG, extensions of a GIF; 8 KiB of pixels stand in each."""
MAX_SCANNED_PIXELS: Final = 2 * 10**9
"""Pixels times scans of a JPEG: the largest picture in twenty scans."""

_FRAME, _SCAN, _ALONE = 0xFFC0, 0xFFDA, range(0xFFD0, 0xFFDA)
"""Markers of a JPEG: the first that has a length, of a scan, and those that stand alone."""
_GIF_FLAGS, _GIF_EXTENSION, _GIF_FRAME = 10, 0x21, 0x2C


def has_many_blocks(image: bytes) -> bool:
    """Return whether a file has more than `MAX_BLOCKS`; to be asked before it is opened."""
    found = (blocks(image) for magic, blocks in _BLOCKS.items() if image.startswith(magic))
    return any(sum(1 for _ in islice(each, MAX_BLOCKS + 1)) > MAX_BLOCKS for each in found)


def has_many_scans(image: bytes, num_pixels: int) -> bool:
    """Return whether a JPEG goes over its pixels so often that it passes `MAX_SCANNED_PIXELS`."""
    is_jpeg = image.startswith(_JPEG)
    return is_jpeg and image.count(b"\xff\xda") * num_pixels > MAX_SCANNED_PIXELS


def _chunks(png: bytes) -> Iterator[int]:
    position = 8
    while position + 8 <= len(png):
        yield position
        position += 12 + int.from_bytes(png[position : position + 4], "big")


def _segments(jpeg: bytes) -> Iterator[int]:
    """Yield the places of the segments in front of the first scan, and of stray bytes there."""
    position = 2
    while position + 4 <= len(jpeg):
        yield position
        marker, length = struct.unpack_from(">HH", jpeg, position)
        if marker == _SCAN:
            return
        has_length = marker >= _FRAME and marker not in _ALONE
        position += 2 + length if has_length else 1


def _extensions(gif: bytes) -> Iterator[int]:
    """Yield the places of the blocks and their parts in front of the first frame."""
    flags = gif[_GIF_FLAGS] if len(gif) > _GIF_FLAGS else 0
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while position + 2 < len(gif) and gif[position] != _GIF_FRAME:
        yield position
        is_extension = gif[position] == _GIF_EXTENSION
        position += 2 if is_extension else 1
        while is_extension and position < len(gif) and gif[position]:
            yield position
            position += 1 + gif[position]
        position += is_extension


_JPEG: Final = b"\xff\xd8"
_BLOCKS: Final[dict[bytes, Callable[[bytes], Iterator[int]]]] = {
    b"\x89PNG": _chunks,
    _JPEG: _segments,
    b"GIF8": _extensions,
}
