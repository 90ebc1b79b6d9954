import numpy as np
import pyarrow as pa
import pytest
from scipy.special import softmax
from sklearn.metrics import f1_score, roc_auc_score

from pipeline.cleaners.columns import vectors
from pipeline.cleaners.compress import Compress
from pipeline.engine.local import TableRows
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.principal import Axes
from pipeline.numeric.softmax_head import HalfHeads, fit_head
from pipeline.schema import IMAGE
from tests.corpora import plant
from tests.corpora import vectors as column_of
from tests.noisy_digits import digits


@pytest.fixture(scope="module")
def noisy():
    return digits("symmetric", 0.4)


@pytest.fixture(scope="module")
def state(noisy):
    return Compress().fit(noisy.rows)


@pytest.fixture(scope="module")
def scores(noisy, state):
    added = Compress().score(state, noisy.table)
    return {name.split(".")[1]: added[name].to_numpy() for name in added.column_names}


def accuracy(corpus, size):
    """Return how often heads on some axes name the true class of the other half's rows."""
    zero, ones = np.zeros(len(corpus.label), int), np.ones(len(corpus.label))
    axes = Axes.of(FoldMoments.of(corpus.image, zero, zero, (1, 1)).whole())
    rows, half = axes.first(size).turn(corpus.image), corpus.table["image_hash"].to_numpy() % 2
    far = [half != h for h in range(2)]
    heads = [fit_head(rows[f], corpus.label[f], ones[f], 10, penalty=10.0) for f in far]
    return np.mean(HalfHeads.of(heads).logits(rows, half).argmax(axis=1) == corpus.true)


@pytest.mark.slow
def test_accuracy_under_noise_peaks_below_all_dimensions(noisy, state):
    kept = state.axes.basis.shape[1]

    assert 4 < kept < 64
    assert accuracy(noisy, kept) > accuracy(noisy, 64) + 0.01
    assert accuracy(noisy, kept) > accuracy(noisy, 4) + 0.05


def test_kept_rows_are_purer_than_those_of_a_single_head_that_saw_them(noisy, scores):
    kept = scores["label"] <= 0.5
    single = fit_head(noisy.image, noisy.label, np.ones(len(kept)), 10)
    own = softmax(single.logits(noisy.image), axis=1)[np.arange(len(kept)), noisy.label]
    small = np.argsort(-own, kind="stable")[: kept.sum()]

    assert np.mean(~noisy.wrong[kept]) > np.mean(~noisy.wrong[small]) + 0.005
    assert f1_score(noisy.wrong, ~kept) > 0.92


def test_ranks_within_a_class_turn_at_its_own_rate(noisy, scores):
    for c in range(10):
        of_class = noisy.label == c
        rate = np.mean(scores["label"][of_class])
        assert abs(np.mean(scores["loss"][of_class] > 0.5) - rate) < 0.05
    assert roc_auc_score(noisy.wrong, scores["loss"]) > 0.98


def test_clean_digits_stay_clean():
    corpus = digits()
    scores = corpus.scores(Compress())

    assert np.mean(scores["label"] > 0.5) < 0.02
    assert np.mean(scores["loss"] > 0.5) < 0.02


@pytest.mark.slow
def test_rotated_embeddings_give_the_same_scores():
    corpus = plant(600, 5, 16, flip=0.3, foreign=0.0)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    image = vectors(corpus.table, IMAGE)[0] @ turn
    place = corpus.table.column_names.index(IMAGE)
    turned = corpus.table.set_column(place, IMAGE, column_of(image))
    cleaner = Compress()
    one, other = (
        cleaner.score(cleaner.fit(TableRows((table,), corpus.classes)), table)
        for table in (corpus.table, turned)
    )
    scores = [added["compress.label"].to_numpy() for added in (one, other)]

    assert np.mean(abs(scores[0] - scores[1]) < 0.02) > 0.95
    assert roc_auc_score(corpus.fault == "wrong-label", scores[0]) > 0.97


def test_a_corpus_without_labels_gets_no_scores():
    corpus = plant(60, 4, 16)
    place = corpus.table.column_names.index("label")
    table = corpus.table.set_column(place, "label", pa.nulls(60, pa.int32()))
    cleaner = Compress()
    bare = type(corpus)(table, corpus.classes, corpus.fault, corpus.true)
    added = cleaner.score(cleaner.fit(bare.rows()), table)

    assert all(added[name].null_count == 60 for name in cleaner.adds.names)
