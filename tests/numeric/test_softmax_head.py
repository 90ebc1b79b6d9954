from itertools import islice

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from pipeline.numeric.softmax_head import HalfHeads, SoftmaxHead, descend, fit_head


def planted(num_rows=300, num_classes=4, num_dims=6, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, num_classes, num_rows)
    rows = np.eye(num_classes, num_dims)[label] + rng.normal(size=(num_rows, num_dims)) + 3.0
    return rows, label, rng.random(num_rows)


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_a_head_is_the_logistic_regression_of_scikit_learn(penalty):
    rows, label, weight = planted()
    head = fit_head(rows, label, weight, 4, penalty, steps=500)
    inputs = head.inputs(rows)[:, :-1]
    oracle = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=2000)
    oracle.fit(inputs, label, sample_weight=weight)

    chance = softmax(head.logits(rows), axis=1)
    np.testing.assert_allclose(chance, oracle.predict_proba(inputs), atol=1e-3)


def test_descent_ends_where_the_regression_is():
    rows, label, _ = planted()
    target, count = np.eye(4)[label], len(label)

    def gradient(logit):
        return (softmax(logit, axis=1) - target) / count

    start = SoftmaxHead.zeros(rows, 4)
    *_, head = islice(descend(start, rows, gradient, 0.05, decay=1.0 / count), 1500)
    best = fit_head(rows, label, np.ones(count), 4, penalty=1.0, steps=500)

    np.testing.assert_allclose(head.weight[:-1], best.weight[:-1], atol=1e-3)


def test_rows_without_weight_teach_nothing():
    rows, label, _ = planted()
    seen = np.arange(len(label)) % 3 > 0
    start = SoftmaxHead.zeros(rows, 4)
    one = fit_head(rows, np.where(seen, label, 0), seen.astype(float), 4)
    other = fit_head(rows[seen], label[seen], np.ones(seen.sum()), 4)

    np.testing.assert_allclose(start.inputs(rows).mean(axis=0)[:-1], 0.0, atol=1e-9)
    agreed = one.logits(rows).argmax(axis=1) == other.logits(rows).argmax(axis=1)
    assert agreed.mean() > 0.98


def test_no_rows_and_one_class_make_a_head():
    none = fit_head(np.zeros((0, 3)), np.zeros(0, int), np.zeros(0), 2)
    one = fit_head(np.ones((5, 3)), np.zeros(5, int), np.ones(5), 1)

    assert not none.logits(np.ones((2, 3))).any()
    assert one.logits(np.ones((2, 3))).shape == (2, 1)


def test_a_half_is_scored_by_its_own_head():
    rows, label, weight = planted()
    half = np.arange(len(label)) % 2
    pair = [fit_head(rows[half != h], label[half != h], weight[half != h], 4) for h in range(2)]
    logit = HalfHeads.of(pair).logits(rows, half)

    np.testing.assert_allclose(logit[half == 1], pair[1].logits(rows[half == 1]))
