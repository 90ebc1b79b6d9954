import numpy as np
from scipy.special import log_softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from pipeline.numeric.lda import FoldLda, spreads
from pipeline.numeric.moments import FoldMoments

RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 3, 300)
ROWS = np.eye(3, 6)[LABEL] * 3 + RNG.normal(size=(300, 6)) * np.linspace(0.5, 2, 6)
FOLD = RNG.integers(0, 3, 300)


def test_held_out_posteriors_agree_with_scikit_learn():
    moments = FoldMoments.of(ROWS, LABEL, FOLD, (3, 3))
    lda = FoldLda.of(spreads(moments, prior_rows=0.0), 1e-12)
    logit = lda.evidence(ROWS, FOLD)

    for fold in range(3):
        seen, held = fold != FOLD, fold == FOLD
        oracle = LinearDiscriminantAnalysis(solver="lsqr").fit(ROWS[seen], LABEL[seen])
        ours = log_softmax(logit[held] + np.log(oracle.priors_), axis=1)
        np.testing.assert_allclose(ours, oracle.predict_log_proba(ROWS[held]), atol=2e-3)


def test_relative_distance_is_to_the_nearest_class_minus_to_the_background():
    moments = FoldMoments.of(ROWS, LABEL, FOLD, (3, 3))
    spread = spreads(moments)
    lda = FoldLda.of(spread, 0.1)
    distance = lda.relative_distance(ROWS, FOLD, lda.evidence(ROWS, FOLD))

    row, fold = ROWS[0], FOLD[0]
    own = spread[fold]
    near = min((row - own.mean - o) @ own.precision(0.1) @ (row - own.mean - o) for o in own.offset)
    behind = (row - own.mean) @ own.background(0.1) @ (row - own.mean)
    np.testing.assert_allclose(distance[0], near - behind, rtol=1e-4)


def test_captions_of_one_template_per_class_are_no_singularity():
    rows = np.eye(3)[LABEL]
    lda = FoldLda.of(spreads(FoldMoments.of(rows, LABEL, FOLD, (3, 3))), 0.01)

    assert (lda.evidence(rows, FOLD).argmax(axis=1) == LABEL).all()


def test_a_class_that_is_only_in_the_row_s_own_fold_says_nothing():
    label = np.where(FOLD == 0, 2, LABEL % 2)
    lda = FoldLda.of(spreads(FoldMoments.of(ROWS, label, FOLD, (3, 3))), 0.1)

    np.testing.assert_allclose(lda.evidence(ROWS, FOLD)[FOLD == 0][:, 2], 0.0, atol=1e-5)


def test_no_rows_at_all_give_no_evidence():
    none = FoldMoments.of(ROWS[:0], LABEL[:0], FOLD[:0], (3, 3))
    lda = FoldLda.of(spreads(none), 0.1)

    np.testing.assert_array_equal(lda.evidence(ROWS, FOLD), 0.0)
