"""From valid inputs to hostile ones: a few random changes, some right for the format."""

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random

from jobs.fuzz.texts import LARGE, NUMBERS, TOKENS

Mutate = Callable[[bytes, Random], bytes]

BLOCK = 512
MAX_BYTES = 2**16
TAR_FIELDS = ((0, 100), (100, 8), (108, 8), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155))
SIZES = (b"0" * 11 + b"\0", b"7" * 11 + b"\0", b"\x80" + b"\xff" * 11, b"-1", b"77777777777 ", b"")


def mutated(data: bytes, random: Random, seeds: Sequence[bytes], shape: Mutate) -> bytes:
    """Return an input after one to six changes.

    Parameters
    ----------
    data
        Where to start.
    random
        The source of every choice: the same state makes the same input.
    seeds
        Inputs that parts may be taken from.
    shape
        A change that knows the format.
    """
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        kind = random.choices(("shape", "splice", "scar"), (40, 6, 54))[0]
        if kind == "shape":
            data = shape(data, random)
        elif kind == "splice":
            other = random.choice(seeds)
            data = data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]
        else:
            data = scarred(data, random)
    return data[:MAX_BYTES]


def scarred(data: bytes, random: Random) -> bytes:
    """Return bytes with one change that knows nothing of their format."""
    start = random.randint(0, len(data))
    stop = min(len(data), start + random.choice((1, 2, 4, 8, 64, 512)))
    head, part, tail = data[:start], data[start:stop], data[stop:]
    token, order = random.choice(TOKENS), random.choice("<>")
    small = struct.pack(order + "I", random.choice(NUMBERS) & 0xFFFFFFFF)
    large = struct.pack(order + "Q", random.choice(LARGE) & (2**64 - 1))
    changes = (
        head + bytes([random.randrange(256)]) + data[start + 1 :],
        head + tail,
        head + part * random.choice((2, 3, 20)) + tail,
        head,
        head + small + data[start + 4 :],
        head + large + data[start + 8 :],
        head + token + data[start:],
        head + token + data[start + len(token) :],
    )
    return random.choice(changes)


def tar(data: bytes, random: Random) -> bytes:
    """Return a tar with a field of one header changed, and its checksum made right."""
    if len(data) < BLOCK:
        return data
    start = random.randrange(len(data) // BLOCK) * BLOCK
    header = bytearray(data[start : start + BLOCK])
    offset, size = random.choice(TAR_FIELDS)
    if size == 1:
        value = random.choice(b"01234567ASLKxgNVXD\0").to_bytes(1, "big")
    elif offset in (124, 136):
        value = random.choice(SIZES)
    else:
        value = random.choice(TOKENS)
    header[offset : offset + size] = value[:size].ljust(size, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:start] + bytes(header) + data[start + BLOCK :]


def png(data: bytes, random: Random) -> bytes:
    """Return a PNG with another size, or another chunk, whose checksum is right."""
    if not data.startswith(b"\x89PNG") or len(data) < 33:  # noqa: PLR2004 (the header's end)
        return data
    size = struct.pack(">II", random.choice(NUMBERS) & 0x7FFFFFFF, random.choice((1, 2, 9, 10**6)))
    header = b"IHDR" + size + data[24:29]
    chunk = random.choice((b"tEXt", b"zTXt", b"iCCP", b"eXIf", b"PLTE", b"acTL")) + random.choice(
        (b"k\0\0" + zlib.compress(bytes(10**6)), *TOKENS)
    )
    parts = [
        struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p))
        for p in (header, chunk)
    ]
    return data[:8] + parts[0] + parts[1] + data[33:]


def safetensors(data: bytes, random: Random) -> bytes:
    """Return safetensors whose header says something else, with its length made right."""
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + size])
        tensor = random.choice([each for each in header.values() if isinstance(each, dict)])
    except (ValueError, IndexError, AttributeError):
        return data
    changes = (
        {"shape": [random.choice(LARGE) for _ in range(random.randint(0, 3))]},
        {"dtype": random.choice(("F64", "I8", "BF16", "F8_E4M3", "BOOL", "U64", "X", ""))},
        {"data_offsets": [random.choice((0, 4, 48, *LARGE)) for _ in range(2)]},
        {},
    )
    change = random.choice(changes)
    tensor.update(change)
    if not change:
        header[random.choice(("__metadata__", "../x", "state.faiss", ""))] = tensor
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def npy(data: bytes, random: Random) -> bytes:
    """Return an array whose header says something else, with its length made right."""
    descr = random.choice(
        ("<f2", "<f4", "|O", "|V8", "<U4", "<M8[s]", "<c16", "f4,O", "<f1000", "?")
    )
    shape = tuple(random.choice((0, 1, 4, 6, *LARGE)) for _ in range(random.randint(0, 3)))
    order = random.choice(("True", "False", "None", "__import__('os')"))
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    version = random.choice((b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\xff\x00"))
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + size + text + data[128:]


def words(data: bytes, random: Random) -> bytes:
    """Return a text with words of it, or tokens, exchanged and nested."""
    parts = data.split(random.choice((b"\n", b",", b" ", b":", b'"')))
    at = random.randrange(len(parts))
    glue = random.choice((b"\n", b",", b" ", b": ", b'"'))
    parts[at] = random.choice((random.choice(TOKENS), random.choice(parts), parts[at] * 3, b""))
    if random.choice((True, False, False, False)):
        random.shuffle(parts)
    return glue.join(parts)
