import numpy as np
import pytest

from pipeline.numeric.prototypes import unit
from pipeline.numeric.reciprocal import reciprocal_distance


def dense(rows, query, near, expand, blend):
    """Re-rank with loops and dense matrices, from the paper's equations."""
    count = len(rows)
    squared = np.maximum(2 - 2 * rows @ rows.T, 0)
    np.fill_diagonal(squared, -1)
    order = np.argsort(squared, axis=1, kind="stable")
    np.fill_diagonal(squared, 0)
    plain = squared / 4

    def reciprocal(a, size):
        return {b for b in order[a, : size + 1] if a in order[b, : size + 1]}

    weight = np.zeros((count, count))
    for a in range(count):
        base = reciprocal(a, near)
        members = set(base)
        for b in base:
            more = reciprocal(b, round(near / 2))
            if len(more & base) > 2 / 3 * len(more):
                members |= more
        members = sorted(members)
        weight[a, members] = np.exp(-plain[a, members])
        weight[a] /= weight[a].sum()
    smooth = np.stack([weight[order[a, :expand]].mean(axis=0) for a in range(count)])
    shared = np.minimum(smooth[query], smooth).sum(axis=1)
    return (1 - blend) * (1 - shared / (2 - shared)) + blend * plain[query]


@pytest.mark.parametrize("near", [5, 20])
def test_agrees_with_a_dense_implementation(near):
    rng = np.random.default_rng(near)
    centre = unit(rng.normal(size=(6, 12)))
    rows = unit(centre[rng.integers(0, 6, 200)] + 0.25 * rng.normal(size=(200, 12)))

    ours = reciprocal_distance(rows, 3, near=near, expand=6, blend=0.3)
    np.testing.assert_allclose(ours, dense(rows, 3, near, 6, 0.3), atol=2e-6)


def test_a_row_is_nearest_to_itself():
    rows = unit(np.random.default_rng(0).normal(size=(30, 4)))

    assert reciprocal_distance(rows, 7, near=5, expand=3).argmin() == 7


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_rows_are_enough(count):
    distance = reciprocal_distance(np.eye(3)[:count], 0)

    assert ((distance >= 0) & (distance <= 1)).all()
