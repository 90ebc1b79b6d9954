import numpy as np
import pytest
from scipy.optimize import check_grad

from pipeline.numeric.consensus import Consensus, Transition, _distance, solve_transition


def truth(num_classes, kind, noise, imbalance=0.0):
    if kind == "symmetric":
        matrix = np.full((num_classes, num_classes), noise / (num_classes - 1))
        np.fill_diagonal(matrix, 1 - noise)
    else:
        matrix = (1 - noise) * np.eye(num_classes) + noise * np.roll(np.eye(num_classes), 1, 1)
    prior = np.arange(1, num_classes + 1) ** -imbalance
    return Transition(prior / prior.sum(), matrix)


def draw(model, true, rng):
    """Return noisy labels of true classes."""
    return (rng.random(len(true))[:, None] > model.matrix[true].cumsum(axis=1)).sum(axis=1)


def test_moments_are_those_of_a_loop():
    model = truth(3, "pair", 0.3, 1.0)
    one, two, three = model.moments()
    slow = sum(
        p * np.multiply.outer(np.multiply.outer(row, row), row)
        for p, row in zip(model.prior, model.matrix, strict=True)
    )

    np.testing.assert_allclose(three, slow)
    np.testing.assert_allclose(two, slow.sum(axis=2))
    np.testing.assert_allclose(one, slow.sum(axis=(1, 2)))


def test_the_gradient_is_that_of_differences():
    target = truth(3, "symmetric", 0.3, 1.0).moments()
    point = np.random.default_rng(0).normal(size=12)

    assert check_grad(*(lambda x, i=i: _distance(x, target)[i] for i in (0, 1)), point) < 1e-7


@pytest.mark.parametrize("kind", ["symmetric", "pair"])
@pytest.mark.parametrize("imbalance", [0.0, 1.5])
def test_exact_moments_give_the_exact_noise(kind, imbalance):
    model = truth(6, kind, 0.35, imbalance)
    found = solve_transition(model.moments()[2])

    np.testing.assert_allclose(found.matrix, model.matrix, atol=2e-3)
    np.testing.assert_allclose(found.keep_rate(), model.keep_rate(), atol=2e-3)


@pytest.mark.parametrize("kind", ["symmetric", "pair"])
@pytest.mark.parametrize("num_rows", [2_000, 32_000])
def test_noise_is_found_within_the_error_of_counting(kind, num_rows):
    model, rng = truth(10, kind, 0.4, 0.5), np.random.default_rng(1)
    true = rng.choice(10, num_rows, p=model.prior)
    label, *near = (draw(model, true, rng) for _ in range(3))
    found = Consensus.of(label, np.stack(near, axis=1), 10).solve()

    error = np.abs(found.matrix - model.matrix) * np.sqrt(num_rows * model.prior)[:, None]
    assert error.max() < 2.5
    assert np.abs(found.noise - model.noise) < 2.5 / np.sqrt(num_rows)


def test_classes_keep_their_names_however_the_solver_went():
    """Moments name no class: a permuted solution is as near, and would flag every row."""
    model, rng = truth(10, "symmetric", 0.4), np.random.default_rng(0)
    true = rng.choice(10, 20_000, p=model.prior)
    label, *near = (draw(model, true, rng) for _ in range(3))
    found = Consensus.of(label, np.stack(near, axis=1), 10).solve()

    assert (found.matrix.argmax(axis=1) == np.arange(10)).all()


def test_a_rare_class_is_not_drowned_by_frequent_ones():
    model, rng = truth(4, "symmetric", 0.2), np.random.default_rng(2)
    model = Transition(np.array([0.5, 0.3, 0.18, 0.02]), model.matrix)
    true = rng.choice(4, 60_000, p=model.prior)
    label, *near = (draw(model, true, rng) for _ in range(3))
    found = Consensus.of(label, np.stack(near, axis=1), 4).solve()

    np.testing.assert_allclose(found.keep_rate(), model.keep_rate(), atol=0.06)


def test_errors_that_neighbours_share_hide_the_noise():
    model, rng = truth(5, "symmetric", 0.4), np.random.default_rng(3)
    true = rng.choice(5, 20_000, p=model.prior)
    label, first, second = (draw(model, true, rng) for _ in range(3))
    copied = rng.random(len(true)) < 0.5
    first = np.where(copied, label, first)
    found = Consensus.of(label, np.stack([first, second], axis=1), 5).solve()

    assert found.noise < 0.36


def test_no_counts_are_no_noise():
    found = Consensus.of(np.array([-1, 0]), np.array([[0, 0], [1, -1]]), 2).solve()

    np.testing.assert_array_equal(found.matrix, np.eye(2))
