import numpy as np

from pipeline.numeric.class_mixture import fit_classes
from pipeline.numeric.verdict import Calibration, count_odds, log_odds, wrong


def planted(noise, gap, num_rows=3000, num_classes=4, seed=0):
    """Plant logits with a gap between the true class and the others, and labels."""
    rng = np.random.default_rng(seed)
    true, drawn = rng.integers(0, num_classes, (2, num_rows))
    label = np.where(rng.random(num_rows) < noise, drawn, true)
    logit = gap * np.eye(num_classes)[true] + rng.normal(size=(num_rows, num_classes))
    return logit, label, label != true


def judge(logit, label):
    calibration = Calibration.of(logit, label)
    own = calibration.own(logit, label)
    mixture = fit_classes(count_odds(log_odds(own), label, logit.shape[1]), turn=0.0)
    return wrong(own, label, calibration, mixture)


def test_two_groups_of_labels_are_told_apart():
    logit, label, is_wrong = planted(0.3, 6.0)

    assert np.mean((judge(logit, label) > 0.5) == is_wrong) > 0.98


def test_hard_rows_of_a_clean_corpus_are_not_wrong():
    logit, label, _ = planted(0.0, 2.5)
    likelier = (logit.argmax(axis=1) != label).mean()

    assert likelier > 0.08
    assert np.mean(judge(logit, label) > 0.5) < 0.01


def test_the_noise_rate_is_the_mean_of_the_verdicts():
    logit, label, is_wrong = planted(0.2, 5.0)

    assert abs(judge(logit, label).mean() - is_wrong.mean()) < 0.02


def test_log_odds_are_bounded():
    odds = log_odds(np.array([0.0, 0.5, 1.0]))

    assert odds[1] == 0.0
    assert np.abs(odds).max() < 16.5
