import numpy as np
from sklearn.decomposition import PCA

from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.principal import Axes, fewest, grid


def axes_of(rows):
    zero = np.zeros(len(rows), int)
    return Axes.of(FoldMoments.of(rows, zero, zero, (1, 1)).whole())


def test_axes_are_the_principal_components_of_scikit_learn():
    rows = np.random.default_rng(0).normal(size=(200, 6)) * np.arange(6, 0, -1) + 2.0
    turned = axes_of(rows).first(3).turn(rows)

    np.testing.assert_allclose(abs(turned), abs(PCA(3).fit_transform(rows)), atol=1e-8)


def test_axes_do_not_depend_on_the_order_of_rows():
    rows = np.random.default_rng(0).normal(size=(200, 6))

    np.testing.assert_allclose(axes_of(rows).basis, axes_of(rows[::-1]).basis, atol=1e-9)


def test_a_better_choice_is_taken_only_if_it_is_surely_better():
    rng = np.random.default_rng(0)
    simple = -1.0 + rng.normal(size=200)
    same, better = simple + 0.01 * rng.normal(size=200), simple + 0.5

    assert fewest(np.stack([simple, same])) == 0
    assert fewest(np.stack([simple, same, better])) == 2


def test_sizes_end_with_all_dimensions():
    assert grid(1) == [1]
    assert grid(512)[0] == 2
    assert grid(512)[-1] == 512
    assert len(grid(512)) < 16
