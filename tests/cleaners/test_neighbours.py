import numpy as np
import pyarrow as pa
import pytest

from pipeline.cleaners.columns import hashes, keys, labels, lists, vectors
from pipeline.cleaners.neighbours import SIZE, Neighbours
from pipeline.contract import Parted
from pipeline.engine.local import beside
from pipeline.schema import IMAGE
from tests.corpora import plant


def near(table, corpus, **options):
    cleaner = Neighbours(**options)
    rows = type(corpus)(table, corpus.classes, corpus.fault, corpus.true).rows()
    return cleaner.score(cleaner.fit(rows), table)


def test_neighbours_are_those_of_brute_force():
    corpus = plant(300, 5, 16)
    added = near(corpus.table, corpus)
    image = vectors(corpus.table, IMAGE)[0]
    cosine = image @ image.T
    np.fill_diagonal(cosine, -np.inf)
    best = np.argsort(-cosine, axis=1)[:, :SIZE]

    found = lists(added, "neighbours.key")
    assert np.mean(found == keys(corpus.table)[best]) > 0.999
    assert np.mean(lists(added, "neighbours.given") == labels(corpus.table)[best]) > 0.999
    nearest = np.take_along_axis(cosine, best, axis=1)
    np.testing.assert_allclose(lists(added, "neighbours.similarity"), nearest, atol=1e-5)
    rare = added["neighbours.rare"].to_numpy()
    np.testing.assert_allclose(rare, (1 - nearest).mean(axis=1) / 2, atol=1e-5)


def test_copies_of_a_picture_are_not_its_neighbours_and_count_once():
    corpus = plant(60, 3, 16)
    table = corpus.table
    copies = pa.concat_tables([table, table, table])
    uid = pa.array([i.to_bytes(16, "little") for i in range(180)], pa.binary(16))
    copies = copies.set_column(0, "uid", uid)
    cleaner = Neighbours()
    rows = type(corpus)(copies, corpus.classes, corpus.fault, corpus.true).rows()
    found = lists(cleaner.score(cleaner.fit(rows), copies), "neighbours.key")

    own = hashes(copies)[found.astype(np.int64)]
    assert (own != hashes(copies)[:, None]).all()
    assert all(len(set(row)) == SIZE for row in own.tolist())


def test_a_corpus_smaller_than_the_list_is_padded():
    corpus = plant(5, 2, 16, flip=0.0, swap=0.0, empty=0.0, foreign=0.0)
    added = near(corpus.table, corpus)

    assert (lists(added, "neighbours.similarity")[:, 4:] == -1).all()
    assert (lists(added, "neighbours.given")[:, 4:] == -1).all()


def test_a_bounded_bank_does_not_depend_on_fragments():
    corpus = plant(400, 4, 16)
    cleaner = Neighbours(bank_rows=50)
    one, other = (cleaner.fit(corpus.rows(num)) for num in (1, 9))

    assert len(one.hash) == 50
    np.testing.assert_array_equal(one.hash, other.hash)
    np.testing.assert_array_equal(one.index, other.index)


def spread_out(num_rows=300):
    """Return a corpus whose hashes are spread over their whole range."""
    corpus = plant(num_rows, 5, 16)
    hashed = np.random.default_rng(7).integers(0, 2**64, num_rows, dtype=np.uint64)
    place = corpus.table.column_names.index("image_hash")
    table = corpus.table.set_column(place, "image_hash", pa.array(hashed))
    return type(corpus)(table, corpus.classes, corpus.fault, corpus.true)


def in_parts(corpus, cleaner, num_fragments=3):
    """Return the columns of the last part, and the parts with their states."""
    table, made = corpus.table, []
    for part in cleaner.parts_for(len(table)):
        rows = type(corpus)(table, corpus.classes, corpus.fault, corpus.true).rows(num_fragments)
        made.append((part, part.fit(rows)))
        few = table.select(list(part.reads))
        parts = [part.score(made[-1][1], few.slice(at, 70)) for at in range(0, len(few), 70)]
        added = pa.concat_tables(parts).combine_chunks()
        table = beside(corpus.table, added)
    return added, made


