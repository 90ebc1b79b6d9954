import numpy as np

from pipeline.numeric.histogram import Histogram

VALUE = np.random.default_rng(0).random(10_000)


def test_quantiles_are_within_a_bin():
    histogram = Histogram.of(VALUE, 0.0, 1.0, 1000)

    for share in (0.01, 0.5, 0.99):
        assert abs(histogram.quantile(share) - np.quantile(VALUE, share)) < 2e-3


def test_values_outside_and_nan_lose_no_weight_and_add_none():
    histogram = Histogram.of(np.array([-5.0, 0.5, 99.0, np.nan]), 0.0, 1.0, 4)

    np.testing.assert_array_equal(histogram.count, [1, 0, 1, 1])


def test_clipping_moves_weight_and_keeps_it():
    clipped = Histogram.of(np.r_[VALUE, 50.0], 0.0, 100.0, 10_000).clipped(0.001, 0.999)

    assert clipped.count.sum() == len(VALUE) + 1
    assert clipped.centre[clipped.count > 0].max() < 1.1


def test_a_value_is_counted_in_the_bin_that_holds_it():
    histogram = Histogram.of(np.array([0.1, 0.9, 1.6, 4.0]), 0.0, 4.0, 4)

    np.testing.assert_array_equal(histogram.count, [2, 1, 0, 1])
