import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.numeric.top import BLOCK, top


def assert_sorted(share, size):
    order = np.argsort(-share, axis=1, kind="stable")[:, :size]
    place, value = top(share, size)

    np.testing.assert_array_equal(place, order)
    np.testing.assert_array_equal(value, np.take_along_axis(share, order, axis=1))


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(0, 9), st.integers(1, 30)),
        elements=st.floats(0, 1, width=32),
    ),
    st.integers(1, 20),
)
def test_places_are_those_of_a_stable_sort(share, size):
    assert_sorted(share, size)


@pytest.mark.parametrize("width", [1, 16, 17, 1000, 70_000])
def test_ties_and_underflows_go_to_the_first_over_blocks_of_rows(width):
    rng = np.random.default_rng(0)
    share = np.exp(-rng.integers(0, 140, (3 + 2 * BLOCK // width if width > 999 else 50, width)))

    assert_sorted(share.astype(np.float32), 16)
