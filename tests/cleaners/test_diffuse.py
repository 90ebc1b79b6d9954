import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from pipeline.cleaners.columns import hashes, labels
from pipeline.cleaners.diffuse import Diffuse
from pipeline.cleaners.probe import Probe
from pipeline.engine.local import beside
from pipeline.schema import LABEL
from tests.cleaners.nearby import digits, with_neighbours
from tests.corpora import Corpus, plant


def probed(corpus):
    cleaner = Probe()
    table = beside(corpus.table, cleaner.score(cleaner.fit(corpus.rows()), corpus.table))
    return Corpus(table, corpus.classes, corpus.fault, corpus.true)


def diffused(corpus, **options):
    cleaner, corpus = Diffuse(**options), probed(corpus)
    state = cleaner.fit(corpus.rows())
    return state, cleaner.score(state, corpus.table)


@pytest.mark.parametrize(("kind", "flip", "least"), [("symmetric", 0.4, 0.93), ("pair", 0.2, 0.88)])
def test_wrong_digits_are_found(kind, flip, least):
    corpus = digits(flip, kind)
    _, added = diffused(corpus)
    wrong, suspicion = corpus.fault == "wrong-label", added["diffuse.label"].to_numpy()

    assert f1_score(wrong, suspicion > 0.5) > least
    assert roc_auc_score(wrong, suspicion) > 0.97
    assert abs(suspicion.mean() - wrong.mean()) < 0.1


def test_clean_digits_stay_clean():
    _, added = diffused(digits(0.0))

    assert np.mean(added["diffuse.label"].to_numpy() > 0.5) < 0.02


def test_edges_between_unlike_labels_must_resist():
    corpus = digits(0.4, "pair")
    wrong = corpus.fault == "wrong-label"
    resisting, open_to_all = (
        diffused(corpus, leak=leak)[1]["diffuse.label"].to_numpy() for leak in (0.05, 1.0)
    )

    assert roc_auc_score(wrong, resisting) > roc_auc_score(wrong, open_to_all) + 0.01


def test_rows_that_no_class_reaches_are_suspects_without_a_prediction():
    corpus = with_neighbours(plant(1000, 6, 24, flip=0.0, swap=0.0, empty=0.0))
    _, added = diffused(corpus)
    foreign = corpus.fault == "foreign-image"
    unreached = added["diffuse.prediction"].is_null().to_numpy()

    assert np.mean(unreached[foreign]) > 0.5
    assert np.mean(unreached[~foreign]) < 0.01
    assert (added["diffuse.label"].to_numpy()[unreached] > 0.5).all()
    assert np.mean(added["diffuse.label"].to_numpy()[~foreign] > 0.5) < 0.01


def test_rows_outside_the_graph_are_judged_as_well():
    corpus = with_neighbours(plant(1500, 6, 24, flip=0.3, foreign=0.0))
    state, added = diffused(corpus, graph_rows=400)
    outside = hashes(corpus.table) > np.sort(hashes(corpus.table))[399]
    wrong = (corpus.fault == "wrong-label")[outside]
    suspicion = added["diffuse.label"].to_numpy()[outside]

    assert len(state.nodes.key) == 400
    assert roc_auc_score(wrong[~np.isnan(suspicion)], suspicion[~np.isnan(suspicion)]) > 0.98


def test_a_rare_class_is_not_flooded_by_its_neighbours():
    corpus = plant(1000, 5, 24, flip=0.1, foreign=0.0)
    kept = np.flatnonzero((corpus.true != 0) | (np.arange(1000) % 10 == 0))
    table = corpus.table.take(kept)
    rare = with_neighbours(Corpus(table, corpus.classes, corpus.fault[kept], corpus.true[kept]))
    _, added = diffused(rare)
    right = (rare.true == 0) & (labels(rare.table) == 0)

    assert 10 < right.sum() < 40
    assert np.mean(added["diffuse.label"].to_numpy()[right] > 0.5) < 0.2


def test_a_corpus_without_labels_gets_no_scores():
    corpus = plant(100, 4, 16)
    place = corpus.table.column_names.index(LABEL)
    table = corpus.table.set_column(place, LABEL, pa.nulls(100, pa.int32()))
    _, added = diffused(with_neighbours(Corpus(table, corpus.classes, corpus.fault, corpus.true)))

    for column in added.columns:
        assert column.null_count == 100
