import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from pipeline.numeric.early_learning import SIZE, Memory, early_loss


def planted(num_rows=12, num_classes=5, seed=0):
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=(num_rows, num_classes))
    target = 0.9 * softmax(2 * rng.normal(size=logit.shape), axis=1)
    return logit, rng.integers(0, num_classes, num_rows), target


@pytest.mark.parametrize("strength", [0.0, 3.0, 7.0])
def test_the_gradient_is_that_of_finite_differences(strength):
    logit, label, target = planted()
    slope = early_loss(logit, label, target, strength)[1]
    step = 1e-6

    for place in np.ndindex(*logit.shape):
        move = np.zeros_like(logit)
        move[place] = step
        ends = [early_loss(logit + s * move, label, target, strength)[0] for s in (1, -1)]
        np.testing.assert_allclose(slope[place], (ends[0] - ends[1]) / (2 * step), atol=1e-7)


def test_without_strength_the_loss_is_the_cross_entropy():
    logit, label, target = planted()
    value, slope = early_loss(logit, label, target, 0.0)

    entropy = -log_softmax(logit, axis=1)[np.arange(12), label].mean()
    np.testing.assert_allclose(value, entropy)
    np.testing.assert_allclose(slope, (softmax(logit, axis=1) - np.eye(5)[label]) / 12)


def test_a_label_that_the_memory_denies_is_cancelled():
    logit, label, target = (
        np.array([[4.0, 0.0, 0.0]]),
        np.array([1]),
        np.array([[0.95, 0.02, 0.02]]),
    )
    plain = early_loss(logit, label, target, 0.0)[1]
    held = early_loss(logit, label, target, 3.0)[1]

    assert plain[0, 0] > 0.9
    assert held[0, 0] < 0.0
    assert held[0, 1] > 0.5 * plain[0, 1]


def test_the_memory_is_the_moving_average_where_classes_are_few():
    rng, memory, slow = np.random.default_rng(0), Memory.empty(6, 4), np.zeros((6, 4))
    for _ in range(10):
        chance = softmax(rng.normal(size=(6, 4)), axis=1)
        memory, slow = memory.update(chance, 0.7), 0.7 * slow + 0.3 * chance

    np.testing.assert_allclose(memory.dense(4), slow, atol=1e-6)


def test_the_memory_keeps_the_largest_of_many_classes():
    rng, memory, slow = np.random.default_rng(0), Memory.empty(6, 50), np.zeros((6, 50))
    centre = 4.0 * rng.normal(size=(6, 50))
    for _ in range(20):
        chance = softmax(centre + 0.1 * rng.normal(size=(6, 50)), axis=1)
        memory, slow = memory.update(chance, 0.7), 0.7 * slow + 0.3 * chance

    assert memory.value.shape == (6, SIZE)
    assert abs(memory.dense(50) - slow).max() < 0.05
