import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.numeric.counter import Counter
from pipeline.numeric.select import Search, cut_values, select, sort_keys

RNG = np.random.default_rng(0)


def take(cell, key, wanted, num_parts=1):
    """Return which rows are taken, and how many passes that took."""
    passes = []

    def count(search):
        passes.append(search.depth)
        parts = [
            search.count(c, k)
            for c, k in zip(
                np.array_split(cell, num_parts), np.array_split(key, num_parts), strict=True
            )
        ]
        merged = parts[0]
        for part in parts[1:]:
            merged = merged.merge(part)
        return merged

    cuts = select(Search.of(np.arange(len(wanted)), wanted), count)
    return cuts.take(cell, key), len(passes)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_smallest_keys_of_each_cell_are_taken(data):
    wide = data.draw(st.sampled_from([4, 1 << 14, 1 << 40, 1 << 63]))
    num_rows = data.draw(st.integers(0, 60))
    keys = st.lists(st.integers(0, wide), min_size=num_rows, max_size=num_rows, unique=wide > 99)
    key = np.array(data.draw(keys), np.uint64)
    cell = np.arange(num_rows) % 4
    wanted = np.array(data.draw(st.lists(st.integers(0, 20), min_size=3, max_size=3)))
    taken, _ = take(cell, key, wanted, data.draw(st.integers(1, 5)))

    for c in range(4):
        mine, rank = taken[cell == c], np.sort(key[cell == c])
        least = wanted[c] if c < 3 else 0
        expected = key[cell == c] <= rank[min(least, len(rank)) - 1] if least and len(rank) else []
        np.testing.assert_array_equal(
            mine, expected if len(expected) else np.zeros(len(mine), bool)
        )


def test_scattered_keys_take_few_passes_and_tied_ones_at_most_six():
    cell = np.repeat(np.arange(20), 500)
    key = sort_keys(
        RNG.normal(size=10_000).astype(np.float32), RNG.integers(0, 2**63, 10_000, np.uint64)
    )
    _, passes = take(cell, key, np.full(20, 40))
    tied, most = take(cell, np.full(10_000, 7, np.uint64), np.full(20, 40))

    assert passes <= 3
    assert most == 6
    assert tied.all()


def test_room_does_not_grow_with_the_rows():
    search = Search.of(np.zeros(1, int), np.array([1000]))
    keys = [sort_keys(RNG.random(n), np.zeros(n, np.uint64)) for n in (10_000, 1_000_000)]
    few, many = (len(search.count(np.zeros(len(k), int), k).code) for k in keys)

    assert many < 2 * few < 1000


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=20))
def test_keys_rise_with_the_values_and_give_them_back(values):
    value = np.array(values, np.float32)
    key = sort_keys(value, np.zeros(len(value), np.uint64))

    np.testing.assert_array_equal(cut_values(key), value)
    np.testing.assert_array_equal(key[:, None] < key, value[:, None] < value)


@pytest.mark.parametrize("num_parts", [1, 3, 20])
def test_counts_are_those_of_all_codes(num_parts):
    code = RNG.integers(0, 30, 200) ** 8
    merged = Counter.of(code[:0])
    for part in np.array_split(code, num_parts):
        merged = merged.merge(Counter.of(part))
    seen, count = np.unique(code, return_counts=True)

    np.testing.assert_array_equal(merged.code, seen)
    np.testing.assert_array_equal(merged.count, count)
    assert merged.get(np.array([seen[3], -1])).tolist() == [count[3], 0]
