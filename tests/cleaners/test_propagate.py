import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from pipeline.cleaners.columns import folds, hashes, keys, labels
from pipeline.cleaners.propagate import Propagate
from pipeline.schema import LABEL
from tests.cleaners.nearby import digits, with_neighbours
from tests.corpora import Corpus, plant


def propagate(corpus, **options):
    cleaner = Propagate(**options)
    state = cleaner.fit(corpus.rows())
    return state, cleaner.score(state, corpus.table)


def relabel(corpus, label):
    place = corpus.table.column_names.index(LABEL)
    column = pa.array(label, pa.int32(), mask=np.asarray(label) < 0)
    table = corpus.table.set_column(place, LABEL, column)
    return Corpus(table, corpus.classes, corpus.fault, corpus.true)


@pytest.mark.parametrize(("kind", "flip", "least"), [("symmetric", 0.4, 0.94), ("pair", 0.2, 0.88)])
def test_wrong_digits_are_found(kind, flip, least):
    corpus = digits(flip, kind)
    _, added = propagate(corpus)
    wrong, suspicion = corpus.fault == "wrong-label", added["propagate.label"].to_numpy()

    assert f1_score(wrong, suspicion > 0.5) > least
    assert roc_auc_score(wrong, suspicion) > 0.97
    assert abs(suspicion.mean() - wrong.mean()) < 0.06
    assert np.mean(added["propagate.prediction"].to_numpy() == corpus.true) > 0.95


def test_clean_digits_stay_clean():
    _, added = propagate(digits(0.0))

    assert np.mean(added["propagate.label"].to_numpy() > 0.5) < 0.02


def test_a_row_does_not_vouch_for_itself():
    """Half of the labels of one fold are changed: what is said of that fold stays the same."""
    corpus = with_neighbours(plant(300, 4, 16, foreign=0.0))
    table, cleaner = corpus.table, Propagate()
    label = labels(table)
    moved = (folds(table, 5) == 2) & (keys(table) % 2 == 0)
    other = relabel(corpus, np.where(moved, (label + 1) % 4, label))
    one, two = cleaner.fit(corpus.rows()).smoothed, cleaner.fit(other.rows()).smoothed

    np.testing.assert_array_equal(one.nodes.share[2], two.nodes.share[2])
    np.testing.assert_array_equal(one.prototype[2], two.prototype[2])
    assert not np.array_equal(one.nodes.share[1], two.nodes.share[1])


def test_rows_outside_the_graph_are_judged_as_well():
    corpus = with_neighbours(plant(1500, 6, 24, flip=0.3, foreign=0.0))
    state, added = propagate(corpus, graph_rows=400)
    outside = hashes(corpus.table) > np.sort(hashes(corpus.table))[399]
    wrong, suspicion = corpus.fault == "wrong-label", added["propagate.label"].to_numpy()

    assert len(state.smoothed.nodes.key) == 400
    assert outside.sum() == 1100
    assert roc_auc_score(wrong[outside], suspicion[outside]) > 0.98
    assert abs(suspicion[outside].mean() - suspicion[~outside].mean()) < 0.08


def test_the_smoothed_labels_beat_the_votes_they_are_made_of():
    corpus = digits(0.4, "pair")
    wrong = corpus.fault == "wrong-label"
    smooth, raw = (
        propagate(corpus, steps=s, graph_share=1.0)[1]["propagate.label"].to_numpy() for s in (4, 0)
    )

    assert roc_auc_score(wrong, smooth) > roc_auc_score(wrong, raw) + 0.02


def test_classes_are_more_compact_without_their_suspects():
    corpus = with_neighbours(plant(1500, 5, 24, flip=0.3, foreign=0.0))
    noisy = propagate(corpus)[0].compactness
    clean = propagate(relabel(corpus, corpus.true))[0].compactness

    assert (noisy.gain > 0.3).all()
    assert (np.abs(clean.gain) < 0.05).all()
    np.testing.assert_array_equal(noisy.count, np.bincount(labels(corpus.table)))
    assert (noisy.rate > clean.rate).all()


def test_it_tells_the_compactness_of_the_classes_and_how_many_are_suspect():
    corpus = with_neighbours(plant(400, 4, 16, flip=0.3))
    state, added = propagate(corpus)
    told, label = Propagate().tell(state), labels(corpus.table)

    suspect = added["propagate.label"].to_numpy() > 0.5
    np.testing.assert_array_equal(told.gain, state.compactness.gain)
    np.testing.assert_array_equal(told.coding_rate, state.compactness.rate)
    np.testing.assert_allclose(
        told.noise.rate, [suspect[label == c].mean() for c in range(4)], atol=0.01
    )


def test_it_tells_nothing_of_a_class_without_rows():
    corpus = plant(400, 4, 16, flip=0.3)
    corpus = with_neighbours(relabel(corpus, np.maximum(labels(corpus.table), 1)))
    told = Propagate().tell(propagate(corpus)[0])

    for value in (told.noise.rate, told.coding_rate, told.gain):
        np.testing.assert_array_equal(np.isnan(value), [True, False, False, False])


def test_a_corpus_without_labels_gets_no_scores():
    corpus = with_neighbours(relabel(plant(100, 4, 16), np.full(100, -1)))
    _, added = propagate(corpus)

    for column in added.columns:
        assert column.null_count == 100
