from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.numeric.quantiles import Quantiles
from pipeline.numeric.record import from_arrays, to_arrays

RNG = np.random.default_rng(0)
VALUE = np.concatenate([RNG.normal(size=30_000), RNG.exponential(size=20_000), np.zeros(10_000)])
LABEL = np.repeat([0, 1, 2], [30_000, 20_000, 10_000])
ORDER = RNG.permutation(60_000)
VALUE, LABEL = VALUE[ORDER].astype(np.float32), LABEL[ORDER]
BOUND = 4.0
"""Times the error that one case of a hundred exceeds: no run of these tests will."""


def sketch(rows, **options):
    return Quantiles.of(VALUE[rows], LABEL[rows], 4, **options)


def assert_within_the_bound(some):
    for c in range(3):
        own = np.sort(VALUE[c == LABEL])
        for rank in (0.01, 0.1, 0.5, 0.9, 0.99):
            value = some.quantile(rank)[c]
            low, high = (np.searchsorted(own, value, side) / len(own) for side in ("left", "right"))
            assert low - BOUND * some.rank_error <= rank <= high + BOUND * some.rank_error
    assert some.count.tolist() == [30_000, 20_000, 10_000, 0]


@pytest.mark.parametrize("size", [50, 200, 800])
def test_ranks_are_right_within_the_bound(size):
    some = sketch(slice(None), size=size)

    assert_within_the_bound(some)
    assert len(some.data) < 3 * 40 * size
    assert some.rank_error < 3.0 / size


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 59_999), max_size=8, unique=True), st.randoms())
def test_parts_merged_in_any_order_stay_within_the_bound(cuts, random):
    parts = [sketch(rows) for rows in np.split(np.arange(60_000), sorted(cuts))]
    random.shuffle(parts)

    assert_within_the_bound(reduce(Quantiles.merge, parts))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-9, 9, width=32), max_size=60), st.integers(0, 60))
def test_few_rows_are_exact_however_they_are_merged(values, cut):
    value = np.array(values, np.float32)
    parts = [Quantiles.of(v, np.zeros(len(v), int), 1) for v in (value[:cut], value[cut:])]
    merged = parts[1].merge(parts[0])

    assert merged.count[0] == len(value)
    if len(value):
        ranks = np.arange(1, len(value)) / len(value)
        found = [merged.quantile(rank)[0] for rank in (0.0, *ranks)]
        assert set(found) <= set(value.tolist())
        assert merged.quantile(0.0)[0] == value.min()
        assert merged.quantile(1.0)[0] == value.max()
        assert merged.rank(float(value[0]))[0] == pytest.approx((value < value[0]).mean())


def test_nothing_and_one_row_are_sketches():
    empty = Quantiles.of(np.zeros(0), np.zeros(0, int), 2)
    one = Quantiles.of(np.array([0.25, np.nan, 3.0]), np.array([1, 1, -1]), 2)
    both = empty.merge(one)

    assert empty.count.tolist() == [0, 0]
    assert np.isnan(empty.quantile(0.5)).all()
    assert both.count.tolist() == [0, 1]
    np.testing.assert_array_equal(both.quantile(0.9), [np.nan, 0.25])


def test_sketches_survive_as_plain_arrays():
    some = sketch(slice(0, 20_000))
    arrays = to_arrays(some)
    again = from_arrays(Quantiles, arrays)

    assert all(array.dtype != object for array in arrays.values())
    np.testing.assert_array_equal(again.quantile(0.3), some.quantile(0.3))
    np.testing.assert_array_equal(again.merge(some).count, 2 * some.count)
