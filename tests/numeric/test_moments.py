import numpy as np

from pipeline.numeric.moments import FoldMoments

RNG = np.random.default_rng(0)
ROWS, LABEL, FOLD = RNG.normal(size=(60, 5)), RNG.integers(0, 3, 60), RNG.integers(0, 4, 60)


def test_the_rest_of_a_fold_is_what_its_rows_alone_would_give():
    rest = FoldMoments.of(ROWS, LABEL, FOLD, (4, 3)).without(2)

    kept = FOLD != 2
    alone = FoldMoments.of(ROWS[kept], LABEL[kept], FOLD[kept] * 0, (1, 3)).whole()
    np.testing.assert_allclose(rest.total, alone.total)
    np.testing.assert_allclose(rest.outer, alone.outer)


def test_covariances_agree_with_numpy():
    whole = FoldMoments.of(ROWS, LABEL, FOLD, (4, 3)).whole()

    centred = ROWS - np.stack([ROWS[c == LABEL].mean(axis=0) for c in range(3)])[LABEL]
    np.testing.assert_allclose(whole.within(), centred.T @ centred / 60)
    np.testing.assert_allclose(whole.overall(), np.cov(ROWS.T, bias=True))


def test_a_weight_of_two_is_a_row_seen_twice():
    weight = RNG.integers(0, 3, 60)
    twice = np.repeat(np.arange(60), weight)

    weighted = FoldMoments.of(ROWS, LABEL, FOLD, (4, 3), weight.astype(float))
    repeated = FoldMoments.of(ROWS[twice], LABEL[twice], FOLD[twice], (4, 3))
    np.testing.assert_allclose(weighted.outer, repeated.outer)
    np.testing.assert_allclose(weighted.total, repeated.total)


def test_a_class_without_rows_has_the_common_mean():
    whole = FoldMoments.of(ROWS, LABEL, FOLD, (4, 4)).whole()

    np.testing.assert_allclose(whole.class_mean(2.0)[3], ROWS.mean(axis=0))
