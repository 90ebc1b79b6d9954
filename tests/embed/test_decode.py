import io
import resource
import struct
import subprocess
import sys
import textwrap
import time
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.embed.decode import FAULTS, MAX_PIXELS, Picture, decode, stack
from pipeline.embed.frontend import frontend

SIZE = 32


@pytest.fixture(scope="session")
def front(spec):
    return frontend(spec)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(mode="RGB", size=(45, 37)):
    steps = np.linspace(0, 255, size[0] * size[1]).reshape(size[1], size[0])
    return Image.fromarray(steps.astype(np.uint8)).convert(mode)


def png_chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_header(width, height, *chunks):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + b"".join(chunks)


def test_a_picture_has_pixels_for_the_encoder_and_its_own_size(front, make_picture):
    found = decode(make_picture(size=(45, 37)), front)

    assert isinstance(found, Picture)
    assert (found.pixel.shape, found.pixel.dtype) == ((SIZE, SIZE, 3), np.uint8)
    assert (found.width, found.height) == (45, 37)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"<html><body>404 Not Found</body></html>",
        b"GIF",
        b"\xff\xd8\xff",
        b"%PDF-1.4 ...",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        bytes(1000),
    ],
    ids=["empty", "nul", "html", "gif head", "jpeg head", "pdf", "svg", "nuls"],
)
def test_bytes_that_are_no_picture_are_named(front, data):
    assert decode(data, front) == "not-an-image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_cut_picture_is_truncated_wherever_it_is_cut(front, kind, share, make_picture):
    data = make_picture(1, kind, (200, 150))

    found = decode(data[: int(share * len(data))], front)

    assert found in ("truncated-image", "not-an-image")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_that_lacks_its_last_lines_is_truncated(front, kind, make_picture):
    data = make_picture(1, kind, (200, 150))

    assert decode(data[: len(data) // 2], front) == "truncated-image"


@pytest.mark.parametrize("width", [60_000, 2**31 - 1])
def test_a_bomb_is_refused_at_its_header_quickly_and_in_little_memory(front, width):
    bomb = png_header(width, width, png_chunk(b"IDAT", zlib.compress(bytes(1000))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()

    found = decode(bomb, front)

    assert found == "image-too-large"
    assert time.process_time() - started < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("extra", [1, 2 * MAX_PIXELS])
def test_one_pixel_too_many_is_too_large(front, extra):
    bomb = png_header(MAX_PIXELS + extra, 1, png_chunk(b"IDAT", zlib.compress(bytes(1000))))

    assert decode(bomb, front) == "image-too-large"


def test_the_limit_of_pixels_is_that_of_pillow():
    assert MAX_PIXELS == Image.MAX_IMAGE_PIXELS


@pytest.mark.slow
def test_a_long_thin_picture_is_decoded_or_refused_in_bounded_memory():
    picture = encoded(Image.new("L", (60_000, 1)), "PNG")
    script = f"""
        import resource
        from pipeline.embed.decode import FAULTS, Picture, decode
        from pipeline.embed.frontend import frontend
        from pipeline.embed.spec import EncoderSpec
        front = frontend(EncoderSpec(model="ViT-B-32"))
        decode(bytes.fromhex({encoded(Image.new("L", (9, 9)), "PNG").hex()!r}), front)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, used + 2**30))
        found = decode(bytes.fromhex({picture.hex()!r}), front)
        assert isinstance(found, Picture) or found in FAULTS, found
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr.decode()[-500:]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_a_png_of_any_mode_is_a_picture(front, mode):
    deep = gradient("L").convert("I").point(lambda value: value * 256)
    image = deep.convert(mode) if mode == "I;16" else gradient("RGB").convert(mode)

    found = decode(encoded(image, "PNG"), front)

    assert isinstance(found, Picture)
    assert found.pixel.shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_of_any_mode_is_a_picture(front, mode):
    found = decode(encoded(gradient("RGB").convert(mode), "JPEG"), front)

    assert found.pixel.shape == (SIZE, SIZE, 3)


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_a_palette_with_transparency_is_a_picture(front):
    image = gradient("P")

    found = decode(encoded(image, "PNG", transparency=bytes([0, 128] * 128)), front)

    assert isinstance(found, Picture)


def test_gray_is_the_same_in_all_three_channels(front):
    pixel = decode(encoded(gradient("L"), "PNG"), front).pixel

    assert (pixel == pixel[:, :, :1]).all()


def test_an_animation_under_another_name_is_its_first_frame(front):
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "lime", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])

    found = decode(data, front)

    assert found.pixel.reshape(-1, 3).mean(axis=0).round().tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_of_other_formats_are_their_first_frame(front, kind):
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "lime")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)

    found = decode(data, front)

    assert found.pixel[5, 5].tolist() == [255, 0, 0]


def test_the_tag_of_rotation_changes_nothing(front):
    """open_clip's own transform does not turn pictures, nor does its loader."""
    image = gradient("RGB", (40, 30))
    exif = Image.Exif()
    exif[0x0112] = 6

    plain = decode(encoded(image, "PNG"), front)
    turned = decode(encoded(image, "PNG", exif=exif), front)

    np.testing.assert_array_equal(turned.pixel, plain.pixel)
    assert (turned.width, turned.height) == (40, 30)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"gAMA", b""),
        png_chunk(b"pHYs", b"\x00"),
        png_chunk(b"tEXt", b"\xff" * 9),
        png_chunk(b"zTXt", b"k\x00\x00" + zlib.compress(bytes(2**22))),
        png_chunk(b"iTXt", b"k\x00\x01\x00\x00\x00no zlib"),
        png_chunk(b"tRNS", b"\x00"),
        png_chunk(b"cHRM", b"\x01"),
        png_chunk(b"sRGB", b""),
        png_chunk(b"acTL", b"\x00"),
        png_chunk(b"fcTL", b"\x00" * 3),
        png_chunk(b"eXIf", b"\x00" * 3),
        b"\x00" * 5,
        b"\x7f\xff\xff\xffIDAT",
    ],
    ids=lambda chunk: chunk[4:8].hex(),
)
@pytest.mark.parametrize("before", [True, False])
def test_a_broken_chunk_is_a_fault_or_nothing(front, chunk, before):
    head = png_header(2, 2)
    rows = png_chunk(b"IDAT", zlib.compress(bytes(14)))
    end = png_chunk(b"IEND", b"")
    data = head + (chunk + rows if before else rows + chunk) + end

    found = decode(data, front)

    assert isinstance(found, Picture) or found in FAULTS


@pytest.mark.parametrize("kind", ["DDS", "TGA", "EPS", "PDF"])
def test_a_format_that_is_not_of_the_web_is_not_opened(front, kind):
    assert decode(encoded(gradient("RGB"), kind), front) == "not-an-image"


def test_a_long_thin_picture_is_a_fault(front):
    data = encoded(gradient("RGB", (1010, 10)), "PNG")

    assert decode(data, front) == "image-too-thin"
    assert isinstance(decode(encoded(gradient("RGB", (1000, 10)), "PNG"), front), Picture)


SEEDS = [
    encoded(gradient("RGB", (9, 7)), "JPEG"),
    encoded(gradient("RGB", (9, 7)), "PNG"),
    encoded(gradient("P", (9, 7)), "GIF"),
    encoded(gradient("RGB", (9, 7)), "WEBP"),
    encoded(gradient("RGB", (9, 7)), "TIFF", compression="tiff_lzw"),
    encoded(gradient("RGB", (9, 7)), "BMP"),
    encoded(gradient("RGBA", (9, 7)), "ICO"),
    encoded(gradient("RGB", (9, 7)), "JPEG2000"),
    encoded(gradient("RGBA", (9, 7)), "TGA"),
    encoded(gradient("RGBA", (9, 7)), "DDS"),
    encoded(gradient("RGB", (9, 7)), "AVIF"),
]


@pytest.mark.filterwarnings("ignore")
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), max_size=5),
    st.floats(0.2, 1),
)
def test_damage_of_any_kind_is_a_fault_or_a_picture(front, seed, damage, share):
    data = bytearray(seed)
    for place, patch in damage:
        start = int(place * len(data))
        data[start : start + len(patch)] = patch

    found = decode(bytes(data[: int(share * len(data))]), front)

    assert isinstance(found, Picture) or found in FAULTS


@given(st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_fault_or_a_picture(front, data):
    found = decode(data, front)

    assert isinstance(found, Picture) or found in FAULTS


def test_pictures_are_stacked_and_none_are_too(front, make_picture):
    pictures = [decode(make_picture(seed), front) for seed in range(3)]

    assert stack(pictures).shape == (3, SIZE, SIZE, 3)
    np.testing.assert_array_equal(stack(pictures)[1], pictures[1].pixel)
    assert len(stack([])) == 0


def test_every_fault_is_explained():
    assert {
        *("not-an-image", "truncated-image"),
        *("image-too-complex", "image-too-large", "image-too-thin"),
    } == set(FAULTS)
