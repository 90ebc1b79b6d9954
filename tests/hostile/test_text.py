"""Hostile text is carried as it is, costs no more than its size, and breaks no step."""

import csv
import io
import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.embed.frontend import CHARS_PER_TOKEN, MAX_WORDS, forget, frontend
from pipeline.embed.spec import EncoderSpec
from pipeline.errors import CurationError, RecipeError
from pipeline.shards.fields import MAX_DEPTH, caption_of, depth, json_safe, parse_object
from pipeline.store.answers import CELL_CHARS, HEADER, guarded, load_answers, question, unguarded
from pipeline.store.classes import ClassEntry, load_entries
from pipeline.store.label import SEARCHED_CHARS, Labeller

CAPTIONS = {
    "script": "<script>alert(1)</script>",
    "ansi": "\x1b[31mred\x1b]8;;http://evil\x1b\\",
    "bidi": "safe\u202egnp.exe\u2066",
    "nul": "a\x00b",
    "zero width": "a\u200b\u200d\ufeffb",
    "lines": "a\r\nb\rc\nd",
    "mark": "\ufeffa cat",
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def nested(levels):
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 300, 500, 900, 10_000, 1_000_000])
def test_deep_json_is_no_json_whatever_the_stack(levels):
    assert parse_object(nested(levels)) is None


def test_json_is_read_up_to_a_depth_that_every_step_can_walk():
    found = parse_object(nested(MAX_DEPTH))

    assert depth(found) == MAX_DEPTH
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": NaN, "b": -Infinity, "c": 1e999}', {"a": None, "b": None, "c": None}),
        (b'{"__proto__": {"x": 1}, "__class__": "y"}', {"__proto__": {"x": 1}, "__class__": "y"}),
        (b'{"a": ' + b"9" * 1_000_000 + b"}", None),
        (b'{"a": -' + b"9" * 4000 + b"}", {"a": -int("9" * 4000)}),
        (b"{1: 2}", None),
        (b'{"a": "\\u0000"}', {"a": "\x00"}),
        (b"\xff{}", None),
        (b"\xef\xbb\xbf{}", {}),
        (b"", None),
        (b"\x00" * 1000, None),
    ],
)
def test_odd_json_is_read_or_is_none(data, found):
    assert parse_object(data) == found


@pytest.mark.slow
def test_large_json_is_read_in_bounded_time():
    keys = json.dumps({f"k{n}": n for n in range(100_000)}).encode()
    word = b'{"a": "' + b"x" * 100_000_000 + b'"}'
    started = time.process_time()

    sizes = [len(parse_object(keys)), len(parse_object(word)["a"])]

    assert sizes == [100_000, 100_000_000]
    assert time.process_time() - started < 10


@settings(max_examples=50)
@given(anything)
def test_whatever_json_holds_can_be_written_again(value):
    found = parse_object(json.dumps({"a": value}).encode())

    assert found is None or json.loads(json.dumps(found, allow_nan=False)) == found


@settings(max_examples=30)
@given(st.dictionaries(st.one_of(st.integers(), st.text(), st.none()), anything))
def test_keys_of_a_table_become_words(value):
    assert all(isinstance(key, str) for key in json_safe(value))


@pytest.mark.parametrize("text", CAPTIONS.values(), ids=CAPTIONS)
def test_a_caption_is_carried_as_it_is(text):
    assert caption_of(text.encode()) == (text, None)


@pytest.mark.parametrize(
    "data", [b"\xff\xfe", b"a\xed\xa0\x80", b"\xc0\xaf", "é".encode("latin-1")]
)
def test_a_caption_that_is_no_utf8_is_a_fault(data):
    assert caption_of(data) == (None, "bad-utf8-text")


def test_half_a_character_of_json_is_a_fault():
    assert caption_of(parse_object(b'{"c": "\\ud800"}')["c"]) == (None, "bad-utf8-text")


