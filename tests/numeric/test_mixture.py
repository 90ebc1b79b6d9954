import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from pipeline.numeric.histogram import Histogram
from pipeline.numeric.mixture import fit_mixture

RNG = np.random.default_rng(0)
LOSS = np.r_[RNG.normal(1.0, 0.3, 8000), RNG.normal(4.0, 0.8, 2000)]


def test_a_mixture_of_a_histogram_agrees_with_one_of_the_rows():
    ours = fit_mixture(Histogram.of(LOSS, -2.0, 10.0))
    oracle = GaussianMixture(2, random_state=0, tol=1e-8, max_iter=500).fit(LOSS[:, None])

    order = oracle.means_.ravel().argsort()
    np.testing.assert_allclose(ours.mean, oracle.means_.ravel()[order], atol=0.02)
    np.testing.assert_allclose(ours.share, oracle.weights_[order], atol=0.01)
    between = np.linspace(1.0, 4.0, 50)
    expected = oracle.predict_proba(between[:, None])[:, order[1]]
    np.testing.assert_allclose(ours.high(between), expected, atol=0.05)


@pytest.mark.parametrize("outlier", [12.0, 40.0, 1e6])
def test_one_wild_loss_changes_nothing(outlier):
    high = 16.0
    flags = fit_mixture(Histogram.of(LOSS, 0.0, high)).high(LOSS) > 0.95
    again = fit_mixture(Histogram.of(np.r_[LOSS, outlier], 0.0, high)).high(LOSS) > 0.95

    assert abs(int(flags.sum()) - int(again.sum())) <= 20


def test_one_kind_of_loss_is_not_split():
    mixture = fit_mixture(Histogram.of(RNG.normal(2.0, 0.3, 5000), 0.0, 16.0))

    assert not mixture.is_split
    np.testing.assert_array_equal(mixture.high(np.array([0.0, 2.0, 9.0])), 0.0)


@pytest.mark.parametrize("value", [[], [1.0], [1.0] * 50])
def test_too_little_to_split_is_not_split(value):
    assert not fit_mixture(Histogram.of(np.array(value), 0.0, 16.0)).is_split


def test_the_probability_never_falls_as_the_loss_rises():
    chance = fit_mixture(Histogram.of(LOSS, 0.0, 16.0)).high(np.linspace(-5, 30, 500))

    assert (np.diff(chance) >= -1e-12).all()
