import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.mixture import GaussianMixture

from pipeline.numeric.class_histogram import ClassHistogram
from pipeline.numeric.class_mixture import fit_classes
from pipeline.numeric.mixture import fit_mixture

EDGES = (-16.0, 16.0)


def planted(num_rows, middle, noise, gap=3.0, seed=0):
    """Plant losses of classes with these sizes, clean means and noise rates."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(num_rows)), num_rows)
    wrong = rng.random(len(label)) < np.asarray(noise)[label]
    loss = np.asarray(middle)[label] + gap * wrong + 0.5 * rng.normal(size=len(label))
    return loss, label, wrong


def fit(loss, label, **options):
    histogram = ClassHistogram.of(loss, label, label.max() + 1, EDGES)
    return fit_classes(histogram, **options)


def test_a_class_is_the_mixture_of_scikit_learn_if_it_borrows_nothing():
    loss, label, _ = planted([3000, 3000], [-2.0, 1.0], [0.3, 0.1])
    mixture = fit(loss, label, prior_rows=0.0)

    for c in range(2):
        oracle = GaussianMixture(2, tol=1e-6, random_state=0).fit(loss[label == c, None])
        low, high = np.argsort(oracle.means_[:, 0])
        np.testing.assert_allclose(mixture.part.mean[c], oracle.means_[[low, high], 0], atol=0.05)
        np.testing.assert_allclose(mixture.part.share[c, 1], oracle.weights_[high], atol=0.01)


def test_a_hard_class_is_no_class_of_wrong_labels():
    loss, label, wrong = planted([1000, 1000], [-4.0, -1.0], [0.3, 0.3])
    corpus = fit_mixture(ClassHistogram.of(loss, label, 2, EDGES).whole())
    hard = label == 1

    assert f1_score(wrong, fit(loss, label).high(loss, label) > 0.5) > 0.98
    assert f1_score(wrong, corpus.high(loss) > 0.5) < 0.8
    assert np.mean(corpus.high(loss[hard & ~wrong]) > 0.5) > 0.9


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_class_without_a_second_group_is_judged_by_the_corpus(rate):
    noise = [0.3] * 5 + [rate]
    loss, label, _ = planted([400] * 6, [-3.0] * 6, noise)
    judged = fit(loss, label).high(loss, label)[label == 5] > 0.5

    assert abs(judged.mean() - rate) < 0.02


def test_a_rare_class_borrows():
    loss, label, wrong = planted([1000, 1000, 6], [-3.0, -3.0, -3.0], [0.3, 0.3, 0.5])
    rare = label == 2

    judged = fit(loss, label).high(loss, label) > 0.5
    assert (judged[rare] == wrong[rare]).all()


def test_one_wild_loss_does_not_switch_the_detector_off():
    loss, label, wrong = planted([1000, 1000], [-4.0, -4.0], [0.2, 0.2], gap=4.0)
    wild = np.where(np.arange(2000) == 0, 15.9, loss / 10.0)
    loss = loss / 10.0
    before, after = (fit(x, label).high(x, label) > 0.5 for x in (loss, wild))

    assert np.mean(before == after) > 0.995
    assert f1_score(wrong[1:], after[1:]) > 0.9


def test_one_skewed_group_is_not_split():
    loss = np.random.default_rng(0).gamma(2.0, 1.0, 3000)
    label = np.arange(3000) % 3
    split = fit_mixture(ClassHistogram.of(loss, label, 3, EDGES).whole()).is_split

    assert split
    assert not fit(loss, label).is_split.any()


def test_no_rows_are_no_groups():
    mixture = fit_classes(ClassHistogram.of(np.zeros(0), np.zeros(0, int), 3, EDGES))

    assert not mixture.is_split.any()
    assert not mixture.high(np.zeros(2), np.array([0, 2])).any()