@pytest.mark.parametrize("text", [b"", b" \t\r\n", "\u2003\u00a0".encode()])
def test_a_caption_of_white_space_is_empty_and_has_no_tokens(text):
    caption, fault = caption_of(text)

    assert (caption, fault) == ("", None)


LONG = {
    "one word": "a" * 10_000_000,
    "words": "ab " * 3_000_000,
    "letters": "".join(np.random.default_rng(0).choice(list("abcdefghij"), 1_000_000)),
    "marks": "e" + "\u0301" * 5_000_000,
    "entities": "&amp;lt;" * 1_000_000,
    "space": "a" + " " * 10_000_000 + "b",
    "emoji": "🦊" * 2_000_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_caption_of_megabytes_is_tokenised_in_bounded_time_and_said_to_be_cut(text):
    front = frontend(EncoderSpec())
    front.tokens(["warm"])
    started = time.process_time()

    token, cut = front.tokens([text, "a cat"])

    assert time.process_time() - started < 5
    assert token.shape == (2, front.context_length)
    assert cut.tolist() == [True, False]


def test_a_caption_that_fits_is_tokenised_whole():
    front = frontend(EncoderSpec())
    text = ("x" * (CHARS_PER_TOKEN - 1) + " ") * front.context_length

    assert len(text) == CHARS_PER_TOKEN * front.context_length
    assert (front.tokens([text])[0] == front.tokenizer([text]).numpy()).all()


def test_a_tokeniser_does_not_remember_every_word_of_a_crawl():
    front = frontend(EncoderSpec())
    special = front.tokens(["<end_of_text> a zebra"])[0]
    front.tokenizer.cache.update({f"word{n}": "w" for n in range(MAX_WORDS + 1)})

    forget(front.tokenizer)

    assert len(front.tokenizer.cache) == 2
    assert (front.tokens(["<end_of_text> a zebra"])[0] == special).all()


def entries(num):
    return tuple(ClassEntry(name=f"species {n}", synonyms=(f"kind{n}",)) for n in range(num))


@pytest.mark.slow
def test_a_caption_is_searched_for_many_classes_in_bounded_time():
    labeller = Labeller("caption", entries(100_000))
    hostile = "species " * 1_000_000
    labeller.raw({}, "warm")
    started = time.process_time()

    found = [labeller.raw({}, "the kind7 and species 99999!"), labeller.raw({}, hostile)]

    assert found == ["species 99999", None]
    assert time.process_time() - started < 5


def test_a_caption_is_searched_from_its_beginning_up_to_a_limit():
    labeller = Labeller("caption", entries(3))

    assert labeller.raw({}, "kind1" + " x" * SEARCHED_CHARS) == "kind1"
    assert labeller.raw({}, "x " * SEARCHED_CHARS + "kind1") is None


@pytest.mark.parametrize("label", ["9" * 1_000_000, "٣" * 5000, "-1", "1e9", "0x1", "²"])
def test_a_label_that_is_a_large_number_is_no_class(label):
    assert Labeller("auto", entries(3)).find(label) is None


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5), st.text())
def test_the_search_for_names_is_that_of_a_pattern(names, caption):
    import re

    from pipeline.store.classes import normal

    given_names = tuple(ClassEntry(name=name) for name in names if normal(name))
    labeller = Labeller("caption", given_names)
    longest = sorted(labeller.index, key=len, reverse=True)
    pattern = rf"(?<!\w)(?=({'|'.join(map(re.escape, longest))})(?!\w))"
    matches = re.findall(pattern, normal(caption)) if longest else []

    assert labeller.raw({}, caption) == (max(matches, key=len) if matches else None)


