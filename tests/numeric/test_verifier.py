import numpy as np
from sklearn.linear_model import LogisticRegression

from pipeline.numeric.verifier import ArrowNewton, CellSums, Verifier


def planted(num_rows=400, num_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    label, fold = rng.integers(0, num_classes, num_rows), rng.integers(0, 2, num_rows)
    rows = 2 * np.eye(num_classes, 5)[label] + rng.normal(size=(num_rows, 5))
    return rows, label, fold, rng


def test_prototypes_are_those_of_the_rows_outside_the_fold():
    rows, label, fold, rng = planted()
    weight = rng.random(len(rows))
    verifier = Verifier.flat(CellSums.of(rows, label, fold, weight, (2, 3)))

    mean = np.average(rows, axis=0, weights=weight)
    rest = (fold != 1) & (label == 2)
    slow = (weight[rest, None] * (rows[rest] - mean)).sum(axis=0)
    np.testing.assert_allclose(verifier.prototype[1, 2], slow / np.linalg.norm(slow))


def test_the_margin_is_over_the_best_rival():
    rows, label, fold, _ = planted()
    verifier = Verifier.flat(CellSums.of(rows, label, fold, np.ones(len(rows)), (2, 3)))
    own, margin, one = verifier.features(rows[:1], label[:1], fold[:1])[0]

    away = (rows[0] - verifier.mean) / np.linalg.norm(rows[0] - verifier.mean)
    cosine = verifier.prototype[fold[0]] @ away
    assert own == cosine[label[0]]
    np.testing.assert_allclose(margin, own - np.delete(cosine, label[0]).max())
    assert one == 1.0


def test_steps_reach_the_logistic_regression_of_scikit_learn():
    rows, label, fold, rng = planted()
    verifier = Verifier.flat(CellSums.of(rows, label, fold, np.ones(len(rows)), (2, 3)))
    feature = verifier.features(rows, label, fold)
    target = (rng.random(len(rows)) < 1 / (1 + np.exp(-feature[:, 1] - label))).astype(float)
    penalty = 10.0
    for _ in range(8):
        verifier = ArrowNewton.of(feature, label, target, verifier).step(verifier, penalty)

    scaled = np.column_stack([feature[:, :2], np.eye(3)[label] / np.sqrt(penalty)])
    oracle = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(scaled, target)
    np.testing.assert_allclose(
        verifier.logit(feature, label), oracle.decision_function(scaled), atol=1e-3
    )


def test_a_row_is_not_part_of_its_own_prototype():
    rows = np.eye(4)
    label, fold = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 1])
    verifier = Verifier.flat(CellSums.of(rows, label, fold, np.ones(4), (2, 2)))

    assert (verifier.features(rows, label, fold)[:, 0] < 0.0).all()
