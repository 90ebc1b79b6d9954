import io
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline.cleaners.columns import vectors
from pipeline.cleaners.dedup import Dedup
from pipeline.contract import Classes
from pipeline.embed.phash import perceptual_hash
from pipeline.engine.local import TableRows
from pipeline.schema import IMAGE
from tests.corpora import plant, tabulate, unit

NUM_DIMS = 64


def corpus(num_rows=200, seed=0, **columns):
    """Return a table of unrelated pictures, some columns of which are given."""
    rng = np.random.default_rng(seed)
    image = columns.pop("image", unit(rng.normal(size=(num_rows, NUM_DIMS))))
    label = columns.pop("label", np.zeros(len(image), int))
    table = tabulate(image, image, np.ones(len(image), bool), label, seed=seed)
    for name, value in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, table.field(name), pa.array(value, table.field(name).type))
    return table


def rows_of(table, num_parts=3):
    cuts = np.linspace(0, len(table), num_parts + 1).astype(int)
    parts = tuple(table.slice(a, b - a) for a, b in pairwise(cuts))
    return TableRows(parts, Classes(name=("a", "b"), embedding=np.eye(2, NUM_DIMS, dtype="f4")))


def dedup(table, **options):
    cleaner = Dedup(**options)
    added = cleaner.score(cleaner.fit(rows_of(table)), table)
    return {name.removeprefix("dedup."): added[name].to_pylist() for name in added.column_names}


def copied(table, source, target, *names):
    """Return a table in which some columns of one row are those of another."""
    take = np.arange(len(table))
    take[target] = source
    for name in names:
        place = table.column_names.index(name)
        value = table[name].combine_chunks().take(pa.array(take))
        table = table.set_column(place, table.field(name), value)
    return table


def flipped(word, *bits):
    return int(word) ^ sum(1 << b for b in bits)


def near(vector, cosine, seed=0):
    """Return a unit vector at a cosine to another."""
    other = np.random.default_rng(seed).normal(size=len(vector))
    other -= other @ vector * vector
    return cosine * vector + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)


def test_of_rows_with_the_same_bytes_the_largest_stands_for_all():
    table = corpus(50, width=[64] * 30 + [128] + [64] * 19)
    for target in (3, 30, 40):
        table = copied(table, 7, target, "image_hash", "phash", IMAGE)
    found = dedup(table)

    assert [n for n in range(50) if found["copy"][n]] == [3, 7, 40]
    assert {found["copy"][n] for n in (3, 7, 40)} == {1.0}
    assert {found["kind"][n] for n in (3, 7, 40)} == {1}
    uid = int.from_bytes(table["uid"][30].as_py()[:8], "little")
    assert {found["group"][n] for n in (3, 7, 30, 40)} == {uid}
    assert found["group"].count(None) == 46


def test_of_equal_pictures_the_longer_caption_stands_then_the_smaller_uid():
    captions = [f"caption {n:02d}" for n in range(20)]
    captions[5] = "a far longer caption"
    table = copied(corpus(20, caption=captions), 7, 5, "image_hash", "phash", IMAGE)
    table = copied(table, 10, 11, "image_hash", "phash", IMAGE)
    found = dedup(table)
    uid = [int.from_bytes(u.as_py()[:8], "little") for u in table["uid"]]

    assert found["kind"][5] == 0
    assert found["kind"][7] == 1
    assert found["kind"][10 if uid[10] > uid[11] else 11] == 1


def test_of_twins_of_one_uid_one_is_kept():
    table = copied(corpus(20), 7, 5, "uid", "image_hash", "phash", "caption", IMAGE)

    assert sorted(dedup(table)["kind"])[-2:] == [0, 1]


def test_pictures_that_look_alike_are_copies_by_the_bits_that_differ():
    table = corpus(100)
    vector = vectors(table, IMAGE)[0].astype(float)
    phash = table["phash"].to_pylist()
    for target, bits in ((10, ()), (11, (3,)), (12, (3, 20, 40, 60)), (13, (1, 2, 3, 4, 5))):
        phash[target], vector[target] = flipped(phash[0], *bits), near(vector[0], 0.95, target)
    found = dedup(corpus(100, phash=phash, image=vector, width=[99] + [64] * 99), semantic=None)
    members = [n for n in range(100) if found["group"][n]]

    assert members == [0, 10, 11, 12]
    assert [found["kind"][n] for n in members] == [0, 2, 2, 2]
    assert [found["copy"][n] for n in members] == pytest.approx([0.0, 0.95, 0.8375, 0.5])


def test_flat_hashes_form_no_group_of_unrelated_pictures():
    table = corpus(300, phash=[0x8000000000000000] * 300)
    found = dedup(table)

    assert not any(found["kind"])
    assert set(dedup(table, floor=-1.0)["kind"]) == {0, 2}  # what the cosine guards against


def test_many_recompressed_versions_of_one_picture_are_one_group():
    rng = np.random.default_rng(0)
    table = corpus(400)
    vector, phash = vectors(table, IMAGE)[0].astype(float), table["phash"].to_pylist()
    for n in range(1, 301):
        vector[n] = near(vector[0], 0.96, n)
        phash[n] = flipped(phash[0], *rng.choice(64, rng.integers(0, 3), replace=False).tolist())
    table = corpus(400, phash=phash, image=vector, width=[99] + [64] * 399)
    found = dedup(table, semantic=None)

    assert len(set(found["group"][:301])) == 1
    assert found["kind"][:301] == [0] + [2] * 300
    assert not any(found["kind"][301:])


