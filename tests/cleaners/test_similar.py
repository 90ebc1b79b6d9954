import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from pipeline.cleaners.columns import labels, lists, vectors
from pipeline.cleaners.similar import Similar
from pipeline.schema import IMAGE, LABEL
from tests.cleaners.nearby import digits, with_neighbours
from tests.corpora import Corpus, plant, tabulate, unit


def similar(corpus, **options):
    cleaner = Similar(**options)
    state = cleaner.fit(corpus.rows())
    return state, cleaner.score(state, corpus.table)


def test_votes_are_those_of_a_weighted_classifier():
    corpus = with_neighbours(plant(400, 6, 24, foreign=0.0))
    _, added = similar(corpus, copy_distance=0.0)
    image, label = vectors(corpus.table, IMAGE)[0], labels(corpus.table)

    own = added["similar.vote"].to_numpy()
    for row in (0, 100, 399):
        rest = np.arange(400) != row
        oracle = KNeighborsClassifier(20, metric="cosine", weights=lambda d: 1 - d)
        share = oracle.fit(image[rest], label[rest]).predict_proba(image[row : row + 1])[0]
        assert own[row] == pytest.approx(1 - share[label[row]], abs=1e-4)
        assert added["similar.confidence"][row].as_py() == pytest.approx(share.max(), abs=1e-4)


@pytest.mark.parametrize(("kind", "flip", "least"), [("symmetric", 0.4, 0.9), ("pair", 0.4, 0.72)])
def test_wrong_digits_are_found(kind, flip, least):
    corpus = digits(flip, kind)
    _, added = similar(corpus)
    wrong, flagged = corpus.fault == "wrong-label", added["similar.label"].to_numpy() > 0.5

    assert f1_score(wrong, flagged) > least
    assert abs(flagged.mean() - wrong.mean()) < 0.06
    assert abs(added["similar.label"].to_numpy().mean() - wrong.mean()) < 0.08


def test_clean_digits_stay_clean():
    state, added = similar(digits(0.0))

    assert np.mean(added["similar.label"].to_numpy() > 0.5) < 0.02
    assert state.rate.max() < 0.05


@pytest.mark.parametrize("asymmetric", [False, True])
def test_the_transition_of_labels_is_found_where_neighbours_share_a_class(asymmetric):
    corpus = plant(3000, 5, 32, flip=0.3, foreign=0.0, asymmetric=asymmetric)
    state, _ = similar(with_neighbours(corpus))
    label, size = labels(corpus.table), np.bincount(corpus.true)
    seen = np.zeros((5, 5))
    np.add.at(seen, (corpus.true, label), 1.0 / size[corpus.true])

    assert (np.abs(state.transition.matrix - seen) * np.sqrt(size)[:, None]).max() < 2.5


def test_the_threshold_is_the_rank_rule():
    corpus = with_neighbours(plant(2000, 4, 24, flip=0.3, foreign=0.0))
    state, added = similar(corpus)
    label, flagged = labels(corpus.table), added["similar.label"].to_numpy() > 0.5

    for c in range(4):
        assert np.mean(flagged[label == c]) == pytest.approx(state.rate[c], abs=0.03)


def with_near_copies(size):
    """Return a corpus where `size` near-copies stand beside every tenth row, labels copied too."""
    corpus = plant(400, 5, 24, flip=0.4, foreign=0.0)
    image, label = vectors(corpus.table, IMAGE)[0], labels(corpus.table)
    many = np.where(np.arange(400) % 10 < 3, size + 1, 1)
    row = np.repeat(np.arange(400), many)
    jitter = 0.02 * np.random.default_rng(5).normal(size=(len(row), 24)) / np.sqrt(24)
    image = unit(image[row] + jitter)
    table = tabulate(image, image, np.ones(len(row), bool), label[row], seed=9)
    return with_neighbours(Corpus(table, corpus.classes, corpus.fault[row], corpus.true[row]))


def test_near_copies_hide_noise_unless_they_lose_their_vote():
    """Their hashes differ, so the neighbours table lists them, with the label that they copied."""
    corpus = with_near_copies(8)
    wrong = corpus.fault == "wrong-label"
    naive_state, naive = similar(corpus, copy_distance=0.0)
    state, added = similar(corpus)

    assert naive_state.transition.noise < wrong.mean() - 0.3
    assert abs(state.transition.noise - wrong.mean()) < 0.1  # copies of each other still count
    assert 0.6 < state.copied < 0.9
    auc, naive_auc = (roc_auc_score(wrong, a["similar.label"].to_numpy()) for a in (added, naive))
    assert auc > naive_auc + 0.02


def test_groups_of_copies_larger_than_the_list_still_hide_noise():
    """Nobody else is listed to tell them apart: remove near-copies before."""
    corpus = with_near_copies(30)
    state, _ = similar(corpus)

    assert state.transition.noise < np.mean(corpus.fault == "wrong-label") - 0.1


def test_with_too_many_classes_the_votes_tell_the_noise():
    corpus = with_neighbours(plant(2000, 6, 24, flip=0.3, foreign=0.0))
    state, _ = similar(corpus, most_classes=5)
    label, wrong = labels(corpus.table), corpus.fault == "wrong-label"

    assert len(state.transition.prior) == 1
    rate = [wrong[label == c].mean() for c in range(6)]
    np.testing.assert_allclose(state.rate, rate, atol=0.03)


def test_a_corpus_without_labels_gets_no_scores():
    corpus = plant(100, 4, 16)
    place = corpus.table.column_names.index(LABEL)
    table = corpus.table.set_column(place, LABEL, pa.nulls(100, pa.int32()))
    _, added = similar(with_neighbours(Corpus(table, corpus.classes, corpus.fault, corpus.true)))

    for column in added.columns:
        assert column.null_count == 100


def test_a_row_without_label_gets_a_prediction_alone():
    corpus = plant(300, 4, 16, foreign=0.0)
    label = labels(corpus.table)
    label[::3] = -1
    place = corpus.table.column_names.index(LABEL)
    some = pa.array(label, pa.int32(), mask=label < 0)
    table = corpus.table.set_column(place, LABEL, some)
    corpus = with_neighbours(Corpus(table, corpus.classes, corpus.fault, corpus.true))
    _, added = similar(corpus)

    assert (lists(corpus.table, "neighbours.given") < 0).any()
    assert added["similar.label"].null_count == added["similar.vote"].null_count == 100
    assert np.mean(added["similar.prediction"].to_numpy() == corpus.true) > 0.9
