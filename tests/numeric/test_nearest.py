import numpy as np
import pytest

from pipeline.numeric.nearest import fit_nearest, tells
from pipeline.numeric.prototypes import unit


def cone(num_rows=2_000, size=10, flip=0.0, seed=0):
    """Return vectors as a joint encoder makes them: in a narrow cone, far from the names."""
    rng = np.random.default_rng(seed)
    shared, class_centre = unit(rng.normal(size=(2, 64))), unit(rng.normal(size=(size, 64)))
    true = rng.integers(0, size, num_rows)
    own = rng.normal(size=(num_rows, 64)) / 8
    image = unit(1.3 * shared[0] + 0.7 * class_centre[true] + 0.75 * own)
    names = unit(1.3 * shared[1] + 0.7 * class_centre)
    wrong = rng.random(num_rows) < flip
    label = np.where(wrong, (true + rng.integers(1, size, num_rows)) % size, true)
    return image, names, true, label


@pytest.mark.parametrize("flip", [0.0, 0.3])
def test_probabilities_are_calibrated_without_true_labels(flip):
    image, names, true, label = cone(flip=flip)
    near = fit_nearest(image.mean(axis=0), names[None], image, 0 * label, label)
    share = near.probability(near.cosine(image, 0 * label))

    assert near.is_telling
    assert abs(share.max(axis=1).mean() - (share.argmax(axis=1) == true).mean()) < 0.05


def test_raw_cosines_at_a_customary_temperature_say_nothing():
    image, names, _, label = cone()
    raw = np.exp(image @ names.T / 0.1)
    raw /= raw.sum(axis=1, keepdims=True)
    near = fit_nearest(image.mean(axis=0), names[None], image, 0 * label, label)

    assert raw.max(axis=1).mean() < 0.5
    assert near.probability(near.cosine(image, 0 * label)).max(axis=1).mean() > 0.8


@pytest.mark.parametrize("seed", range(5))
def test_names_that_carry_nothing_are_refused(seed):
    image, names, _, label = cone(seed=seed)
    random = unit(np.random.default_rng(seed + 100).normal(size=names.shape))

    for told in (random, np.zeros_like(names), names[[*range(1, 10), 0]]):
        assert not fit_nearest(image.mean(axis=0), told[None], image, 0 * label, label).is_telling


def test_agreement_is_that_beyond_chance():
    label = np.repeat([0, 1], [95, 5])
    given = label[:, None]

    assert not tells(np.zeros(100, int), given, 2)
    assert tells(np.r_[label[5:], label[:5]], given, 2) is False
    assert tells(label, given, 2)
    assert not tells(label[:0], given[:0], 2)


def test_to_agree_with_a_set_is_to_be_in_it():
    label = np.arange(400) % 8
    given = np.sort(
        (label[:, None] + np.array([0, 3, 5, 6]) * (1 + label[:, None] % 2)) % 8, axis=1
    )

    assert tells(label, given, 8)
    assert not tells((label + 1) % 8, given, 8)
    assert not tells(np.random.default_rng(0).integers(0, 8, 400), given, 8)
