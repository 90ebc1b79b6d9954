"""Tars byte by byte: what `tarfile` would refuse to write."""

import io

from PIL import Image

BLOCK = 512
END = bytes(2 * BLOCK)


def picture(seed: int = 0) -> bytes:
    """Return a small JPEG."""
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), (seed % 256, 40, 200)).save(buffer, "JPEG")
    return buffer.getvalue()


def header(
    name: str | bytes, size: int | bytes = 0, kind: bytes = b"0", link: bytes = b""
) -> bytes:
    """Return one block; a size given as 12 bytes is written as it is."""
    name = name.encode() if isinstance(name, str) else name
    block = bytearray(BLOCK)
    block[0:100] = name[:100].ljust(100, b"\0")
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: str | bytes, data: bytes = b"", kind: bytes = b"0") -> bytes:
    """Return a header and its data."""
    return header(name, len(data), kind) + data + bytes(-len(data) % BLOCK)


def sample(key: str) -> bytes:
    """Return a sound sample of a picture and a caption."""
    return member(f"{key}.jpg", picture()) + member(f"{key}.txt", b"a caption")


def pax(*pairs: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """Return an extension header with these records."""
    return member("pax", b"".join(record(*pair) for pair in pairs), kind)


def record(keyword: bytes, value: bytes) -> bytes:
    """Return a pax record: its own length in decimals comes first."""
    body = b" " + keyword + b"=" + value + b"\n"
    length = len(body) + 1
    while len(b"%d" % length) + len(body) != length:
        length += 1
    return b"%d" % length + body


def base256(number: int) -> bytes:
    """Return a size as GNU writes those that octal digits cannot hold."""
    return (
        number.to_bytes(12, "big", signed=True)
        if number < 0
        else b"\x80" + number.to_bytes(11, "big")
    )
