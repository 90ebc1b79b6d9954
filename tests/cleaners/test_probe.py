import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from pipeline.cleaners.columns import folds, labels, lists, vectors
from pipeline.cleaners.probe import TOP, Probe
from pipeline.contract import Classes
from pipeline.engine.local import TableRows
from pipeline.schema import IMAGE, LABEL
from tests.corpora import plant, tabulate, unit


def probe(corpus, num_fragments=3, **options):
    cleaner = Probe(**options)
    state = cleaner.fit(corpus.rows(num_fragments))
    return state, cleaner.score(state, corpus.table)


def test_probabilities_are_those_of_a_discriminant_that_never_saw_the_fold():
    corpus = plant(900, 6, 24, foreign=0.0)
    state, added = probe(corpus)
    image, label = vectors(corpus.table, IMAGE)[0].astype(np.float64), labels(corpus.table)
    fold = folds(corpus.table, 5)

    for f in range(5):
        rest = fold != f
        oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-6)
        oracle.fit(image[rest], label[rest])
        best = added["probe.prediction"].to_numpy()[fold == f]
        assert np.mean(oracle.predict(image[fold == f]) == best) > 0.95
    assert state.scale > 0.5


def test_wrong_labels_rank_above_right_ones_out_of_fold_alone():
    corpus = plant(1200, 8, 32, flip=0.4, foreign=0.0)
    wrong = corpus.fault == "wrong-label"
    held_out = roc_auc_score(wrong, probe(corpus)[1]["probe.label"].to_numpy())
    seen = LinearDiscriminantAnalysis().fit(vectors(corpus.table, IMAGE)[0], labels(corpus.table))
    share = seen.predict_proba(vectors(corpus.table, IMAGE)[0])
    in_sample = roc_auc_score(wrong, 1 - share[np.arange(1200), labels(corpus.table)])

    assert held_out > 0.98
    assert held_out >= in_sample


@pytest.mark.parametrize("flip", [0.0, 0.1, 0.3])
def test_probabilities_are_calibrated_without_labels_of_truth(flip):
    corpus = plant(4000, 5, 24, flip=flip, foreign=0.0, spread=1.0)
    added = probe(corpus)[1]
    right = added["probe.prediction"].to_numpy() == corpus.true

    assert abs(added["probe.confidence"].to_numpy().mean() - right.mean()) < 0.04


def test_the_noise_rate_is_found():
    state, _ = probe(plant(3000, 6, 32, flip=0.3, foreign=0.0))

    assert 0.25 <= state.noise <= 0.4


def test_the_top_classes_fall_and_sum_to_one_or_less():
    corpus = plant(400, 20, 24)
    _, added = probe(corpus)
    top, share = lists(added, "probe.top"), lists(added, "probe.share")

    assert top.shape == share.shape == (400, TOP)
    assert (np.diff(share, axis=1) <= 0).all()
    assert (share.sum(axis=1) <= 1 + 1e-5).all()
    assert all(len(set(row)) == TOP for row in top.tolist())
    assert (top[:, 0] == added["probe.prediction"].to_numpy()).all()


def test_a_corpus_without_labels_gets_no_scores():
    corpus = plant(100, 4, 16)
    place = corpus.table.column_names.index(LABEL)
    table = corpus.table.set_column(place, LABEL, pa.nulls(100, pa.int32()))
    cleaner = Probe()
    bare = type(corpus)(table, corpus.classes, corpus.fault, corpus.true)
    added = cleaner.score(cleaner.fit(bare.rows()), table)

    assert added["probe.label"].null_count == added["probe.prediction"].null_count == 100


@pytest.mark.parametrize("flip", [0.1, 0.3])
def test_the_probability_of_a_wrong_label_is_calibrated(flip):
    corpus = plant(4000, 5, 24, flip=flip, foreign=0.0, spread=1.0)
    score = probe(corpus)[1]["probe.label"].to_numpy()
    wrong = corpus.fault == "wrong-label"

    assert abs(score.mean() - wrong.mean()) < 0.04
    bins = np.minimum((score * 10).astype(int), 9)
    gaps = [abs(score[bins == b].sum() - wrong[bins == b].sum()) for b in range(10)]
    assert sum(gaps) / len(score) < 0.03  # expected calibration error


def test_a_clean_corpus_has_hardly_a_suspect_label():
    digits = load_digits()
    image, label = unit(digits.data), digits.target
    told = np.zeros(len(label), bool)
    table = tabulate(image, np.zeros_like(image), told, label)
    classes = Classes(name=tuple("0123456789"), embedding=np.zeros((10, 64), np.float32))
    cleaner = Probe()
    added = cleaner.score(cleaner.fit(TableRows((table,), classes)), table)

    assert np.mean(added["probe.label"].to_numpy() > 0.5) < 0.02
