from dataclasses import replace

import numpy as np
import pytest

from pipeline.numeric.clues import Clue, kept_cells, listed
from pipeline.numeric.transition import Counts, Transition

BINS = 8


def draw(matrix, num_rows, sharp=4.0, seed=0):
    """Draw true classes, calibrated probabilities that saw no label, and noisy labels."""
    rng, size = np.random.default_rng(seed), len(matrix)
    logit = sharp * rng.normal(size=(num_rows, size))
    share = np.exp(logit - logit.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    true = (rng.random(num_rows)[:, None] > share.cumsum(axis=1)).sum(axis=1).clip(0, size - 1)
    cut = np.cumsum(matrix, axis=1)[true]
    given = (rng.random(num_rows)[:, None] > cut).sum(axis=1).clip(0, size - 1)
    return true, share, given


def clue_of(share, given, fit=None):
    given = given if given.ndim == 2 else given[:, None]
    top, share = listed(share, given, 10)
    fit = np.full(len(share), BINS - 1) if fit is None else fit
    return Clue(top, share, given, fit)


def run(clue, size, steps=40, width=None):
    cell = kept_cells(clue.top, clue.share, clue.given, size, width or size)
    fitted = Transition.start(cell, size, BINS)
    for _ in range(steps):
        fitted = fitted.step(fitted.counts(clue))
    return fitted


def dense(fitted):
    size = len(fitted.rest)
    matrix = np.repeat(fitted.rest[:, None], size, axis=1)
    matrix.ravel()[fitted.cell] = fitted.chance
    return matrix


def noisy(size, error, seed=1):
    """Return a matrix with errors of unlike sizes."""
    wrong = np.random.default_rng(seed).dirichlet(np.full(size, 0.5), size)
    np.fill_diagonal(wrong, 0.0)
    return (1 - error) * np.eye(size) + error * wrong / wrong.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("num_rows", [1_000, 4_000, 16_000])
def test_the_matrix_is_found_as_exactly_as_the_rows_allow(num_rows):
    size = 6
    matrix = noisy(size, 0.35)
    _, share, given = draw(matrix, num_rows)
    error = np.abs(dense(run(clue_of(share, given), size)) - matrix).max()

    assert error < 4.0 / np.sqrt(num_rows / size)


def test_one_step_is_that_of_a_loop():
    size = 4
    _, share, given = draw(noisy(size, 0.3), 300)
    matrix, total = noisy(size, 0.4, seed=2), np.zeros((size, size))
    before = Transition(np.arange(16), matrix.ravel(), np.zeros(4), np.ones(4), np.full(BINS, 0.0))
    for p, y in zip(share, given, strict=True):
        joint = p * matrix[:, y]
        total[:, y] += joint / joint.sum()
    total += 10.0 * np.eye(size)
    after = before.step(before.counts(clue_of(share, given)))

    np.testing.assert_allclose(dense(after), total / total.sum(axis=1, keepdims=True))


def test_probabilities_that_saw_the_labels_find_them_right():
    # the trap of using the labels twice: p fitted to the labels explains them without errors
    size, num_rows = 6, 8_000
    matrix = noisy(size, 0.4)
    _, share, given = draw(matrix, num_rows, sharp=3.0)
    seen = share @ matrix
    apart = np.diag(dense(run(clue_of(share, given), size))).mean()
    twice = np.diag(dense(run(clue_of(seen, given), size))).mean()

    assert abs(apart - 0.6) < 0.03
    assert twice > 0.8


def test_noise_that_depends_on_the_image_breaks_the_matrix():
    # confusions that only hard images suffer are taken for those of the whole class
    true, share, _ = draw(np.eye(4), 8_000, sharp=1.0)
    hard = share.max(axis=1) < np.median(share.max(axis=1))
    given = np.where(hard, (true + 1) % 4, true)
    member, _ = run(clue_of(share, given), 4).posterior(clue_of(share, given))
    own = np.where(clue_of(share, given).top == given[:, None], member, 0.0).sum(axis=1)

    assert (1 - own[~hard]).mean() > 0.1


def test_a_bounded_softmax_cannot_say_that_few_labels_are_wrong():
    def largest(scale, size):
        return np.exp(scale) / (np.exp(scale) + size - 1)

    assert largest(2.5, 50) == pytest.approx(0.20, abs=0.005)
    assert largest(2.5, 1_000) == pytest.approx(0.012, abs=0.001)

    size = 50
    _, share, given = draw(noisy(size, 0.02), 10_000, sharp=8.0)
    assert np.diag(dense(run(clue_of(share, given), size))).mean() > 0.95


def test_sets_of_possible_labels_are_those_of_a_loop():
    size = 5
    true, share, given = draw(np.eye(size), 200, sharp=1.0)
    other = (given + np.arange(1, 201) % 4 + 1) % size
    clue = clue_of(share, np.column_stack([given, other]))
    sure = Transition(np.arange(25), np.eye(size).ravel(), np.zeros(5), np.ones(5), np.zeros(BINS))
    member, _ = sure.posterior(clue)
    may = (np.arange(size) == given[:, None]) | (np.arange(size) == other[:, None])
    expected = np.take_along_axis(share * may, clue.top, axis=1) * (clue.share > 0)

    np.testing.assert_allclose(member, expected / expected.sum(axis=1, keepdims=True), atol=1e-12)
    best = clue.top[np.arange(200), member.argmax(axis=1)]
    assert np.mean(best == true) > np.mean(share.argmax(axis=1) == true)


def test_sets_missing_labels_and_noisy_labels_are_one_model():
    size, num_rows = 5, 6_000
    matrix = noisy(size, 0.3)
    _, share, given = draw(matrix, num_rows)
    both = np.column_stack([given, (given + 1) % size])
    both[::3, 1] = -1
    both[1::3] = -1
    fitted = run(clue_of(share, both), size, steps=40)
    member, alien = fitted.posterior(clue_of(share, both))

    assert np.abs(dense(fitted) - matrix).mean() < 0.03
    clue = clue_of(share, both)
    unlabelled = (clue.share * fitted.ratio[clue.top])[1::3]
    np.testing.assert_allclose(member[1::3], unlabelled / unlabelled.sum(axis=1, keepdims=True))
    assert (alien == 0).all()


def test_only_the_top_confusions_are_kept_of_many_classes():
    size, num_rows = 40, 10_000
    matrix = 0.7 * np.eye(size) + 0.25 * np.roll(np.eye(size), 1, axis=1) + 0.05 / size
    _, share, given = draw(matrix, num_rows, sharp=8.0)
    fitted = run(clue_of(share, given), size, width=4)

    assert len(fitted.cell) == 4 * size
    assert np.abs(np.diag(dense(fitted)) - np.diag(matrix)).mean() < 0.03
    assert np.abs(np.diag(np.roll(dense(fitted), -1, axis=1)).mean() - 0.25) < 0.03
    np.testing.assert_allclose(dense(fitted).sum(axis=1), 1.0)


def test_images_of_no_class_are_found_where_no_class_fits():
    size, num_rows = 6, 6_000
    rng = np.random.default_rng(3)
    _, share, given = draw(noisy(size, 0.2), num_rows)
    foreign = rng.random(num_rows) < 0.2
    given[foreign] = rng.integers(0, size, foreign.sum())
    fit = np.where(foreign, rng.integers(0, 3, num_rows), rng.integers(0, BINS, num_rows))
    fitted = run(clue_of(share, given, fit), size)
    _, alien = fitted.posterior(clue_of(share, given, fit))

    assert (np.diff(fitted.foreign) <= 0).all()
    assert alien[foreign].mean() > 5 * alien[~foreign].mean()
    assert abs(alien.mean() - foreign.mean()) < 0.06


def test_frequencies_of_classes_are_corrected():
    size = 4
    _, share, given = draw(np.eye(size), 10_000, sharp=2.0)
    rare = given == 0
    keep = ~rare | (np.arange(10_000) % 5 == 0)
    fitted = run(clue_of(share[keep], given[keep]), size)

    assert fitted.ratio[0] < 0.6 < fitted.ratio[1:].min()


def test_counts_without_rows_change_little():
    fitted = Transition.start(np.arange(9), 3, BINS)
    none = clue_of(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0, np.int64))
    empty = fitted.counts(none)

    assert isinstance(empty, Counts)
    np.testing.assert_allclose(dense(fitted.step(empty)), np.eye(3))


