import numpy as np

from pipeline.numeric.prototypes import fit_prototypes, group_modes, unit

RNG = np.random.default_rng(0)


def cluster(centre, count, spread=0.3):
    return unit(centre + spread * RNG.normal(size=(count, len(centre))) / np.sqrt(len(centre)))


def test_one_cloud_is_one_mode():
    assert group_modes(cluster(np.eye(32)[0], 50, 1.0)).max() == 0


def test_two_meanings_are_two_modes():
    rows = np.vstack([cluster(np.eye(32)[0], 30), cluster(np.eye(32)[1], 20)])
    mode = group_modes(rows)

    assert len(set(mode[:30])) == len(set(mode[30:])) == 1
    assert mode[0] != mode[-1]


def test_a_few_strays_are_no_mode():
    rows = np.vstack([cluster(np.eye(32)[0], 40), cluster(np.eye(32)[1], 2)])

    assert group_modes(rows).max() == 0


def test_a_row_is_never_held_against_itself():
    rows = np.vstack([cluster(np.eye(8)[0], 12), np.eye(8)[[5]]])
    fold = np.r_[np.zeros(12, int), 1]
    prototypes = fit_prototypes(rows, np.zeros(13, int), fold, 2)

    alone = unit(rows[:12].sum(axis=0))
    np.testing.assert_allclose(prototypes.without[1][0], alone, atol=1e-6)


def test_a_class_without_prototypes_has_similarity_zero():
    prototypes = fit_prototypes(np.eye(4), np.array([0, 0, 2, 2]), np.arange(4) % 2, 2)
    near = prototypes.similarity(np.eye(4), np.arange(4) % 2, 3)

    np.testing.assert_array_equal(near[:, 1], 0.0)