def test_a_chain_does_not_grow_beyond_what_is_near_its_representative():
    table = corpus(30)
    vector, phash = vectors(table, IMAGE)[0].astype(float), table["phash"].to_pylist()
    for n in range(1, 6):
        phash[n] = flipped(phash[n - 1], *range(4 * n, 4 * n + 4))
        vector[n] = vector[0]
    table = corpus(30, phash=phash, image=vector, width=list(range(130, 100, -1)))
    found = dedup(table, semantic=None)

    assert found["kind"][:6] == [0, 2, 0, 2, 0, 2]
    assert len(set(found["group"][:6])) == 3


def test_semantic_copies_are_found_by_the_cosine_itself():
    rng = np.random.default_rng(1)
    image = unit(rng.normal(size=(1500, NUM_DIMS)))
    cosine = rng.uniform(0.9, 1.0, 500)
    image[1000:] = [near(image[n], c, n) for n, c in enumerate(cosine)]
    found = dedup(corpus(image=image))
    stored = vectors(corpus(image=image), IMAGE)[0]
    exact = (stored[:500] * stored[1000:]).sum(axis=1)
    linked = np.array([a == b and a is not None for a, b in pairwise_groups(found["group"])])

    assert linked[exact > 0.972].mean() > 0.97
    assert not linked[exact < 0.969].any()
    assert max(found["copy"]) <= 0.45


def pairwise_groups(group):
    return zip(group[:500], group[1000:], strict=True)


def test_labels_that_differ_inside_a_group_are_told():
    label = np.zeros(40, int)
    label[5] = 1
    table = corpus(40, label=label)
    for source, target in ((1, 5), (2, 6)):
        table = copied(table, source, target, "image_hash", "phash", IMAGE)
    found = dedup(table)

    assert [n for n in range(40) if found["conflict"][n]] == [1, 5]


def test_a_label_that_is_missing_is_no_conflict():
    label = np.zeros(40, int)
    label[5] = -1
    table = copied(corpus(40, label=label), 1, 5, "image_hash", "phash", IMAGE)

    assert not any(dedup(table)["conflict"])


def test_pictures_that_an_earlier_run_has_seen_are_copies_tonight():
    before, tonight = corpus(60, seed=1), corpus(60, seed=2, width=[500] * 60)
    names = ("image_hash", "phash", IMAGE)
    both = pa.concat_tables([before, tonight])
    both = copied(both, 7, 63, *names)
    both = copied(both, 8, 64, "phash", IMAGE)
    tonight = both.slice(60)
    cleaner = Dedup()
    state = cleaner.merge(cleaner.fit(rows_of(before)), cleaner.fit(rows_of(tonight)))
    kind = cleaner.score(state, tonight)["dedup.kind"].to_pylist()

    assert kind[3:5] == [1, 2]  # for all their pixels: the earlier ones are published
    assert not any(kind[:3] + kind[5:])
    assert not any(cleaner.score(state, before)["dedup.kind"].to_pylist())


def test_merging_runs_is_associative():
    parts = [corpus(40, seed=n) for n in range(3)]
    joined = copied(pa.concat_tables(parts), 3, 90, "image_hash", "phash", IMAGE)
    parts = [joined.slice(40 * n, 40) for n in range(3)]
    cleaner = Dedup()
    a, b, c = (cleaner.fit(rows_of(part)) for part in parts)
    one, other = cleaner.merge(cleaner.merge(a, b), c), cleaner.merge(a, cleaner.merge(b, c))

    assert cleaner.score(one, parts[2]).equals(cleaner.score(other, parts[2]))
    assert sum(cleaner.score(one, parts[2])["dedup.kind"].to_pylist()) == 1


def test_few_vectors_at_a_time_confirm_the_same_pairs():
    table = plant(300, 4, 16, spread=0.05).table

    assert dedup(table, bank_rows=7) == dedup(table)


def test_clean_digits_are_no_copies():
    data = load_digits()
    image, pixel = unit(data.data[::3]), (data.images[::3] * 15.9).astype(np.uint8)
    large = np.repeat(pixel.repeat(4, 1).repeat(4, 2)[..., None], 3, axis=3)
    table = corpus(image=image, label=data.target[::3], phash=list(map(perceptual_hash, large)))
    copy = np.array(dedup(table)["copy"])

    assert np.mean(copy > 0.5) < 0.02


@pytest.mark.parametrize("change", [{"quality": 30}, {"size": (120, 90)}, {"kind": "PNG"}])
def test_a_recompressed_or_resized_picture_keeps_its_hash_up_to_a_few_bits(change):
    rng = np.random.default_rng(0)
    for _ in range(10):
        small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        picture = small.resize((240, 180), Image.Resampling.BICUBIC)
        one, other = (hash_of(picture, **c) for c in ({}, change))
        assert (one ^ other).bit_count() <= 4


def hash_of(picture, *, quality=95, size=(240, 180), kind="JPEG"):
    buffer = io.BytesIO()
    picture.resize(size).save(buffer, kind, **({"quality": quality} if kind == "JPEG" else {}))
    crop = Image.open(buffer).convert("RGB").resize((64, 64), Image.Resampling.BICUBIC)
    return perceptual_hash(np.asarray(crop))


def test_a_picture_of_one_colour_has_no_hash():
    assert perceptual_hash(np.full((32, 32, 3), 250, np.uint8)) is None


def test_given_vectors_without_pictures_are_compared_by_meaning_alone():
    table = copied(corpus(30, phash=[None] * 30, width=[None] * 30), 3, 9, IMAGE)
    found = dedup(table)

    assert sorted(found["kind"])[-2:] == [0, 3]
