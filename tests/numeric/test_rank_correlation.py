import numpy as np
from scipy.stats import rankdata

from pipeline.numeric.rank_correlation import rank_correlation


def drawn(num_rows=400, seed=0):
    """Draw bins of three scores, weights and one of two classes for each row."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, num_rows)
    common = rng.integers(0, 4, num_rows)
    place = np.column_stack([common, common + rng.integers(0, 2, num_rows) + kind, 2 * kind])
    return place, rng.integers(1, 4, num_rows).astype(float), kind


def test_one_class_is_spearman_s_correlation():
    place, weight, _ = drawn()
    each = np.repeat(place, weight.astype(int), axis=0)
    expected = np.corrcoef(rankdata(each, axis=0).T)
    found = rank_correlation(place, weight, np.ones((len(place), 1)))

    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_what_the_class_explains_is_not_shared():
    place, weight, kind = drawn()
    found = rank_correlation(place, weight, np.eye(2)[kind])

    assert abs(found[1, 2]) < 1e-9
    assert found[0, 1] > 0.8


def test_only_rows_where_both_speak_count():
    place, weight, _ = drawn()
    place[::2, 0] = -1
    found = rank_correlation(place, weight, np.ones((len(place), 1)))
    order = [rankdata(np.repeat(p[p >= 0], weight[p >= 0].astype(int))) for p in place.T]
    value = np.full(place.shape, np.nan)
    for m, rank in enumerate(order):
        spoken = place[:, m] >= 0
        first = np.r_[0, np.cumsum(weight[spoken].astype(int))[:-1]]
        value[spoken, m] = rank[first]
    both = value[1::2, :2]
    covariance = np.cov(both.T, fweights=weight[1::2].astype(int))

    np.testing.assert_allclose(
        found[0, 1], covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]), atol=1e-9
    )
    assert found[1, 2] > 0.0
