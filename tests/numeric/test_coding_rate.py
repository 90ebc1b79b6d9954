import numpy as np
import pytest

from pipeline.numeric.coding_rate import Axes, ClassOuter, Compactness


def test_rates_are_those_of_the_rows_of_a_class():
    rng = np.random.default_rng(0)
    rows, label = rng.normal(size=(50, 6)), rng.integers(-1, 3, 50)
    rate = ClassOuter.of(rows, label, 4).rate(0.5)

    for c in range(3):
        part = rows[label == c]
        gram = np.eye(6) + 6 / (len(part) * 0.25) * part.T @ part
        assert rate[c] == pytest.approx(np.linalg.slogdet(gram)[1] / 2)
    assert rate[3] == 0.0


def test_a_class_gains_by_losing_rows_of_another():
    rng = np.random.default_rng(1)
    own, other = (rng.normal(size=(n, 8)) * 0.1 + np.eye(8)[i] for i, n in ((0, 60), (1, 40)))
    rows = np.r_[own, other] / np.linalg.norm(np.r_[own, other], axis=1, keepdims=True)
    zero = np.zeros(100, np.int64)
    whole = ClassOuter.of(rows, zero, 1)
    right = ClassOuter.of(rows, np.where(np.arange(100) < 60, -1, 0), 1)
    random = ClassOuter.of(rows, np.where(np.arange(100) % 5 < 3, -1, 0), 1)

    assert Compactness.of(whole, right, 0.5).gain[0] > 0.5
    assert abs(Compactness.of(whole, random, 0.5).gain[0]) < 0.1
    assert Compactness.of(whole, whole, 0.5).gain[0] == 0.0


def test_axes_are_those_of_a_singular_value_decomposition():
    rows = np.random.default_rng(2).normal(size=(40, 5)) * [5, 4, 1, 1, 0.1] + 3.0
    axes, centred = Axes.of(rows, 2), rows - rows.mean(axis=0)
    oracle = np.linalg.svd(centred, full_matrices=False)[2][:2]

    np.testing.assert_allclose(np.abs(axes.basis.T @ oracle.T), np.eye(2), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(axes.project(rows), axis=1), 1.0, atol=1e-6)
