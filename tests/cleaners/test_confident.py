"""Confident learning against cleanlab, which holds everything in memory.

Where remainders are alike, which of them is rounded up depends in cleanlab on how the machine
sorts; here the last one is.
"""

import warnings
from itertools import pairwise
from typing import get_args, get_type_hints

import cleanlab
import numpy as np
import pyarrow as pa
import pytest
from cleanlab.count import compute_confident_joint, get_confident_thresholds
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from pipeline.cleaners.confident import PAIRWISE, Confident
from pipeline.cleaners.probe import TOP, Probe
from pipeline.contract import Classes
from pipeline.engine.local import TableRows, beside
from pipeline.schema import LABEL
from tests.corpora import tabulate, unit

FILTERS = get_args(get_type_hints(Confident)["filter_by"])


def probabilities(num_rows, num_classes, *, missing=(), seed=0, sharpness=2.0, noise=0.25):
    """Return `(n,)` noisy labels and `(n, k)` float32 probabilities that are often right."""
    rng = np.random.default_rng(seed)
    present = np.setdiff1d(np.arange(num_classes), missing)
    true = rng.choice(present, num_rows, p=rng.dirichlet(np.full(len(present), 3.0)))
    logit = rng.normal(size=(num_rows, num_classes))
    logit[np.arange(num_rows), true] += sharpness
    logit[:, list(missing)] -= 1.0
    label = np.where(rng.random(num_rows) < noise, rng.choice(present, num_rows), true)
    share = np.exp(logit - logit.max(axis=1, keepdims=True))
    return label, (share / share.sum(axis=1, keepdims=True)).astype(np.float32)


def tabled(label, share):
    """Return the table that `probe` would have left."""
    rng = np.random.default_rng(5)
    own = np.take_along_axis(share, np.maximum(label, 0)[:, None], axis=1)[:, 0]
    order = np.argsort(-share, axis=1, kind="stable")[:, :TOP]
    top, most = np.full((len(label), TOP), -1, np.int32), np.zeros((len(label), TOP), np.float32)
    top[:, : order.shape[1]], most[:, : order.shape[1]] = order, np.take_along_axis(share, order, 1)
    return pa.table(
        {
            "uid": pa.array([rng.bytes(16) for _ in label], pa.binary(16)),
            LABEL: pa.array(label, pa.int32(), mask=label < 0),
            "probe.doubt": pa.array(np.float32(1) - own, mask=label < 0),
            "probe.top": pa.FixedSizeListArray.from_arrays(pa.array(top.ravel()), TOP),
            "probe.share": pa.FixedSizeListArray.from_arrays(pa.array(most.ravel()), TOP),
        }
    )


