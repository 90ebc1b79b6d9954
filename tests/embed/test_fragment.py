import hashlib
import json

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contract import Sample
from pipeline.embed.encoder import Encoder
from pipeline.embed.fragment import embed, prepare, scatter
from pipeline.embed.frontend import frontend
from pipeline.schema import EARLY, IMAGE, SAMPLE, TEXT, vector


@pytest.fixture(scope="module")
def front(spec):
    return frontend(spec)


@pytest.fixture(scope="module")
def encoder(spec):
    return Encoder(spec, "cpu")


@pytest.fixture
def sample(make_picture):
    def make(row=0, **changes):
        given = {
            "row": row,
            "key": f"k{row}",
            "image": make_picture(row),
            "extension": "jpg",
            "caption": f"caption {row}",
            "fields": {"url": f"u{row}"},
            "members": {},
            "fault": None,
        }
        return Sample(**(given | changes))

    return make


@pytest.fixture
def mixed(sample):
    return [
        sample(0),
        sample(1, fault="bad-json"),
        sample(2, image=b"<html>"),
        sample(3, caption=None),
        sample(4, caption="  "),
        sample(5, image=None, fault="missing-image"),
        sample(6, image=sample(6).image[:300]),
        sample(7, caption="word " * 50),
    ]


def test_every_sample_is_a_row_in_its_place(front, mixed):
    table = prepare("s.tar", mixed, front).table

    assert table.schema.equals(SAMPLE)
    assert table["row"].to_pylist() == list(range(8))
    assert table["key"].to_pylist() == [f"k{n}" for n in range(8)]
    assert set(table["shard"].to_pylist()) == {"s.tar"}


def test_faults_of_reading_and_of_decoding_stand_in_the_row(front, mixed):
    table = prepare("s.tar", mixed, front).table

    assert table["fault"].to_pylist() == [
        None,
        "bad-json",
        "not-an-image",
        None,
        None,
        "missing-image",
        "truncated-image",
        None,
    ]
    assert table["width"].to_pylist() == [45, None, None, 45, 45, None, None, 45]
    assert table["height"].to_pylist() == [37, None, None, 37, 37, None, None, 37]
    assert [word is None for word in table["phash"].to_pylist()] == [
        width is None for width in table["width"].to_pylist()
    ]


def test_only_what_the_towers_need_is_prepared(front, mixed):
    prepared = prepare("s.tar", mixed, front)

    assert prepared.pixel.shape == (4, 32, 32, 3)
    assert prepared.token.shape == (2, 16)
    assert prepared.table["caption_cut"].to_pylist() == [*[False] * 7, True]


def test_vectors_are_null_where_a_row_has_none(front, encoder, mixed):
    table = embed(prepare("s.tar", mixed, front), encoder)

    has_image = [value is not None for value in table[IMAGE].to_pylist()]
    has_text = [value is not None for value in table[TEXT].to_pylist()]
    assert has_image == [True, False, False, True, True, False, False, True]
    assert has_text == [True, False, False, False, False, False, False, True]
    assert [value is not None for value in table[EARLY].to_pylist()] == has_image
    assert table.schema.names == [*SAMPLE.names, IMAGE, TEXT, EARLY]


def test_each_row_has_its_own_vector(front, encoder, mixed, sample):
    together = embed(prepare("s.tar", mixed, front), encoder)

    for row in (0, 7):
        alone = embed(prepare("s.tar", [mixed[row]], front), encoder)
        for name in (IMAGE, TEXT, EARLY):
            np.testing.assert_allclose(
                together[name].to_pylist()[row], alone[name].to_pylist()[0], atol=2e-3
            )


def test_a_fragment_without_rows_has_all_columns(front, encoder):
    table = embed(prepare("s.tar", [], front), encoder)

    full = embed(prepare("s.tar", [], front), encoder)
    assert (len(table), table.schema) == (0, full.schema)
    assert table.schema.field(IMAGE).type == vector(32)


def test_a_fragment_of_broken_rows_has_the_same_schema(front, encoder, sample):
    broken = embed(prepare("s.tar", [sample(n, image=b"") for n in range(3)], front), encoder)
    sound = embed(prepare("s.tar", [sample(0)], front), encoder)

    assert broken.schema.equals(sound.schema)
    assert broken["fault"].to_pylist() == ["not-an-image"] * 3
    for name in (IMAGE, TEXT, EARLY):
        assert broken[name].null_count == 3


def test_a_corpus_without_captions_has_no_text_vectors(front, encoder, sample):
    table = embed(prepare("s.tar", [sample(n, caption=None) for n in range(2)], front), encoder)

    assert table[TEXT].null_count == 2
    assert table[IMAGE].null_count == 0
    assert table.schema.field(TEXT).type == vector(32)


def test_the_uid_is_of_image_and_text_and_the_hash_of_the_image_alone(front, sample):
    same, other = sample(0, caption="other"), sample(0, key="another key")
    table = prepare("s.tar", [sample(0), same, other, sample(1)], front).table
    uid, image_hash = (table[name].to_pylist() for name in ("uid", "image_hash"))

    assert len({uid[0], uid[1], uid[3]}) == 3
    assert uid[0] == uid[2]
    assert image_hash[0] == image_hash[1] == image_hash[2] != image_hash[3]
    assert all(len(each) == 16 for each in uid)


def test_the_hash_of_an_image_never_changes(front, sample):
    image = sample(0).image
    (found,) = prepare("s.tar", [sample(0)], front).table["image_hash"].to_pylist()

    digest = hashlib.blake2b(image, digest_size=8).digest()
    assert found == int.from_bytes(digest, "little")


def test_fields_are_json_with_sorted_keys(front, sample):
    fields = {"b": "größe", "a": [1, None]}

    (found,) = prepare("s.tar", [sample(0, fields=fields)], front).table["fields"].to_pylist()

    assert found == '{"a": [1, null], "b": "größe"}'
    assert json.loads(found) == fields


@pytest.mark.parametrize("text", ["a\x00b", "\u202e", "🦊" * 500])
def test_odd_captions_do_no_harm(front, encoder, sample, text):
    table = embed(prepare("s.tar", [sample(0, caption=text), sample(1)], front), encoder)

    assert len(table) == 2
    assert table[TEXT].to_pylist()[1] is not None


def test_scattered_rows_stand_where_they_belong():
    rows = np.array([[1, 2], [3, 4]], np.float16)

    found = scatter(rows, np.array([False, True, True, False]))

    assert found.to_pylist() == [None, [1, 2], [3, 4], None]
    assert found.type == pa.list_(pa.float16(), 2)
    assert scatter(rows[:0], np.zeros(2, bool)).to_pylist() == [None, None]