def load(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_entries(str(path))


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("c.yaml", "- &a {name: x}\n- *a\n", "alias"),
        ("c.yaml", "- !!python/name:os.system\n", "tag"),
        ("c.yaml", "- {name: x, name: y}\n", "stands there twice"),
        ("c.yaml", "[" * 10_000, "cannot be parsed"),
        ("c.yaml", "- {name: [x]}\n", "entry 1 must have a text as name"),
        ("c.yaml", "- {name: x, synonyms: {a: b}}\n", "must have a text as synonyms"),
        ("c.yaml", "- {name: x, parents: [[y]]}\n", "must have a text as parents"),
        ("c.yaml", "- {name: x, 1: y}\n", "unknown column 1"),
        ("c.yaml", "- 7\n", "entry 1 has no name"),
        ("c.csv", "name\n" + "x" * 200_000, "cannot be parsed"),
        ("c.csv", "name\nx\n X \n", "has the class 'X' twice"),
        ("c.csv", b"name\n\xff", "must be UTF-8"),
        ("c.csv", "\x00", "has no name|must hold a list"),
    ],
)
def test_a_hostile_class_file_is_refused(tmp_path, name, text, complaint):
    with pytest.raises(RecipeError, match=complaint):
        load(tmp_path, name, text)


def test_numbers_are_names_and_one_number_is_one_synonym(tmp_path):
    (entry,) = load(tmp_path, "c.yaml", "- {name: 1984, synonyms: 84, definition: 3}\n")

    assert (entry.name, entry.synonyms, entry.definition) == ("1984", ("84",), "3")


@pytest.mark.slow
def test_a_file_of_many_classes_is_read(tmp_path):
    text = "name,synonyms\n" + "".join(f"class {n},a{n};b{n}\n" for n in range(100_000))

    assert len(load(tmp_path, "c.csv", text)) == 100_000


@given(st.text())
def test_a_guarded_cell_is_no_formula_and_reads_back_exactly(text):
    cell = guarded(text)

    assert unguarded(cell) == text
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "@SUM(A1)", "-1+1", "'=x", "+49", "plain"])
def test_an_answer_that_looks_like_a_formula_names_its_class(tmp_path, name):
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("uid", "label"), ("0a" * 16, guarded(name))])
    (tmp_path / "a.csv").write_bytes(file.getvalue().encode())

    told = load_answers(str(tmp_path / "a.csv"), {name: 3}.get)

    assert told.label == {b"\x0a" * 16: 3}


@settings(max_examples=50)
@given(st.text(), st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from("\r\n\0\"'=,"))
def test_a_question_reads_back_row_by_row_whatever_it_holds(tmp_path_factory, key, label, odd):
    row = {"uid": b"\x01" * 16, "label": label + odd, "key": odd + key, "shard": "s", "row": 1}
    file = io.StringIO(newline="")
    csv.writer(file).writerows([HEADER, question(row | {"ask.inclusion": 0.5})])
    path = tmp_path_factory.mktemp("q") / "queries.csv"
    path.write_bytes(file.getvalue().encode("utf-8", "replace"))

    assert load_answers(str(path), {}.get).label == {}
    assert [len(line) for line in csv.reader(io.StringIO(file.getvalue(), newline=""))] == [7, 7]


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"uid\nlabel", b"uid,label\nx,y\n", b"uid,label\nx," + b"y" * 10**6],
)
def test_hostile_answers_are_refused(tmp_path, data):
    path = tmp_path / "a.csv"
    path.write_bytes(data)

    with pytest.raises(CurationError):
        load_answers(str(path), {}.get)


def test_what_a_crawl_says_stands_in_the_questions_as_no_formula():
    row = {"uid": b"\x01" * 16, "label": "=1+1", "key": "@SUM(A1)", "shard": "-s", "row": 1}

    line = question(row | {"ask.inclusion": 0.5})

    assert line[2:] == ("'=1+1", "0.5", "'@SUM(A1)", "'-s", "1")


def test_a_cell_of_a_question_is_cut():
    row = {"uid": b"\x01" * 16, "label": "x" * 10_000_000, "key": "k", "shard": "s", "row": 1}

    assert len(question(row | {"ask.inclusion": 0.5})[2]) == CELL_CHARS