def learn(label, share, **options):
    table, cleaner = tabled(label, share), Confident(**options)
    cuts = [0, len(label) // 3, len(label) // 2, len(label)]
    parts = tuple(table.slice(a, b - a) for a, b in pairwise(cuts))
    names = tuple(f"class {c}" for c in range(share.shape[1]))
    classes = Classes(name=names, embedding=np.zeros((len(names), 2), np.float32))
    state = cleaner.fit(TableRows(parts, classes))
    return state, cleaner.score(state, table)


def oracle(label, share, filter_by, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cleanlab.filter.find_label_issues(
            label, share.astype(np.float64), filter_by=filter_by, n_jobs=1, **options
        )


CORPORA = {
    "three classes": {"num_rows": 400, "num_classes": 3},
    "seven classes, two without rows": {"num_rows": 900, "num_classes": 7, "missing": (2, 6)},
    "twelve classes, few rows each": {"num_rows": 100, "num_classes": 12, "seed": 3},
    "twelve classes": {"num_rows": 3000, "num_classes": 12, "seed": 1, "noise": 0.4},
    "probabilities that say little": {"num_rows": 600, "num_classes": 5, "sharpness": 0.3},
    "labels that are nearly all wrong": {"num_rows": 500, "num_classes": 4, "noise": 0.95},
}


@pytest.mark.parametrize("corpus", CORPORA)
def test_thresholds_and_joint_are_those_of_cleanlab(corpus):
    label, share = probabilities(**CORPORA[corpus])
    state, _ = learn(label, share)
    exact = share.astype(np.float64)
    ours, theirs = state.joint.dense(), compute_confident_joint(label, exact)
    counted = compute_confident_joint(label, exact, calibrate=False)

    np.testing.assert_allclose(state.threshold, get_confident_thresholds(label, exact), rtol=1e-12)
    np.testing.assert_array_equal(ours.sum(axis=1), np.bincount(label, minlength=len(ours)))
    assert_same_up_to_remainders(ours, theirs, counted)


def assert_same_up_to_remainders(ours, theirs, counted):
    for row, other, count in zip(ours, theirs, counted, strict=True):
        assert sorted(zip(count, row, strict=True)) == sorted(zip(count, other, strict=True))


@pytest.mark.parametrize("filter_by", FILTERS)
@pytest.mark.parametrize("corpus", CORPORA)
def test_every_filter_flags_the_rows_that_cleanlab_flags(corpus, filter_by):
    label, share = probabilities(**CORPORA[corpus])
    state, added = learn(label, share, filter_by=filter_by)
    flag = added["confident.flag"].to_numpy()
    expected = oracle(label, share, filter_by, confident_joint=state.joint.dense())

    assert flag.any()
    np.testing.assert_array_equal(flag, expected)
    np.testing.assert_array_equal(flag, added["confident.label"].to_numpy() > 0.5)


@pytest.mark.parametrize("filter_by", FILTERS)
def test_as_many_rows_are_flagged_where_many_are_tied(filter_by):
    label, share = probabilities(2000, 4, seed=2)
    share = np.round(share * 8) / 8
    state, added = learn(label, share, filter_by=filter_by)
    expected = oracle(label, share, filter_by, confident_joint=state.joint.dense())
    rival = np.where(np.eye(4, dtype=bool)[label], 0, share).max(axis=1)
    tied = share[np.arange(2000), label] == rival
    flag = added["confident.flag"].to_numpy()

    assert abs(int(flag.sum()) - int(expected.sum())) <= tied.sum()
    if filter_by in ("low_self_confidence", "predicted_neq_given", "confident_learning"):
        assert flag.sum() == expected.sum()


def test_of_equal_rows_just_as_many_are_taken_as_are_wanted():
    label = np.repeat([0, 1], 60)
    share = np.repeat(np.array([[0.9, 0.1], [0.35, 0.65]], np.float32), 60, axis=0)
    share[:20], share[20:30] = [0.3, 0.7], [0.45, 0.55]
    for filter_by in ("prune_by_class", "prune_by_noise_rate"):
        _, added = learn(label, share, filter_by=filter_by)
        flag = added["confident.flag"].to_numpy()
        assert flag[:20].all()
        assert flag[20:30].sum() == 4
        assert flag.sum() == oracle(label, share, filter_by).sum() == 24


def test_sixteen_classes_of_forty_are_enough():
    label, share = probabilities(2000, 40, seed=4, sharpness=4.0)
    exact = share.astype(np.float64)
    state, _ = learn(label, share)
    joint = compute_confident_joint(label, exact)
    counted = compute_confident_joint(label, exact, calibrate=False)

    np.testing.assert_allclose(state.threshold, get_confident_thresholds(label, exact), rtol=1e-6)
    assert_same_up_to_remainders(state.joint.dense(), joint, counted)
    for filter_by in FILTERS:
        flag = learn(label, share, filter_by=filter_by)[1]["confident.flag"].to_numpy()
        expected = oracle(label, share, filter_by, confident_joint=state.joint.dense())
        differ = 0.02 if filter_by in PAIRWISE else 0.0
        assert (flag ^ expected).sum() <= differ * expected.sum()


@pytest.mark.parametrize("filter_by", [f for f in FILTERS if not f.startswith("low")])
def test_a_label_that_is_also_the_likeliest_class_is_never_flagged(filter_by):
    label, share = probabilities(1500, 6, seed=6, noise=0.6, sharpness=1.0)
    _, added = learn(label, share, filter_by=filter_by)
    agrees = share.argmax(axis=1) == label

    assert not added["confident.flag"].to_numpy()[agrees].any()
    assert added["confident.flag"].to_numpy()[~agrees].any()


def test_rows_that_no_class_is_confident_of_are_named_not_skipped():
    label, share = probabilities(800, 4, seed=7)
    label[:60], share[:60] = np.arange(60) % 4, 0.25
    state, added = learn(label, share)
    confident = (share >= state.threshold - 1e-6).any(axis=1)

    np.testing.assert_array_equal(added["confident.uncertain"].to_numpy(), ~confident)
    assert added["confident.uncertain"].to_numpy()[:60].all()
    assert added["confident.prediction"].null_count == (~confident).sum()
    assert added["confident.label"].null_count == 0


def test_rows_without_a_label_are_left_out_and_change_nothing():
    label, share = probabilities(700, 5, seed=8)
    bare = np.where(np.arange(700) % 3 == 0, -1, label)
    state, added = learn(bare, share)
    known = bare >= 0
    alone, scored = learn(bare[known], share[known])

    assert added["confident.label"].null_count == added["confident.flag"].null_count == 234
    np.testing.assert_array_equal(state.joint.dense(), alone.joint.dense())
    np.testing.assert_array_equal(
        added["confident.label"].drop_null().to_numpy(), scored["confident.label"].to_numpy()
    )


def test_a_corpus_without_labels_gets_no_scores():
    _, share = probabilities(50, 4)
    _, added = learn(np.full(50, -1), share)

    assert all(column.null_count == 50 for column in added.columns[:2])


def probed(image, label, num_classes):
    """Return the table of labelled images with the columns of `probe`, and its classes."""
    table = tabulate(image, np.zeros_like(image), np.zeros(len(label), bool), label)
    names = tuple(f"class {c}" for c in range(num_classes))
    classes = Classes(name=names, embedding=np.zeros((num_classes, 2), np.float32))
    cleaner = Probe()
    state = cleaner.fit(TableRows((table,), classes))
    return beside(table, cleaner.score(state, table)), classes


def flagged(table, classes, **options):
    cleaner = Confident(**options)
    return cleaner.score(cleaner.fit(TableRows((table,), classes)), table)


def test_probabilities_of_a_model_that_saw_the_labels_find_nearly_nothing():
    rng = np.random.default_rng(9)
    true = rng.integers(0, 4, 400)
    image = unit(unit(rng.normal(size=(4, 200)))[true] + 0.07 * rng.normal(size=(400, 200)))
    label = np.where(rng.random(400) < 0.2, rng.integers(0, 4, 400), true)
    wrong = label != true
    seen = LinearDiscriminantAnalysis().fit(image, label).predict_proba(image)
    _, memorised = learn(label, seen.astype(np.float32))
    held_out = flagged(*probed(image, label, 4))["confident.flag"].to_numpy()

    assert (memorised["confident.flag"].to_numpy() & wrong).sum() < 0.6 * wrong.sum()
    assert (held_out & wrong).sum() > 0.9 * wrong.sum()
    assert (held_out & wrong).sum() > 0.9 * held_out.sum()


def test_clean_digits_stay_clean():
    image, label = load_digits(return_X_y=True)
    added = flagged(*probed(unit(image), label, 10))

    assert (added["confident.label"].to_numpy() > 0.5).mean() < 0.02


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_wrong_digits_are_found_and_their_share_is_told(noise):
    image, true = load_digits(return_X_y=True)
    rng = np.random.default_rng(10)
    label = np.where(rng.random(len(true)) < noise, rng.integers(0, 10, len(true)), true)
    wrong = label != true
    added = flagged(*probed(unit(image), label, 10))
    flag, suspect = added["confident.flag"].to_numpy(), added["confident.label"].to_numpy()

    assert (flag & wrong).sum() > 0.9 * wrong.sum()
    assert (flag & wrong).sum() > 0.8 * flag.sum()
    assert roc_auc_score(wrong, suspect) > 0.98
    assert abs(suspect.mean() - wrong.mean()) < 0.04
