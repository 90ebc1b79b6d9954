import numpy as np
import pytest

from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.reweigh import Drawn, reweigh
from tests.corpora import unit
from tests.numeric.merging import assert_same

SHAPE = (5, 3)


def corpus(num_rows=3000, seed=0):
    """Return rows of three classes, of which some are far from all others and hardly trusted."""
    rng = np.random.default_rng(seed)
    label, fold = rng.integers(0, 3, num_rows), rng.integers(0, 5, num_rows)
    is_foreign = rng.random(num_rows) < 0.2
    rows = np.eye(8)[np.where(is_foreign, 7, label)] + 0.2 * rng.normal(size=(num_rows, 8))
    trust = np.where(is_foreign, 0.05, 0.9)
    return unit(rows), label, fold, trust


def test_with_every_row_drawn_it_is_the_weighted_sum():
    rows, label, fold, trust = corpus()
    whole = FoldMoments.of(rows, label, fold, SHAPE)

    found = reweigh(whole, Drawn(rows, label, fold, trust))

    assert_same(found, FoldMoments.of(rows, label, fold, SHAPE, trust))


def test_with_every_row_trusted_it_is_the_corpus_whatever_is_drawn():
    rows, label, fold, _ = corpus()
    whole = FoldMoments.of(rows, label, fold, SHAPE)
    few = slice(0, 60)

    found = reweigh(whole, Drawn(rows[few], label[few], fold[few], np.ones(60)))

    assert_same(found, whole)


@pytest.mark.parametrize("seed", range(5))
def test_where_most_rows_are_trusted_it_comes_nearer_than_the_sample_alone(seed):
    rows, label, fold, _ = corpus(seed=seed)
    trust = np.where(np.random.default_rng(seed).random(len(rows)) < 0.05, 0.0, 1.0)
    target = FoldMoments.of(rows, label, fold, SHAPE, trust).whole()
    few = slice(0, 150)
    drawn = Drawn(rows[few], label[few], fold[few], trust[few])

    found = reweigh(FoldMoments.of(rows, label, fold, SHAPE), drawn).whole()

    alone = FoldMoments.of(rows[few], label[few], fold[few], SHAPE, trust[few]).whole()
    for ours, theirs, right in (
        (found.within(), alone.within(), target.within()),
        (found.class_mean(), alone.class_mean(), target.class_mean()),
    ):
        assert np.linalg.norm(ours - right) < 0.6 * np.linalg.norm(theirs - right)


@pytest.mark.parametrize("trusted", [0.0, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("num_drawn", [6, 15, 40])
def test_few_or_hardly_trusted_rows_make_no_means_longer_than_rows(trusted, num_drawn):
    rows, label, fold, _ = corpus()
    whole, rng = FoldMoments.of(rows, label, fold, SHAPE), np.random.default_rng(0)
    for _ in range(50):
        few = rng.permutation(len(rows))[:num_drawn]
        trust = (rng.random(num_drawn) < trusted).astype(float)
        found = reweigh(whole, Drawn(rows[few], label[few], fold[few], trust))

        assert (found.count >= 0.0).all()
        for rest in map(found.without, range(SHAPE[0])):
            assert np.linalg.norm(rest.class_mean(), axis=1).max() < 2.0
            assert np.abs(rest.within()).max() < 10.0


def test_classes_and_corpora_that_nothing_is_drawn_of_stay_as_they_are():
    rows, label, fold, trust = corpus()
    whole = FoldMoments.of(rows, label, fold, SHAPE)
    others = np.where(label == 2, -1, label)

    nothing = Drawn(rows[:0], label[:0], fold[:0], trust[:0])
    assert_same(reweigh(whole, nothing), whole)
    found = reweigh(whole, Drawn(rows, others, fold, trust))
    np.testing.assert_array_equal(found.count[:, 2], whole.count[:, 2])
