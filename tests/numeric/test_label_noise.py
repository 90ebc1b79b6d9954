"""The noise of labels is that of a slow loop over pairs, and shares of classes are recovered."""

import numpy as np
import pytest

from pipeline.numeric.label_noise import class_shares, noise_of_given, noise_of_pairs


@pytest.mark.parametrize("size", [1, 2, 7])
def test_noise_is_that_of_a_loop_over_labels(size):
    rng = np.random.default_rng(size)
    joint = rng.random((size, size)) * (rng.random((size, size)) < 0.7)
    joint[0] = 0.0
    noise = noise_of_pairs(np.arange(size**2), joint.ravel(), size)

    for label, row in enumerate(joint):
        if not row.sum():
            assert np.isnan(noise.rate[label])
            assert (noise.meant[label], noise.share[label]) == (-1, 0.0)
            continue
        others = np.delete(row, label)
        assert noise.rate[label] == pytest.approx(others.sum() / row.sum())
        assert noise.share[label] == pytest.approx(others.max(initial=0.0) / row.sum())
        if others.any():
            assert row[noise.meant[label]] == others.max()
            assert noise.meant[label] != label


def test_pairs_may_be_sparse_and_in_any_order():
    joint = np.array([[8, 0, 2], [0, 5, 0], [1, 3, 6]])
    pair = np.flatnonzero(joint)[::-1]
    dense = noise_of_pairs(np.arange(9), joint.ravel(), 3)
    sparse = noise_of_pairs(pair, joint.ravel()[pair], 3)

    np.testing.assert_allclose(sparse.rate, dense.rate)
    assert sparse.meant.tolist() == dense.meant.tolist() == [2, -1, 1]


def test_of_equal_classes_the_first_is_meant():
    assert noise_of_pairs(np.arange(9), np.array([4, 1, 1, 0, 1, 0, 2, 2, 2]), 3).meant[2] == 0


def test_labels_of_a_class_that_loses_many_are_right_where_they_stand():
    given = np.array([[1.0, 0.0], [0.5, 0.5]])
    noise = noise_of_given(given, np.array([0.2, 0.8]))

    np.testing.assert_allclose(noise.rate, [0.4 / 0.6, 0.0])
    assert noise.meant.tolist() == [1, -1]


def test_shares_of_classes_are_those_that_made_the_labels():
    rng = np.random.default_rng(0)
    given = 0.7 * np.eye(6) + 0.3 * rng.dirichlet(np.ones(6), 6)
    share = rng.dirichlet(np.full(6, 3.0))

    np.testing.assert_allclose(class_shares(given, share @ given), share, atol=2e-3)
