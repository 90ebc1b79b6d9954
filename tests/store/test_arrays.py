import io
import random
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as npy

from pipeline.errors import SchemaError
from pipeline.store.arrays import load_array, load_rows

ARRAY = np.arange(60, dtype=np.float16).reshape(20, 3)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arrays")
    np.save(folder / "plain.npy", ARRAY)
    np.save(folder / "transposed.npy", np.asfortranarray(ARRAY))
    np.savez(folder / "stored.npz", other=ARRAY[:1], image=ARRAY)
    np.savez_compressed(folder / "deflated.npz", other=ARRAY[:1], image=ARRAY)
    return folder


KINDS = [("plain.npy", ""), ("transposed.npy", ""), ("stored.npz", "image"),
         ("deflated.npz", "image")]  # fmt: skip


@given(st.sampled_from(KINDS), st.integers(0, 20), st.integers(0, 20))
def test_rows_are_those_of_the_whole_array(saved, kind, start, size):
    stop = min(start + size, 20)

    found = load_rows(str(saved / kind[0]), kind[1], start, stop)

    np.testing.assert_array_equal(found, ARRAY[start:stop])
    assert found.dtype == ARRAY.dtype


def test_rows_are_read_without_the_rest_of_the_file(tmp_path):
    np.save(tmp_path / "large.npy", np.zeros((100_000, 64), np.float32))  # 24 MiB
    tracemalloc.start()
    load_rows(str(tmp_path / "large.npy"), "", 70_000, 71_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 2**20


def header(**changes):
    buffer = io.BytesIO()
    said = {"descr": "<f4", "fortran_order": False, "shape": (2, 2)} | changes
    npy.write_array_header_1_0(buffer, said)
    return buffer.getvalue()


BROKEN = {
    "empty": b"",
    "text": b"not an array",
    "cut": header() + b"\0" * 15,
    "rows that are not there": header(shape=(2**40, 2)),
    "more bytes than a number holds": header(shape=(2**62, 2**62)),
    "negative": header(shape=(-1, 2)),
    "one vector that fills the memory": header(shape=(2, 2**40)),
    "one axis": header(shape=(4,)) + b"\0" * 16,
    "words": header(descr="<U4") + b"\0" * 64,
    "objects": header(descr="|O") + b"\x80\x04N." * 4,
    "version": b"\x93NUMPY\x09\x00" + header()[8:],
    "nested": b"\x93NUMPY\x01\x00\xf0\x0f" + b"(" * 4080,
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_array_of_numbers_is_refused(tmp_path, data):
    path = tmp_path / "broken.npy"
    path.write_bytes(data)

    for load in (load_array, lambda uri: load_rows(uri, "", 0, 2)):
        with pytest.raises(SchemaError, match=r"broken\.npy"):
            load(str(path))


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_archive_is_refused_or_read(saved, tmp_path, seed):
    chance = random.Random(seed)
    data = bytearray((saved / "deflated.npz").read_bytes())
    for _ in range(3):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    (tmp_path / "damaged.npz").write_bytes(data[: chance.randrange(len(data) // 2, len(data))])

    with pytest.raises(SchemaError, match=r"damaged\.npz"):
        load_rows(str(tmp_path / "damaged.npz"), "image", 0, 20)


def test_an_archive_without_the_member_is_refused(saved):
    with pytest.raises(SchemaError, match="no array 'text' of numbers"):
        load_rows(str(saved / "stored.npz"), "text", 0, 1)


def test_an_archive_without_a_name_says_how_to_name_one(saved):
    with pytest.raises(SchemaError, match=r"FILE.npz#ARRAY"):
        load_rows(str(saved / "stored.npz"), "", 0, 1)


def test_an_encrypted_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("image.npy", header() + b"\0" * 16)
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[6] |= 1  # the flag of encryption in the local header
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # and in the directory
    (tmp_path / "a.npz").write_bytes(data)

    with pytest.raises(SchemaError, match="holds no array 'image'"):
        load_rows(str(tmp_path / "a.npz"), "image", 0, 2)
