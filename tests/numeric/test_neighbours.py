import numpy as np
import pytest

from pipeline.numeric import neighbours
from pipeline.numeric.neighbours import build_index, search, search_others, similarity_weight
from pipeline.numeric.prototypes import unit

RNG = np.random.default_rng(0)
ROWS = unit(RNG.normal(size=(300, 8))).astype(np.float32)
NAME = np.arange(300, dtype=np.uint64)


def test_neighbours_agree_with_brute_force():
    similarity, place = search(build_index(ROWS), ROWS[:50], 5)

    every = ROWS[:50] @ ROWS.T
    np.testing.assert_array_equal(place, np.argsort(-every, axis=1)[:, :5])
    np.testing.assert_allclose(similarity, -np.sort(-every, axis=1)[:, :5], atol=1e-6)


def test_a_row_is_dropped_by_name_though_a_copy_stands_before_it():
    rows, name = np.vstack([ROWS, ROWS[:1]]), np.r_[NAME, np.uint64(999)]
    _, place = search_others(build_index(rows), rows[[0, 300]], 3, (name[[0, 300]], name))

    assert place[0, 0] == 300
    assert place[1, 0] == 0
    assert 0 not in place[0]


def test_missing_neighbours_are_marked():
    similarity, place = search_others(build_index(ROWS[:2]), ROWS[:2], 4, (NAME[:2], NAME[:2]))

    np.testing.assert_array_equal(place[:, 1:], -1)
    assert np.isneginf(similarity[:, 1:]).all()
    np.testing.assert_array_equal(similarity_weight(similarity, 0.1)[:, 0], 1.0)


@pytest.mark.slow
def test_the_inverted_file_finds_most_of_what_the_exhaustive_index_finds(monkeypatch):
    rows = unit(RNG.normal(size=(5000, 8))).astype(np.float32)
    exact = search(build_index(rows), rows[:200], 10)[1]
    monkeypatch.setattr(neighbours, "FLAT_ROWS", 1000)
    found = search(build_index(rows), rows[:200], 10)[1]

    hits = [len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)]
    assert np.mean(hits) > 5
