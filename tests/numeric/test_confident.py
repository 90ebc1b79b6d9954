import numpy as np
import pytest
from cleanlab.count import calibrate_confident_joint
from cleanlab.filter import _keep_at_least_n_per_class
from cleanlab.internal.util import round_preserving_sum
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.numeric.confident import Joint, SelfConfidence, round_to_sum
from pipeline.numeric.ranking import odds_over

RNG = np.random.default_rng(0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 50).filter(lambda v: v % 0.5 > 1e-6), min_size=1, max_size=12))
def test_rounded_numbers_keep_their_sum(values):
    value = np.array(values)
    ours = round_to_sum(value)

    assert ours.sum() == value.sum().round()
    assert (np.abs(ours - value) <= 1.0).all()
    if len(np.unique((value - value.round()).round(9))) == len(value):
        np.testing.assert_array_equal(ours, round_preserving_sum(value))


@pytest.mark.parametrize("seed", range(5))
def test_a_joint_is_calibrated_as_cleanlab_does(seed):
    rng = np.random.default_rng(seed)
    counted = rng.permutation(64).reshape(8, 8) * (rng.random((8, 8)) < 0.6)
    np.fill_diagonal(counted, np.maximum(counted.diagonal(), 1))
    num_rows = counted.sum(axis=1) + rng.integers(0, 40, 8)
    num_rows[3] = 0
    cells = np.repeat(np.arange(64), counted.ravel())
    joint = Joint.of(cells // 8, cells % 8, 8).calibrate(num_rows)
    expected = calibrate_confident_joint(counted, np.repeat(np.arange(8), num_rows))

    np.testing.assert_array_equal(joint.dense(), expected)
    np.testing.assert_array_equal(joint.dense().sum(axis=1), num_rows)


@pytest.mark.parametrize("seed", range(5))
def test_every_label_keeps_a_right_row_as_in_cleanlab(seed):
    rng = np.random.default_rng(seed)
    counted = rng.integers(0, 4, (6, 6)) * (rng.random((6, 6)) < 0.5)
    cells = np.arange(36)
    joint = Joint(6, cells, counted.ravel())

    expected = _keep_at_least_n_per_class(counted.T, 1).T
    np.testing.assert_array_equal(joint.keep_one().dense(), expected)


def test_a_class_that_nothing_is_labelled_is_never_confident():
    own = SelfConfidence.of(np.array([1, 1]), np.array([0.2, 0.6]), 3)

    np.testing.assert_allclose(own.threshold, [2.0, 0.4, 2.0])


def test_a_joint_of_many_classes_takes_room_for_its_pairs_alone():
    num_classes = 10_000
    label, confident = RNG.integers(0, num_classes, (2, 5_000))
    joint = Joint.of(label, confident, num_classes)
    whole = joint.calibrate(np.bincount(label, minlength=num_classes))

    assert len(joint.pair) <= 5_000
    assert len(whole.pair) <= 15_000
    assert whole.count.sum() == 5_000


def test_odds_over_the_cut_rise_with_the_suspicion():
    wrong = np.sort(RNG.random(50))
    value = odds_over(wrong, np.full(50, 0.3))

    assert (np.diff(value) > 0).all()
    np.testing.assert_array_equal(value > 0.5, wrong > 0.3)
    assert odds_over(np.array([0.0, 1.0]), np.array([-np.inf, np.inf])) == pytest.approx(0.5)