def test_the_fit_to_tiny_sets_is_that_of_brute_force():
    # a set is every pair of a class and of the label in it that was given: sum over all of them
    size, num_rows, rng = 3, 12, np.random.default_rng(5)
    share = rng.dirichlet(np.ones(size), num_rows)
    sets = [(0,), (0, 1), (1, 2), (0, 1, 2), (2,), ()] * 2
    given = np.array([[*labels, -1, -1, -1][:size] for labels in sets])
    matrix, ratio = noisy(size, 0.4), np.ones(size)
    clue, fitted = clue_of(share, given), Transition.start(np.arange(9), size, BINS)
    fitted = replace(fitted, chance=matrix.ravel())
    for _ in range(3):
        total, mass = np.zeros((size, size)), np.zeros(size)
        for p, labels in zip(share, sets, strict=True):
            prior = p * ratio / (p * ratio).sum()
            joint = {(c, j): prior[c] * matrix[c, j] for c in range(size) for j in labels}
            whole = sum(joint.values())
            for (c, j), value in joint.items():
                total[c, j] += value / whole
                mass[c] += value / whole
            mass += prior * (not labels)
        matrix = total + 10.0 * np.eye(size)
        matrix /= matrix.sum(axis=1, keepdims=True)
        ratio = (mass + 1.0) / (share.sum(axis=0) + 1.0)
        fitted = fitted.step(fitted.counts(clue))

    np.testing.assert_allclose(dense(fitted), matrix)
    np.testing.assert_allclose(fitted.ratio, ratio)


