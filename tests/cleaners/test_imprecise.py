from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from pipeline.cleaners.columns import labels
from pipeline.cleaners.imprecise import Imprecise
from pipeline.cleaners.probe import Probe
from pipeline.contract import Classes
from pipeline.engine.local import TableRows, beside
from pipeline.numeric.prototypes import unit
from pipeline.schema import CANDIDATES, LABEL
from tests.corpora import plant, tabulate, with_several


def infer(corpus, table=None, **options):
    table = corpus.table if table is None else table
    rows = TableRows((table.slice(0, 300), table.slice(300)), corpus.classes)
    cleaner = Imprecise(**options)
    if cleaner.source == "probe":
        probe = Probe()
        table = beside(table, probe.score(probe.fit(rows), table))
        rows = TableRows((table,), corpus.classes)
    state = cleaner.fit(rows)
    return state, cleaner.score(state, table)


def right(state):
    """Return the share of right labels that the matrix claims."""
    size, cell = len(state.transition.rest), state.transition.cell
    return state.transition.chance[cell // size == cell % size].mean()


@pytest.mark.parametrize("asymmetric", [False, True])
def test_names_find_wrong_labels_and_the_rate(asymmetric):
    corpus = plant(1500, flip=0.4, foreign=0.0, asymmetric=asymmetric)
    state, added = infer(corpus)

    score = added["imprecise.label"].to_numpy()
    assert roc_auc_score(corpus.fault == "wrong-label", score) > 0.98
    assert abs(right(state) - 0.6) < 0.05
    assert np.mean(added["imprecise.prediction"].to_numpy() == corpus.true) > 0.97


def test_probabilities_that_saw_the_labels_inflate_the_diagonal():
    corpus = plant(2000, flip=0.45, foreign=0.0, asymmetric=True, spread=1.0)
    apart, told = infer(corpus)
    twice, seen = infer(corpus, source="probe")
    wrong = corpus.fault == "wrong-label"

    assert abs(right(apart) - 0.55) < 0.06
    assert right(twice) > 0.8
    areas = [roc_auc_score(wrong, t["imprecise.label"].to_numpy()) for t in (told, seen)]
    assert areas[0] > areas[1] + 0.05


def test_images_of_no_class_are_found():
    corpus = plant(2000, foreign=0.15)
    _, added = infer(corpus)
    outlier = added["imprecise.outlier"].to_numpy()

    assert roc_auc_score(corpus.fault == "foreign-image", outlier) > 0.95


def test_probabilities_of_wrong_labels_are_calibrated():
    corpus = plant(3000, flip=0.25, foreign=0.0, spread=1.0)
    score = infer(corpus)[1]["imprecise.label"].to_numpy()
    wrong = corpus.fault == "wrong-label"
    place = np.minimum((score * 10).astype(int), 9)
    error = sum(abs((score - wrong)[place == b].sum()) for b in range(10)) / len(score)

    assert error < 0.03


def test_names_that_carry_nothing_make_it_abstain():
    _, added = infer(plant(500, named=False))

    assert all(column.null_count == 500 for column in added.columns)


def test_rows_without_a_label_get_a_class_and_no_suspicion():
    corpus = plant(900, foreign=0.0)
    given = labels(corpus.table)
    given[::3] = -1
    place = corpus.table.column_names.index(LABEL)
    table = corpus.table.set_column(place, LABEL, pa.array(given, pa.int32(), mask=given < 0))
    _, added = infer(corpus, table)
    prediction = added["imprecise.prediction"].to_numpy()

    assert (added["imprecise.label"].is_null().to_numpy() == (given < 0)).all()
    assert np.mean(prediction[::3] == corpus.true[::3]) > 0.9


def test_a_corpus_without_labels_gets_no_scores():
    corpus = plant(100, 4, 16)
    place = corpus.table.column_names.index(LABEL)
    table = corpus.table.set_column(place, LABEL, pa.nulls(100, pa.int32()))

    assert infer(corpus, table)[1]["imprecise.prediction"].null_count == 100


def test_few_confusions_are_enough_for_many_classes():
    corpus = plant(2000, 20, 48, flip=0.3, foreign=0.0)
    state, added = infer(corpus, width=5)

    assert len(state.transition.cell) <= 5 * 20
    wrong = corpus.fault == "wrong-label"
    assert roc_auc_score(wrong, added["imprecise.label"].to_numpy()) > 0.95


@pytest.mark.parametrize("num_classes", [8, 40])
@pytest.mark.parametrize("flip", [0.4, 0.6])
def test_many_wrong_labels_are_found_among_many_classes(num_classes, flip):
    corpus = plant(1500, num_classes, 48, flip=flip, foreign=0.0)
    score = infer(corpus)[1]["imprecise.label"].to_numpy()

    assert roc_auc_score(corpus.fault == "wrong-label", score) > 0.98
    assert abs(score.mean() - flip) < 0.03


def digits():
    """Return rows of clean digits, named by the means of digits that are left out."""
    image, label = load_digits(return_X_y=True)
    image, named = unit(image), np.arange(len(image)) % 2 == 0
    means = np.array([image[named & (label == c)].mean(axis=0) for c in range(10)])
    rest = ~named
    table = tabulate(image[rest], image[rest], np.zeros(rest.sum(), bool), label[rest])
    return table, Classes(name=tuple("0123456789"), embedding=unit(means).astype(np.float32))


@pytest.mark.parametrize("source", ["names", "probe"])
def test_clean_digits_stay_clean(source):
    table, classes = digits()
    rows, cleaner = TableRows((table,), classes), Imprecise(source=source)
    if source == "probe":
        table = beside(table, Probe().score(Probe().fit(rows), table))
        rows = TableRows((table,), classes)
    state = cleaner.fit(rows)
    score = cleaner.score(state, table)["imprecise.label"]

    assert state.is_telling
    assert score.null_count == 0
    assert np.mean(score.to_numpy() > 0.5) < 0.02


def test_what_it_reads_follows_from_its_source():
    assert "embedding.image" in Imprecise().reads
    assert "probe.share" in Imprecise(source="probe").reads


def plant_sets(num_rows=1500, size=3, *, outside=0.3, **options):
    """Return a corpus of candidate sets, and of which rows the true class is outside."""
    corpus = plant(num_rows, flip=0.0, foreign=0.0, **options)
    num_classes, rng = len(corpus.classes), np.random.default_rng(7)
    is_outside = rng.random(num_rows) < outside
    sets = []
    for true, left in zip(corpus.true, is_outside, strict=True):
        others = rng.permutation(np.delete(np.arange(num_classes), true))
        sets.append(sorted([*others[: size - (not left)], *([] if left else [true])]))
    return replace(corpus, table=with_several(corpus.table, sets)), is_outside, np.array(sets)


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("num_classes", [8, 30])
def test_sets_without_the_true_class_are_found(size, num_classes):
    corpus, is_outside, sets = plant_sets(size=size, num_classes=num_classes)
    _, added = infer(corpus)
    score, prediction = (added[f"imprecise.{c}"].to_numpy() for c in ("label", "prediction"))

    assert roc_auc_score(is_outside, score) > 0.97
    assert np.mean((score > 0.5) == is_outside) > 0.9
    assert np.mean(prediction == corpus.true) > 0.9
    is_inside = (sets == prediction[:, None]).any(axis=1)
    assert is_inside[score < 0.5].all()


def test_sets_name_the_class_better_than_the_image_alone():
    corpus, _, _ = plant_sets(2000, 2, outside=0.05, spread=1.3)
    alone = with_several(corpus.table, [None] * 1000 + corpus.table[CANDIDATES].to_pylist()[1000:])
    told, untold = (infer(corpus, t)[1]["imprecise.prediction"] for t in (corpus.table, alone))
    right, bare = (np.mean(p.to_numpy()[:1000] == corpus.true[:1000]) for p in (told, untold))

    assert right > bare + 0.02


def test_chances_that_the_class_is_outside_are_calibrated():
    corpus, is_outside, _ = plant_sets(3000, 3, spread=1.0)
    score = infer(corpus)[1]["imprecise.label"].to_numpy()
    place = np.minimum((score * 10).astype(int), 9)
    error = sum(abs((score - is_outside)[place == b].sum()) for b in range(10)) / len(score)

    assert error < 0.05


def test_a_set_of_one_is_a_label():
    corpus = plant(600)
    sets = [[label] for label in corpus.table[LABEL].to_pylist()]

    assert infer(corpus, with_several(corpus.table, sets))[1].equals(infer(corpus)[1])


@pytest.mark.parametrize("source", ["names", "probe"])
def test_scores_of_sets_do_not_depend_on_the_rows_beside_them(source):
    corpus, _, _ = plant_sets(600, 4, num_classes=24)
    sets = corpus.table[CANDIDATES].to_pylist()
    sets = [None if n % 5 == 0 else s[: n % 4 + 1] for n, s in enumerate(sets)]
    table = with_several(corpus.table, sets)
    rows, cleaner = TableRows((table,), corpus.classes), Imprecise(source=source, width=4)
    if source == "probe":
        table = beside(table, Probe().score(Probe().fit(rows), table))
        rows = TableRows((table,), corpus.classes)
    parts = TableRows(tuple(table.slice(n, 50) for n in range(0, 600, 50)), corpus.classes)
    state, whole = cleaner.fit(rows), cleaner.score(cleaner.fit(parts), table)
    alone = pa.concat_tables([cleaner.score(state, table.slice(n, 1)) for n in range(600)])

    for name in ("imprecise.label", "imprecise.confidence"):
        assert alone[name].is_null().equals(whole[name].is_null())
        one, other = (t[name].fill_null(0).to_numpy() for t in (alone, whole))
        np.testing.assert_allclose(one, other, atol=2e-3)
