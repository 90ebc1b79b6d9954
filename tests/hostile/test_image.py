import io
import json
import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.embed.blocks import MAX_BLOCKS
from pipeline.embed.decode import FAULTS, MAX_PIXELS, Picture, decode
from pipeline.embed.frontend import frontend
from tests.hostile.confined import SECONDS

MIB = 2**20
SIDE = int(MAX_PIXELS**0.5)


@pytest.fixture(scope="session")
def front(spec):
    return frontend(spec)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(size=(64, 48), mode="RGB"):
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 255, (*size[::-1], 3)).astype(np.uint8))
    return image.convert(mode)


def zeros(size):
    """Return that many zeros in as few bytes as zlib can."""
    squeeze = zlib.compressobj(9)
    parts = [squeeze.compress(bytes(min(MIB, size - at))) for at in range(0, size, MIB)]
    return b"".join(parts) + squeeze.flush()


def chunk(kind, data=b""):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(side, *chunks, mode=2, bits=8, data=None):
    head = struct.pack(">IIBBBBB", side, side, bits, mode, 0, 0, 0)
    samples = {0: 1, 2: 3, 6: 4}[mode]
    data = zeros(side * (1 + -(-side * samples * bits // 8))) if data is None else data
    parts = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", data), chunk(b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def segments(count, data=b""):
    """Return a JPEG with so many comments before its picture."""
    image = encoded(noise(), "JPEG")
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(data)) + data
    return image[:2] + comment * count + image[2:]


def scans(side, count):
    """Return a progressive JPEG whose last scan comes that often."""
    image = encoded(Image.new("RGB", (side, side)), "JPEG", progressive=True, quality=1)
    last = image[image.rindex(b"\xff\xda") : -2]
    return image[:-2] + last * count + image[-2:]


def tag(number, kind, count, value):
    return struct.pack("<HHII", number, kind, count, value)


def tiff(*more, side=4, following=0):
    """Return an uncompressed TIFF with more tags, and the place of the next directory."""
    tags = [tag(256, 4, 1, side), tag(257, 4, 1, side), tag(258, 3, 1, 8), tag(259, 3, 1, 1)]
    tags += [tag(262, 3, 1, 1), *more, tag(273, 4, 1, 8), tag(278, 4, 1, side), tag(279, 4, 1, 16)]
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + b"".join(tags) + struct.pack("<I", following) + bytes(400)


def gif(*blocks, screen=2, frame=2):
    head = b"GIF89a" + struct.pack("<HH", screen, screen) + b"\0\0\0"
    picture = b"\x2c" + struct.pack("<HHHH", 0, 0, frame, frame) + b"\0\x02\x02\x44\x01\0;"
    return head + b"".join(blocks) + picture


def ico(image):
    return b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 1, 1, 0, 0, 1, 32, len(image), 22) + image


TOO_LARGE = {
    "png": png(60_000, data=b""),
    "png of zeros": png(20_000, data=zeros(10 * MIB)),
    "gif": gif(screen=65_535),
    "gif frame": gif(frame=65_535),
    "ico": ico(png(20_000, data=b"")),
    "tiff": tiff(side=60_000),
    "bmp": b"BM"
    + struct.pack("<IHHI", 1000, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
    "jpeg": encoded(noise((64, 64)), "JPEG").replace(
        struct.pack(">HH", 64, 64), struct.pack(">HH", 65_500, 65_500), 1
    ),
    "webp": b"RIFF\x22\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0VP8 \x0a\0\0\0"
    + bytes(10),
}


@pytest.mark.parametrize("data", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_bomb_is_refused_before_it_is_decoded(data, front, monkeypatch):
    monkeypatch.setattr(Image.Image, "convert", None)

    assert decode(data, front) in ("image-too-large", "not-an-image", "truncated-image")


def test_most_bombs_are_named(front):
    named = [name for name, data in TOO_LARGE.items() if decode(data, front) == "image-too-large"]

    assert set(named) >= {"png", "png of zeros", "gif", "gif frame", "tiff", "bmp", "jpeg"}


COMPLEX = {
    "jpeg segments": segments(MAX_BLOCKS),
    "jpeg stray bytes": encoded(noise(), "JPEG")[:2] + b"\xff\xd8" * MAX_BLOCKS,
    "jpeg scans": scans(2000, 600),
    "png chunks": png(2, *[chunk(b"prVw")] * MAX_BLOCKS),
    "gif extensions": gif(b"\x21\xfe\0" * (MAX_BLOCKS + 1)),
    "gif comments": gif(b"\x21\xfe" + b"\1a" * MAX_BLOCKS + b"\0"),
    "gif stray bytes": gif(b"\1" * (MAX_BLOCKS + 1)),
}


@pytest.mark.parametrize("data", COMPLEX.values(), ids=COMPLEX)
def test_a_file_made_to_waste_time_is_refused(data, front):
    assert decode(data, front) == "image-too-complex"


def test_pictures_of_many_sound_blocks_are_taken(front):
    data = [
        segments(900, bytes(60_000)),
        scans(500, 200),
        png(500, *[chunk(b"prVw")] * 50_000),
        encoded(noise((3000, 2000)), "JPEG", progressive=True, quality=95),
    ]

    assert [type(decode(each, front)) for each in data] == [Picture] * len(data)


PACKED = zlib.compress(bytes(100 * MIB), 9)
ODD = {
    "png zTXt": png(2, chunk(b"zTXt", b"k\0\0" + PACKED)),
    "png many zTXt": png(2, *[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(MIB - 1)))] * 200),
    "png iTXt": png(2, chunk(b"iTXt", b"k\0\1\0\0\0" + PACKED)),
    "png iCCP": png(2, chunk(b"iCCP", b"k\0\0" + PACKED)),
    "png too much data": png(2, data=zeros(100 * MIB)),
    "apng frames": png(2, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
    "gif frames": gif()[:-1] + gif()[13:-1] * 100_000 + b";",
    "tiff tag of 4 GB": tiff(tag(270, 2, 2**32 - 1, 8)),
    "tiff tags": b"II*\0" + struct.pack("<IH", 8, 65_535) + tag(270, 2, 100, 8) * 65_535,
    "tiff loop": tiff(following=8),
    "tiff loop of exif": tiff(tag(34_665, 4, 1, 8)),
    "tiff of packed zeros": encoded(Image.new("L", (4000, 4000)), "TIFF", compression="tiff_lzw"),
    "ico entries": b"\0\0\1\0\xff\xff"
    + struct.pack("<BBBBHHII", 1, 1, 0, 0, 1, 32, 9, 22) * 65_535,
    "bmp rle": b"BM"
    + struct.pack("<IHHI", 1000, 0, 0, 1078)
    + struct.pack("<IiiHHIIiiII", 40, 9400, 9400, 1, 8, 1, 0, 0, 0, 256, 0)
    + bytes(1024)
    + b"\xff\x01" * 10_000,
    "jpeg exif loop": encoded(noise(), "JPEG", exif=b"Exif\0\0" + tiff(following=8)[:200]),
    "webp": encoded(noise(), "WEBP").replace(b"VP8 ", b"VP8L"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_odd_files_are_a_picture_or_a_fault(data, front):
    found = decode(data, front)

    assert isinstance(found, Picture) or found in FAULTS


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO"])
def test_every_format_cut_anywhere_is_a_picture_or_a_fault(kind, front):
    data = encoded(noise(), kind)

    found = [decode(data[:cut], front) for cut in range(0, len(data), 1 + len(data) // 60)]

    assert {each for each in found if isinstance(each, str)} <= set(FAULTS)
    assert isinstance(decode(data, front), Picture)


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch x) (w) file\n",
        b"%PDF-1.7\n1 0 obj<</S/JavaScript/JS(app.alert(1))>>",
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]><svg>&y;</svg>",
        b"<html><script>alert(1)</script></html>",
        b"#!/bin/sh\ntouch x\n",
        b"\x7fELF" + bytes(99),
        b"PK\x03\x04" + bytes(99),
        b"P3 9 9 255\n" + b"1 " * 243,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 12, 99) + b"%!PS-Adobe\n%%BoundingBox: 0 0 9 9\n",
    ],
    ids=["eps", "pdf", "svg", "html", "shell", "elf", "zip", "ppm", "ole", "dos eps"],
)
def test_nothing_that_is_no_picture_is_opened_and_no_program_is_started(data, front, monkeypatch):
    started = []
    monkeypatch.setattr("subprocess.Popen", lambda *args, **_: started.append(args))

    assert decode(data, front) == "not-an-image"
    assert started == []


_SCRIPT = """
import json, resource, signal, sys, time, warnings
from pathlib import Path
from pipeline.embed.decode import decode
from pipeline.embed.frontend import frontend
from pipeline.embed.spec import EncoderSpec

warnings.simplefilter("ignore")
front = frontend(EncoderSpec(model="ViT-B-32"))
with open("/proc/self/statm") as file:
    limit = int(file.read().split()[0]) * resource.getpagesize() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[3:]:
    data = Path(path).read_bytes()
    signal.setitimer(signal.ITIMER_PROF, int(sys.argv[2]))
    began = time.process_time()
    found = decode(data, front)
    took = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps([found if isinstance(found, str) else "a picture", took, peak]), flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_worst_pictures_that_are_taken_stay_in_a_gigabyte_and_ten_seconds(tmp_path):
    worst = {
        "png": png(SIDE),
        "png of 16 bits": png(SIDE, mode=6, bits=16),
        "jpeg": encoded(Image.new("RGB", (SIDE, SIDE)), "JPEG", progressive=True, quality=1),
        "jpeg scans": scans(SIDE, 11),
        "tiff": encoded(Image.new("RGB", (SIDE, SIDE)), "TIFF", compression="tiff_lzw"),
        "segments": segments(MAX_BLOCKS - 20),
        "chunks": png(2, *[chunk(b"prVw")] * (MAX_BLOCKS - 20)),
    }
    for name, data in worst.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", textwrap.dedent(_SCRIPT), str(1024 * MIB), str(SECONDS)]

    done = subprocess.run(
        [*command, *(str(tmp_path / name) for name in worst)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 0, (found, done.stderr.decode()[-800:])
    assert [each[0] for each in found] == ["a picture"] * len(worst), found
