"""Every picture gives a small JPEG or the placeholder, whatever its bytes are."""

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.report.thumbnails import PLACEHOLDER, data_uri


def encoded(image, kind, **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(uri):
    head, body = uri.split(",", 1)
    assert head == "data:image/jpeg;base64"
    return Image.open(BytesIO(b64decode(body)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("size", [(640, 480), (30, 50), (2000, 3), (1, 1)])
def test_thumbnail_is_at_most_128_pixels_wide_and_high(kind, size):
    small = decoded(data_uri(encoded(Image.new("RGB", size, "teal"), kind)))

    assert max(small.size) <= 128
    assert small.mode == "RGB"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_mode_becomes_rgb(mode):
    assert decoded(data_uri(encoded(Image.new(mode, (20, 20)), "PNG"))).mode == "RGB"


def test_what_is_transparent_turns_white():
    small = decoded(data_uri(encoded(Image.new("RGBA", (20, 20), (0, 0, 0, 0)), "PNG")))

    assert np.asarray(small).min() > 250


def test_orientation_is_applied_and_metadata_is_not_carried():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "secret"
    image = encoded(Image.new("RGB", (100, 50)), "JPEG", exif=exif, comment=b"secret")
    small = decoded(data_uri(image))

    assert small.size == (50, 100)
    assert b"secret" not in small.fp.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM"])
def test_other_formats_are_not_decoded(kind):
    assert data_uri(encoded(Image.new("RGB", (20, 20)), kind)) == PLACEHOLDER


def test_a_picture_of_too_many_pixels_is_not_decoded():
    bomb = encoded(Image.new("1", (12_000, 12_000)), "PNG")

    assert len(bomb) < 100_000
    assert data_uri(bomb) == PLACEHOLDER


@settings(max_examples=150, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "WEBP"]))
def test_damaged_pictures_never_raise(data, kind):
    whole = bytearray(encoded(Image.linear_gradient("L").resize((60, 60)), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))

    assert data_uri(bytes(whole[:cut])).startswith("data:image/")
