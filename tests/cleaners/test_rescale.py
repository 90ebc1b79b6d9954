import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from pipeline.cleaners.rescale import Rescale
from tests.corpora import plant
from tests.noisy_digits import digits


@pytest.fixture(scope="module")
def paired():
    return digits("pair", 0.4)


@pytest.fixture(scope="module")
def scores(paired):
    return paired.scores(Rescale())


def test_labels_of_a_neighbouring_class_are_found(paired, scores):
    assert roc_auc_score(paired.wrong, scores["label"]) > 0.95
    assert f1_score(paired.wrong, scores["label"] > 0.5) > 0.88


@pytest.mark.slow
def test_the_rescaler_earns_its_place_against_a_plain_loss(paired, scores):
    plain = paired.scores(Rescale(rescaler_rate=0.0))
    area = [roc_auc_score(paired.wrong, s["label"]) for s in (scores, plain)]

    assert area[0] > area[1] + 0.2


def test_weights_and_agreement_rank_wrong_labels(paired, scores):
    known = ~np.isnan(scores["weight"])

    assert known.mean() > 0.9
    assert roc_auc_score(paired.wrong[known], scores["weight"][known]) > 0.85
    assert roc_auc_score(paired.wrong, scores["agreement"]) > 0.85


def test_clean_digits_stay_clean_by_label_and_by_weight():
    scores = digits().scores(Rescale())

    assert np.mean(scores["label"] > 0.5) < 0.02
    assert np.nan_to_num(scores["weight"] > 0.5).mean() < 0.02


@pytest.mark.slow
def test_clean_classes_beside_noisy_ones_keep_their_rows():
    corpus = digits("symmetric", (0.0, 0.6, 0.0, 0.6, 0.0, 0.6, 0.0, 0.6, 0.0, 0.6))
    scores, clean = corpus.scores(Rescale()), corpus.true % 2 == 0
    right = clean & ~corpus.wrong

    assert np.mean(scores["label"][right] > 0.5) < 0.1
    assert np.nan_to_num(scores["weight"] > 0.5)[right].mean() < 0.12


def test_a_corpus_without_labels_gets_no_scores():
    corpus = plant(60, 4, 16)
    place = corpus.table.column_names.index("label")
    table = corpus.table.set_column(place, "label", pa.nulls(60, pa.int32()))
    cleaner = Rescale()
    bare = type(corpus)(table, corpus.classes, corpus.fault, corpus.true)
    added = cleaner.score(cleaner.fit(bare.rows()), table)

    assert all(added[name].null_count == 60 for name in cleaner.adds.names)