@pytest.mark.parametrize(
    ("num_rows", "options", "expected"),
    [
        (100_000, {}, 1),
        (100_001, {}, 2),
        (180_001, {}, 4),
        (10**9, {}, 8),
        (10**9, {"max_parts": 3}, 3),
        (10**9, {"max_parts": 1}, 1),
        (0, {}, 1),
    ],
)
def test_a_corpus_is_cut_into_as_many_parts_as_it_needs(num_rows, options, expected):
    cleaner = Neighbours(**options)

    assert isinstance(cleaner, Parted)
    assert len(cleaner.parts_for(num_rows)) == expected


def test_all_parts_together_find_what_one_index_finds():
    corpus = spread_out()
    one, _ = in_parts(corpus, Neighbours())
    many, made = in_parts(corpus, Neighbours(bank_rows=60))

    assert len(made) == 8
    assert max(len(state.hash) for _, state in made) < 60
    assert sum(len(state.hash) for _, state in made) == len(corpus.table)
    for column in ("key", "given"):
        a, b = (lists(found, f"neighbours.{column}") for found in (one, many))
        assert np.mean(a == b) > 0.999, column
    np.testing.assert_allclose(
        *(lists(found, "neighbours.similarity") for found in (one, many)), atol=1e-6
    )
    np.testing.assert_allclose(*(t["neighbours.rare"].to_numpy() for t in (one, many)), atol=1e-6)


def test_anchors_are_the_nearest_rows_of_the_first_part():
    corpus = spread_out()
    added, _ = in_parts(corpus, Neighbours(bank_rows=60))
    image = vectors(corpus.table, IMAGE)[0]
    cosine = image @ image.T
    np.fill_diagonal(cosine, -np.inf)
    cosine[:, hashes(corpus.table) >= 2**61] = -np.inf
    best = np.argsort(-cosine, axis=1)[:, :SIZE]

    assert np.mean(lists(added, "neighbours.anchor") == keys(corpus.table)[best]) > 0.999
    nearest = np.take_along_axis(cosine, best, axis=1)
    np.testing.assert_allclose(lists(added, "neighbours.nearness"), nearest, atol=1e-5)


def test_of_a_larger_corpus_each_part_is_a_sample():
    corpus = spread_out()
    _, made = in_parts(corpus, Neighbours(bank_rows=30, max_parts=4))

    hashed = np.sort(hashes(corpus.table))
    for number, (_, state) in enumerate(made):
        mine = hashed[(hashed >= number * 2**62) & (hashed <= (number + 1) * 2**62 - 1)]
        np.testing.assert_array_equal(state.hash, mine[:30])


def test_parts_do_not_depend_on_fragments():
    corpus = spread_out()
    one, _ = in_parts(corpus, Neighbours(bank_rows=60), 1)
    other, _ = in_parts(corpus, Neighbours(bank_rows=60), 9)

    assert one.equals(other)


def test_a_picture_meets_no_copy_of_itself_in_any_part():
    corpus = spread_out(120)
    copies = pa.concat_tables([corpus.table, corpus.table])
    uid = pa.array([i.to_bytes(16, "little") for i in range(240)], pa.binary(16))
    copied = type(corpus)(copies.set_column(0, "uid", uid), corpus.classes, corpus.fault, None)
    added, made = in_parts(copied, Neighbours(bank_rows=40))

    assert len(made) == 8
    own = hashes(copied.table)[lists(added, "neighbours.key").astype(np.int64)]
    assert (own != hashes(copied.table)[:, None]).all()
    assert all(len(set(row)) == SIZE for row in own.tolist())


def test_a_part_without_rows_changes_nothing():
    corpus = spread_out(90)
    low = pa.array(hashes(corpus.table) // np.uint64(2))  # the upper half of the parts is empty
    place = corpus.table.column_names.index("image_hash")
    table = corpus.table.set_column(place, "image_hash", low)
    half = type(corpus)(table, corpus.classes, corpus.fault, corpus.true)
    whole, _ = in_parts(half, Neighbours())
    added, made = in_parts(half, Neighbours(bank_rows=90, max_parts=4))
    cut, made = in_parts(half, Neighbours(bank_rows=40, max_parts=4))

    assert [len(state.hash) for _, state in made][2:] == [0, 0]
    assert added.equals(whole)
    assert (lists(cut, "neighbours.similarity") > -1).all()
