import csv
import io
import json
import tarfile
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

DEMO = Path(__file__).parents[2] / "pipeline" / "demo"
MAX_BYTES = 8_000_000
IMAGE_SUFFIXES = {"jpg", "png", "webp"}
UNREADABLE_IMAGE = {
    "truncated-image",
    "empty-image",
    "not-an-image",
    "huge-dimensions",
    "missing-image",
}
BROKEN = UNREADABLE_IMAGE | {"bad-utf8-text", "missing-text", "bad-json"}
FAULTS = BROKEN | {
    "wrong-label",
    "wrong-text",
    "empty-text",
    "foreign-image",
    "exact-duplicate",
    "near-duplicate",
}


@pytest.fixture(scope="module")
def truth():
    return pq.read_table(DEMO / "truth.parquet").to_pylist()


@pytest.fixture(scope="module")
def samples():
    """Members of every sample by suffix, under `(shard, key)`."""
    found = defaultdict(dict)
    for shard in sorted((DEMO / "shards").glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                key, suffix = member.name.split(".")
                assert suffix not in found[shard.name, key]
                found[shard.name, key][suffix] = tar.extractfile(member).read()
    return found


@pytest.fixture(scope="module")
def class_names():
    with (DEMO / "classes.csv").open(newline="", encoding="utf-8") as file:
        return [record["name"] for record in csv.DictReader(file)]


def image_of(sample):
    (suffix,) = IMAGE_SUFFIXES & sample.keys()
    with Image.open(io.BytesIO(sample[suffix])) as picture:
        picture.load()
        return picture.copy()


def test_corpus_is_small_enough_to_ship():
    total = sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file())

    assert total <= MAX_BYTES


def test_truth_lists_the_samples_of_the_shards_in_their_order(truth, samples):
    assert [(row["shard"], row["key"]) for row in truth] == list(samples)


def test_keys_are_unique(truth):
    assert len({row["key"] for row in truth}) == len(truth)


def test_every_kind_of_fault_is_planted(truth):
    planted = {row["fault"] for row in truth} - {None}

    assert planted == FAULTS


def test_classes_are_the_labels(truth, class_names):
    labels = {row["label"] for row in truth}

    assert sorted(labels) == sorted(class_names)
    assert {row["true_label"] for row in truth} - {None} <= labels


def test_every_class_has_clean_rows(truth, class_names):
    clean = Counter(row["label"] for row in truth if row["fault"] is None)

    assert min(clean[name] for name in class_names) >= 20


def test_pictures_open_exactly_where_the_truth_says_so(truth, samples):
    for row in truth:
        sample = samples[row["shard"], row["key"]]
        if row["fault"] in UNREADABLE_IMAGE:
            with pytest.raises((OSError, ValueError, Image.DecompressionBombError)):
                image_of(sample)
        else:
            assert min(image_of(sample).size) >= 80


def test_text_and_record_read_exactly_where_the_truth_says_so(truth, samples):
    for row in truth:
        sample = samples[row["shard"], row["key"]]
        if row["fault"] == "missing-text":
            assert "txt" not in sample
        elif row["fault"] == "bad-utf8-text":
            with pytest.raises(UnicodeDecodeError):
                sample["txt"].decode()
        else:
            assert (row["fault"] == "empty-text") == (sample["txt"].decode() == "")
        if row["fault"] == "bad-json":
            with pytest.raises(json.JSONDecodeError):
                json.loads(sample["json"])
        else:
            assert json.loads(sample["json"])["label"] == row["label"]


def test_label_is_wrong_exactly_where_the_truth_says_so(truth):
    for row in truth:
        if row["fault"] == "foreign-image":
            assert row["true_label"] is None
        else:
            assert (row["label"] != row["true_label"]) == (row["fault"] == "wrong-label")


def test_copies_name_a_clean_original_and_no_other_pictures_are_equal(truth, samples):
    row_of = {row["key"]: row for row in truth}
    for row in truth:
        is_copy = row["fault"] in {"exact-duplicate", "near-duplicate"}
        assert (row["duplicate_of"] is not None) == is_copy
        if is_copy:
            assert row_of[row["duplicate_of"]]["fault"] is None
    images = Counter(
        sample[suffix]
        for (_, key), sample in samples.items()
        for suffix in IMAGE_SUFFIXES & sample.keys()
        if row_of[key]["fault"] not in BROKEN
    )
    copies = [row for row in truth if row["fault"] == "exact-duplicate"]
    for row in copies:
        original = row_of[row["duplicate_of"]]
        sample = samples[row["shard"], row["key"]]
        assert image_of(sample) == image_of(samples[original["shard"], original["key"]])
    assert sum(images.values()) - len(images) == len(copies)
