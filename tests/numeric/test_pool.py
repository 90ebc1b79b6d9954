import numpy as np
import pytest
from scipy.special import log_softmax

from pipeline.numeric.pool import fit_pool
from pipeline.numeric.temperature import NoisyFit

NUM_CLASSES = 10
RNG = np.random.default_rng(0)
TRUE = RNG.integers(0, NUM_CLASSES, 3000)
GOOD = RNG.normal(size=(3000, NUM_CLASSES)) + 4 * np.eye(NUM_CLASSES)[TRUE]
USELESS = RNG.normal(size=(3000, NUM_CLASSES))
PRIOR = np.full(NUM_CLASSES, 1 / NUM_CLASSES)


def noisy(rate, seed=1):
    rng = np.random.default_rng(seed)
    other = (TRUE + rng.integers(1, NUM_CLASSES, 3000)) % NUM_CLASSES
    return np.where(rng.random(3000) < rate, other, TRUE)


@pytest.mark.parametrize("rate", [0.0, 0.15, 0.4])
def test_the_noise_rate_is_found(rate):
    _, noise = fit_pool(GOOD[None], noisy(rate), PRIOR, np.ones(3000))

    assert abs(noise * (1 - 1 / NUM_CLASSES) - rate) < 0.03


def test_a_useless_source_gets_no_weight():
    pool, _ = fit_pool(np.stack([GOOD, USELESS]), noisy(0.2), PRIOR, np.ones(3000))

    assert pool[1] < 0.1 * pool[0]


def test_the_scale_of_a_source_does_not_matter():
    one, _ = fit_pool(GOOD[None], noisy(0.2), PRIOR, np.ones(3000))
    other, _ = fit_pool(GOOD[None] / 100, noisy(0.2), PRIOR, np.ones(3000))

    np.testing.assert_allclose(other, one * 100, rtol=1e-3)


def test_the_pool_agrees_with_the_grid():
    label = noisy(0.2)
    pool, noise = fit_pool(GOOD[None], label, PRIOR, np.ones(3000), penalty=0.0)
    scale, rate, value = NoisyFit.of(GOOD, label, PRIOR).best()

    assert abs(np.log(pool[0] / scale)) < 0.5
    assert abs(noise - rate) < 0.06
    own = np.exp(log_softmax(pool[0] * GOOD, axis=1)[np.arange(3000), label])
    assert np.log((1 - noise) * own + noise / NUM_CLASSES).sum() >= value - 1e-6


@pytest.mark.parametrize("num_classes", [10, 100, 1000])
def test_cosines_of_a_real_clip_are_not_flattened(num_classes):
    """A temperature of 0.1 on cosines of .325 and .176 leaves the best class below 0.1."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, num_classes, 2000)
    cosine = rng.normal(0.176, 0.048, (2000, num_classes))
    cosine[np.arange(2000), true] = rng.normal(0.325, 0.029, 2000)
    wrong = rng.random(2000) < 0.3
    label = np.where(wrong, (true + rng.integers(1, num_classes, 2000)) % num_classes, true)
    prior = np.full(num_classes, 1 / num_classes)

    pool, noise = fit_pool(cosine[None].astype(np.float32), label, prior, np.ones(2000))
    own = np.exp(log_softmax(pool[0] * cosine, axis=1)[np.arange(2000), label])
    assert 0.22 < noise < 0.4
    assert pool[0] > 40
    assert np.mean(own[~wrong]) > 10 * np.mean(own[wrong])
