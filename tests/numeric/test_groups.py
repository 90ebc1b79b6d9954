import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.numeric import hamming
from pipeline.numeric.hamming import WINDOW, cosine, distance, near_sketches, near_words, sketch
from pipeline.numeric.prints import Pile, Prints, join
from pipeline.numeric.representatives import representatives
from tests.corpora import unit
from tests.numeric.merging import assert_same


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=60))
def test_leads_are_those_of_taking_the_best_first(edges):
    pair = np.array(sorted({(min(e), max(e)) for e in edges if e[0] != e[1]})).reshape(-1, 2)
    near, expected = set(map(tuple, pair.tolist())), []
    for row in range(15):
        taken = [j for j in range(row) if expected[j] == j and (j, row) in near]
        expected.append(min(taken, default=row))

    assert representatives(15, pair.astype(np.int64)).tolist() == expected


def test_every_pair_of_near_words_is_found():
    rng = np.random.default_rng(0)
    word = rng.integers(0, 2**63, 800).astype(np.uint64)
    for row in range(400, 800):
        for bit in rng.choice(64, rng.integers(0, 7), replace=False):
            word[row] ^= np.uint64(1) << np.uint64(bit)
        word[row] = word[row] if row % 2 else word[row - 400] ^ (word[row] & np.uint64(0x8421))
    apart = distance(word[:, None, None], word[None, :, None])

    for radius in (0, 2, 4, 6):
        expected = np.argwhere(np.triu(apart <= radius, 1)).tolist()
        assert near_words(word, radius).tolist() == expected


@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_how_many_rows_are_looked_at_together_changes_no_pair(at_once, monkeypatch):
    rng = np.random.default_rng(0)
    word = np.repeat(rng.integers(0, 2**63, 60).astype(np.uint64), 5)
    word[::3] ^= np.uint64(0b101)
    row = unit(np.repeat(rng.normal(size=(60, 64)), 5, axis=0) + 0.02 * rng.normal(size=(300, 64)))
    expected = near_words(word, 2).tolist(), near_sketches(sketch(row), 0.95).tolist()

    monkeypatch.setattr(hamming, "AT_ONCE", at_once)

    assert (near_words(word, 2).tolist(), near_sketches(sketch(row), 0.95).tolist()) == expected
    assert len(expected[0]) > 300
    assert len(expected[1]) > 300


def test_a_bucket_of_a_million_equal_words_would_not_be_compared_pair_by_pair():
    assert len(near_words(np.zeros(3000, np.uint64), 4)) <= 3000 * (5 * WINDOW + 5)


def test_sketches_tell_cosines():
    rng = np.random.default_rng(0)
    row = unit(rng.normal(size=(400, 64)))
    other = unit(row + rng.uniform(0, 2, (400, 1)) * rng.normal(size=(400, 64)) / 8)
    error = cosine(sketch(row), sketch(other)) - (row * other).sum(axis=1)

    assert np.abs(error).mean() < 0.06
    assert abs(error.mean()) < 0.01


def test_sketches_of_near_rows_are_paired():
    rng = np.random.default_rng(0)
    row = unit(rng.normal(size=(2000, 64)))
    row[1000:] = unit(row[:1000] + 0.2 * rng.normal(size=(1000, 64)) / 8)  # cosine .98
    pair = set(map(tuple, near_sketches(sketch(row), 0.95).tolist()))

    assert np.mean([(n, n + 1000) in pair for n in range(1000)]) > 0.97
    assert len(pair) < 1200


def test_a_pile_is_its_parts_joined_however_they_come():
    rng = np.random.default_rng(0)
    parts = [prints(rng, n) for n in (5, 0, 40, 3, 3, 3, 17)]
    piles = [Pile((part,)) for part in parts]
    merged = piles[0]
    for pile in piles[1:]:
        merged = merged.merge(pile)

    assert len(merged.parts) < len(parts)
    assert_same(merged.joined(), join(tuple(parts[::-1])))


def prints(rng, size):
    word = rng.integers(1, 50, size).astype(np.uint64)
    order = word % np.uint64(3), np.zeros(size, np.uint32)
    key = rng.integers(1, 4, size).astype(np.uint64)
    return Prints.of(word, key, order, word, np.c_[word, word, word, word], key.astype(int) - 2)
