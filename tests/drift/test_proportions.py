import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import kolmogorov
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp, wasserstein_distance

from pipeline.drift.proportions import differ, distance, shifted


def one(*values):
    return tuple(np.array([value], np.int64) for value in values)


@pytest.mark.parametrize("counts", [(40, 100, 70, 120), (400, 1000, 100, 300), (50, 90, 50, 90)])
def test_many_rows_are_compared_by_the_g_test(counts):
    hits, total, hits2, total2 = counts
    table = [[hits, total - hits], [hits2, total2 - hits2]]
    oracle = chi2_contingency(table, correction=False, lambda_="log-likelihood")

    assert differ(*one(*counts))[0] == pytest.approx(oracle.pvalue, rel=1e-9)


@pytest.mark.parametrize("counts", [(0, 3, 5, 5), (1, 700, 4, 100), (3, 3, 0, 90), (2, 4, 2, 4)])
def test_few_rows_are_compared_by_the_exact_test(counts):
    hits, total, hits2, total2 = counts
    table = [[hits, total - hits], [hits2, total2 - hits2]]
    tails = [fisher_exact(table, side).pvalue for side in ("less", "greater")]

    assert differ(*one(*counts))[0] == pytest.approx(min(1, 2 * min(tails)), rel=1e-9)


@given(st.tuples(*[st.integers(0, 60)] * 4))
def test_any_counts_give_a_probability_that_does_not_depend_on_the_order(numbers):
    a, b, c, d = numbers
    counts = (min(a, b), max(a, b), min(c, d), max(c, d))
    (p,), (q,) = differ(*one(*counts)), differ(*one(*counts[2:], *counts[:2]))

    assert 0 <= p <= 1
    assert p == pytest.approx(q, rel=1e-9)


def test_an_empty_sample_differs_from_nothing():
    assert differ(*one(0, 0, 3, 10)).tolist() == [1.0]
    assert differ(*one(0, 0, 0, 0)).tolist() == [1.0]


def samples():
    rng = np.random.default_rng(0)
    low, high = rng.integers(0, 8, 300), rng.integers(2, 10, 200)
    return low, high, *(np.bincount(value, minlength=10)[None] for value in (low, high))


def test_the_distance_of_histograms_is_that_of_the_earth_mover():
    low, high, count, count2 = samples()
    oracle = wasserstein_distance(low / 10, high / 10)

    assert distance(count, count2)[0] == pytest.approx(oracle)
    assert distance(count2, count)[0] == pytest.approx(-oracle)
    assert distance(count, count).tolist() == [0.0]


def test_histograms_are_tested_as_kolmogorov_and_smirnov_do():
    low, high, count, count2 = samples()
    gap = ks_2samp(low, high, method="asymp").statistic

    expected = kolmogorov(np.sqrt(300 * 200 / 500) * gap)
    assert shifted(count, count2)[0] == pytest.approx(expected)
    assert shifted(count2, count)[0] == pytest.approx(expected)


def test_scores_of_one_distribution_are_rarely_called_shifted():
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.ones(12))
    for num in (5, 50, 500):
        count, count2 = rng.multinomial(num, share, 4000), rng.multinomial(7 * num, share, 4000)

        assert (shifted(count, count2) <= 0.05).mean() <= 0.05


def test_an_empty_histogram_is_at_no_distance():
    empty, full = np.zeros((1, 4), np.int64), np.ones((1, 4), np.int64)

    assert distance(empty, full).tolist() == [0.0]
    assert shifted(empty, full).tolist() == [1.0]
