import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from pipeline.cleaners.early import Early
from tests.corpora import plant
from tests.noisy_digits import digits


@pytest.fixture(scope="module")
def paired():
    return digits("pair", 0.4)


@pytest.fixture(scope="module")
def scores(paired):
    return paired.scores(Early())


def test_wrong_labels_rank_higher_than_without_the_regulariser(paired, scores):
    plain = paired.scores(Early(strength=0.0))
    area = [roc_auc_score(paired.wrong, s["label"]) for s in (scores, plain)]

    assert area[0] > 0.88
    assert area[0] > area[1] + 0.15


def test_wrong_labels_rank_higher_than_by_doubt_in_their_class(paired, scores):
    probe = paired.table["probe.doubt"].to_numpy()

    assert roc_auc_score(paired.wrong, scores["label"]) > roc_auc_score(paired.wrong, probe) + 0.03
    assert f1_score(paired.wrong, scores["label"] > 0.5) > f1_score(paired.wrong, probe > 0.5)


@pytest.mark.slow
def test_predictions_are_better_than_labels_and_than_without_the_regulariser(paired, scores):
    plain = paired.scores(Early(strength=0.0))
    right = [np.mean(s["prediction"] == paired.true) for s in (scores, plain)]

    assert right[0] > 1 - paired.wrong.mean() + 0.1
    assert right[0] > right[1] + 0.1


def test_wrong_labels_are_learned_late_or_never(paired, scores):
    assert roc_auc_score(paired.wrong, scores["time"]) > 0.75
    assert set(np.unique(scores["time"] * 8)) <= set(range(9))


def test_random_labels_are_found():
    corpus = digits("symmetric", 0.4)
    scores = corpus.scores(Early())

    assert roc_auc_score(corpus.wrong, scores["label"]) > 0.985
    assert f1_score(corpus.wrong, scores["label"] > 0.5) > 0.9


def test_clean_digits_stay_clean():
    assert np.mean(digits().scores(Early())["label"] > 0.5) < 0.02


@pytest.mark.slow
def test_a_row_is_never_scored_by_a_head_that_was_trained_on_it():
    corpus = digits("symmetric", 0.2)
    cleaner, half = Early(), corpus.table["image_hash"].to_numpy() % 2
    state = cleaner.fit(corpus.rows)
    label = corpus.label.copy()
    label[half == 0] = (label[half == 0] + 3) % 10
    place = corpus.table.column_names.index("label")
    moved = corpus.table.set_column(place, "label", pa.array(label, pa.int32()))
    again = cleaner.fit(type(corpus.rows)((moved,), corpus.classes))

    np.testing.assert_array_equal(state.heads.weight[0], again.heads.weight[0])
    assert not np.array_equal(state.heads.weight[1], again.heads.weight[1])


def test_rows_outside_the_sample_are_scored_as_well():
    corpus = plant(2000, 6, 24, flip=0.3, foreign=0.0)
    cleaner = Early(sample_rows=300)
    added = cleaner.score(cleaner.fit(corpus.rows()), corpus.table)
    area = roc_auc_score(corpus.fault == "wrong-label", added["early.label"].to_numpy())

    assert area > 0.97


def test_a_corpus_without_labels_gets_no_scores():
    corpus = plant(60, 4, 16)
    place = corpus.table.column_names.index("label")
    table = corpus.table.set_column(place, "label", pa.nulls(60, pa.int32()))
    cleaner = Early()
    bare = type(corpus)(table, corpus.classes, corpus.fault, corpus.true)
    added = cleaner.score(cleaner.fit(bare.rows()), table)

    assert all(added[name].null_count == 60 for name in cleaner.adds.names)
