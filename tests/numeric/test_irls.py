import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pipeline.numeric.irls import Newton, Plane
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.prototypes import unit

RNG = np.random.default_rng(0)
ROWS = unit(RNG.normal(size=(500, 6)))
TARGET = (ROWS[:, 0] + 0.3 * RNG.normal(size=500) > 0.4).astype(float)


def flat():
    zero = np.zeros(500, np.int64)
    return Plane.flat(FoldMoments.of(ROWS, zero, zero, (1, 1)))


def fit(target, steps=12):
    plane = flat()
    sides = np.array([(target == 0).sum(), target.sum()])
    weight = (500 / (2 * sides))[target.astype(int)]
    for _ in range(steps):
        newton = Newton.of(plane.standardise(ROWS), target, weight, plane.slope)
        plane = Plane(plane.mean, plane.deviation, newton.step(plane.slope, 1.0))
    return plane


def test_the_plane_agrees_with_scikit_learn():
    scaled = StandardScaler().fit_transform(ROWS)
    oracle = LogisticRegression(C=1.0, class_weight="balanced", tol=1e-10).fit(scaled, TARGET)

    np.testing.assert_allclose(fit(TARGET).slope[:-1], oracle.coef_[0], atol=1e-4)
    np.testing.assert_allclose(fit(TARGET).slope[-1], oracle.intercept_[0], atol=1e-4)


def test_separable_rows_give_a_finite_plane():
    slope = fit((ROWS[:, 0] > 0).astype(float), steps=30).slope

    assert np.isfinite(slope).all()
    assert np.abs(slope).max() < 50


def test_a_constant_feature_is_ignored():
    rows = np.column_stack([ROWS[:, :2], np.zeros(500)])
    zero = np.zeros(500, np.int64)
    plane = Plane.flat(FoldMoments.of(unit(rows), zero, zero, (1, 1)))

    np.testing.assert_array_equal(plane.standardise(rows)[:, 2], 0.0)