def test_padding_of_sets_changes_nothing():
    size = 20
    _, share, given = draw(noisy(size, 0.3), 500)
    both = np.column_stack([given, (given + 3) % size])
    both[::2, 1] = -1
    wide = np.column_stack([both, np.full((500, 3), -1)])
    one, other = (run(clue_of(share, sets), size, steps=5, width=4) for sets in (both, wide))

    np.testing.assert_array_equal(one.cell, other.cell)
    np.testing.assert_allclose(one.chance, other.chance)
    top = clue_of(share, wide).top
    assert (clue_of(share, wide).share[:, 12:] == 0).all()
    assert top.shape == (500, 15)


def test_a_set_tells_an_image_of_no_class_the_less_the_larger_it_is():
    share, given = np.array([[0.6, 0.3, 0.1]] * 3), np.array([[0, -1], [0, 2], [-1, -1]])
    matrix, foreign = noisy(3, 0.3), np.full(BINS, 0.2)
    fitted = Transition(np.arange(9), matrix.ravel(), np.zeros(3), np.ones(3), foreign)
    member, alien = fitted.posterior(
        Clue(np.array([[0, 1, 2]] * 3), share, given, np.zeros(3, int))
    )

    for row, labels in enumerate([(0,), (0, 2), (0, 1, 2)]):
        joint, other = 0.8 * share[row] * matrix[:, labels].sum(axis=1), 0.2 * len(labels) / 3
        np.testing.assert_allclose(alien[row], other / (joint.sum() + other))
        np.testing.assert_allclose(member[row], joint / (joint.sum() + other))


def test_the_labels_of_a_set_share_its_row_where_confusions_are_kept():
    top, share = np.zeros((4, 1), int), np.ones((4, 1))
    given = np.array([[1, 2, 3], [1, 2, 3], [4, -1, -1], [5, -1, -1]])

    assert kept_cells(top, share, given, 6, 3).tolist()[:4] == [0, 4, 5, 7]
