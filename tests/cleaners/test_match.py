from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.cleaners.match import Match, survey_batch
from pipeline.contract import Classes
from pipeline.engine.local import TableRows
from pipeline.errors import FitError
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.survey import Survey
from pipeline.schema import LABEL
from tests.corpora import WatchedRows, plant, tabulate, unit
from tests.numeric.merging import assert_same


def clean(corpus, **options):
    cleaner = Match(**options)
    added = cleaner.score(cleaner.fit(corpus.rows()), corpus.table)
    return {c: added[c].to_numpy(zero_copy_only=False) for c in added.column_names}


def auroc(corpus, score, fault):
    seen = np.isin(corpus.fault, ["clean", fault]) & ~np.isnan(score.astype(float))
    return roc_auc_score(corpus.fault[seen] == fault, score[seen])


CORPORA = {
    "all faults": {},
    "asymmetric": {"asymmetric": True},
    "classes whose names say nothing": {"named": False},
    "hard": {"spread": 1.2},
}


@pytest.mark.parametrize("name", CORPORA)
def test_every_planted_fault_ranks_above_clean_rows(name):
    corpus = plant(900, 8, 32, **CORPORA[name])
    scores = clean(corpus)

    assert auroc(corpus, scores["match.label"], "wrong-label") > 0.98
    assert auroc(corpus, scores["match.outlier"], "foreign-image") > 0.95
    assert auroc(corpus, scores["match.caption"], "wrong-text") > 0.85


def test_wrong_labels_are_put_right():
    corpus = plant(900)
    scores = clean(corpus)
    wrong = corpus.fault == "wrong-label"

    assert np.mean(scores["match.prediction"][wrong] == corpus.true[wrong]) > 0.95
    assert np.mean(scores["match.label"][corpus.fault == "clean"] < 0.5) > 0.97


def test_without_captions_images_are_enough():
    corpus = plant(900, flip=0.15, swap=0.0, empty=0.85, foreign=0.0)
    text = np.zeros((900, 32), np.float16)
    image = np.stack(corpus.table["embedding.image"].to_pylist())
    label = corpus.table["label"].to_numpy()
    table = tabulate(image, text, np.zeros(900, bool), label)
    scores = clean(type(corpus)(table, corpus.classes, corpus.fault, corpus.true))
    wrong = corpus.fault == "wrong-label"

    assert roc_auc_score(wrong, scores["match.label"]) > 0.98
    assert np.mean(scores["match.label"][wrong] > 0.5) > 0.8
    assert np.isnan(scores["match.caption"].astype(float)).all()


def twins(rate, num_rows=1500):
    """Return pictures of eight classes, two by two alike, with labels moved to the twin."""
    rng = np.random.default_rng(0)
    first, offset = unit(rng.normal(size=(2, 4, 16)))
    centre = np.vstack([first, unit(first + 0.5 * offset)])
    true = rng.integers(0, 8, num_rows)
    image = unit(centre[true] + 0.5 * rng.normal(size=(num_rows, 16)) / 4)
    moved = rng.permutation(num_rows)[: round(rate * num_rows)]
    label = true.copy()
    label[moved] = (true[moved] + 4) % 8
    table = tabulate(image, np.zeros_like(image), np.zeros(num_rows, bool), label)
    names = tuple(f"class {c}" for c in range(8))
    return table, Classes(name=names, embedding=np.zeros((8, 16), np.float32)), label != true


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2])
def test_labels_of_a_similar_class_are_found_without_captions(rate):
    table, classes, wrong = twins(rate)

    cleaner, rows = Match(), TableRows((table,), classes)
    suspicion = cleaner.score(cleaner.fit(rows), table)["match.label"].to_numpy()

    assert abs(suspicion.mean() - rate) < 0.03
    assert ((suspicion > 0.5) != wrong).mean() < 0.04


@pytest.mark.parametrize("options", [{}, {"empty": 0.5}, {"spread": 1.0}])
def test_a_clean_corpus_stays_clean(options):
    corpus = plant(700, **({"flip": 0.0, "swap": 0.0, "foreign": 0.0} | options))
    scores = clean(corpus)

    for column in ("match.label", "match.outlier", "match.caption"):
        assert np.nanmean(scores[column].astype(float) > 0.5) < 0.02


def polysemous(seed=0, num_classes=4, num_dims=32):
    """Plant classes of which 70 % of the images mean something else, as their captions tell."""
    rng = np.random.default_rng(seed)
    centre = unit(rng.normal(size=(num_classes, num_dims)))
    other = unit(rng.normal(size=(num_classes, num_dims)))
    label = rng.integers(0, num_classes, 1200)
    right = rng.random(1200) < 0.3
    shown = np.where(right[:, None], centre[label], other[label])
    noise = rng.normal(size=(2, 1200, num_dims)) / np.sqrt(num_dims)
    told = rng.random(1200) < 0.6
    table = tabulate(unit(shown + 0.4 * noise[0]), unit(shown + 0.4 * noise[1]), told, label)
    return table, centre, label, right


def test_captions_pick_the_meaning_that_the_majority_of_images_lacks():
    table, centre, label, right = polysemous()
    classes = Classes(name=tuple("abcd"), embedding=centre.astype(np.float32))
    state = Match().fit(TableRows((table,), classes))

    image = np.stack(table["embedding.image"].to_pylist())
    mean = unit(np.stack([image[label == c].mean(axis=0) for c in range(4)]))
    shown = state.evidence.prototypes
    anchored = np.array([(shown.whole[shown.label == c] @ centre[c]).max() for c in range(4)])
    assert (np.einsum("kd,kd->k", mean, centre) < 0.75).all()
    assert (anchored > 0.85).all()
    scores = Match().score(state, table)["match.protected"].to_numpy(zero_copy_only=False)
    assert right[scores].mean() > 0.9


def test_one_template_caption_does_not_fill_the_clean_rows():
    corpus = plant(800, 4, flip=0.0, swap=0.0, empty=0.0, foreign=0.0)
    image, text = (
        np.stack(corpus.table[f"embedding.{c}"].to_pylist()).astype(float)
        for c in ("image", "text")
    )
    spam = np.random.default_rng(0).random(800) < 0.4
    label = corpus.table["label"].to_numpy()
    text[spam] = corpus.classes.embedding[label[spam]]
    image[spam] = unit(np.random.default_rng(1).normal(size=(int(spam.sum()), image.shape[1])))
    table = tabulate(image, text, np.ones(800, bool), label)
    cleaner = Match(clean_rows=20)
    rows = TableRows((table,), corpus.classes)
    protected = cleaner.score(cleaner.fit(rows), table)["match.protected"].to_numpy(
        zero_copy_only=False
    )

    assert spam[protected].mean() < 0.2


@pytest.mark.parametrize("parts", [1, 4, 13])
def test_clean_rows_do_not_depend_on_the_number_of_shards(parts):
    corpus = plant(400)
    expected = Match().fit(corpus.rows(1)).protected

    np.testing.assert_array_equal(Match().fit(corpus.rows(parts)).protected, expected)


def test_wrong_labels_and_most_foreign_images_make_no_prototypes():
    corpus = plant(900)
    protected = clean(corpus, clean_rows=200)["match.protected"].astype(bool)

    assert protected.sum() > 300
    assert np.mean(corpus.fault[protected] == "wrong-label") < 0.01
    assert np.mean(protected[corpus.fault == "foreign-image"]) < 0.5


def test_foreign_images_do_not_teach_what_a_class_looks_like():
    corpus = plant(900, foreign=0.3, spread=1.0, seed=1)
    once, again = (clean(corpus, rounds=rounds)["match.outlier"] for rounds in (0, 2))

    assert auroc(corpus, again, "foreign-image") > 0.99
    assert auroc(corpus, once, "foreign-image") < auroc(corpus, again, "foreign-image")


def test_ranking_by_reciprocal_neighbours_works_too():
    corpus = plant(800, 4)
    scores = clean(corpus, ranking="reciprocal")

    assert auroc(corpus, scores["match.label"], "wrong-label") > 0.98
    assert scores["match.protected"].sum() > 50


def test_prototypes_are_stored_as_faiss_indices():
    corpus = plant(400, 4)
    arrays = Match().dump(Match().fit(corpus.rows()))

    assert {"prototypes.faiss", "class-0.faiss", "class-3.faiss"} <= arrays.keys()
    assert arrays["prototypes.faiss"].dtype == np.uint8


def unlabelled(corpus):
    place = corpus.table.schema.get_field_index(LABEL)
    return corpus.table.set_column(place, LABEL, pa.nulls(len(corpus.table), pa.int32()))


def test_a_corpus_without_labels_is_judged_by_captions_and_names():
    corpus = plant(1500, 8, swap=0.2, flip=0.0, foreign=0.0)
    blank = unlabelled(corpus)
    rows = TableRows((blank,), corpus.classes)

    found = Match().score(Match().fit(rows), blank)

    assert found["match.label"].null_count == len(blank)
    own = corpus.fault == "clean"
    assert (found["match.prediction"].to_numpy() == corpus.true)[own].mean() > 0.9
    told = own | (corpus.fault == "wrong-text")
    swapped = found["match.caption"].to_numpy()[told]
    assert roc_auc_score(corpus.fault[told] == "wrong-text", swapped) > 0.95


def test_no_rows_at_all_is_an_error():
    image = np.zeros((0, 32), np.float16)
    table = tabulate(image, image, np.ones(0, bool), np.zeros(0, int))

    with pytest.raises(FitError, match="must have readable rows"):
        Match().fit(TableRows((table,), plant(20).classes))


def test_one_pass_is_enough_and_a_corpus_without_labels_takes_one_more():
    corpus = plant(300, 4)
    for table, num_passes in ((corpus.table, 1), (unlabelled(corpus), 2)):
        rows = WatchedRows((table,), corpus.classes)
        Match().fit(rows)

        assert len(rows.passes) == num_passes


def test_the_sample_is_bounded_and_the_bank_is_its_beginning():
    corpus = plant(900, 6)
    rows = WatchedRows((corpus.table.slice(0, 500), corpus.table.slice(500)), corpus.classes)

    state = Match(sample_rows=20, bank_rows=60, revised_rows=300).fit(rows)

    sample, banked = rows.passes[0].sample, state.evidence.bank.name
    np.testing.assert_array_equal(np.bincount(sample.label), np.full(6, 50))
    first = [np.sort(sample.hash[sample.label == c])[:10] for c in range(6)]
    np.testing.assert_array_equal(banked, np.concatenate(first))


def test_halves_in_either_order_survive_storage_and_add_up_to_the_survey():
    table = plant(600, 5).table
    survey = partial(survey_batch, None, (5, 5), 40)

    for cut in (0, 250, 600):
        stored = [to_arrays(survey(half)) for half in (table.slice(0, cut), table.slice(cut))]
        one, other = (from_arrays(Survey, arrays) for arrays in stored)
        assert_same(one.merge(other), survey(table))
        assert_same(other.merge(one), survey(table))


def test_fits_on_a_part_of_the_rows_do_not_depend_on_their_order():
    corpus, cleaner = plant(900, 6), Match(sample_rows=20, revised_rows=300)
    order = np.random.default_rng(0).permutation(900)
    moved = corpus.table.take(order)
    rows = TableRows((moved.slice(0, 450), moved.slice(450)), corpus.classes)
    states = (cleaner.fit(corpus.rows(3)), cleaner.fit(rows))

    np.testing.assert_array_equal(states[0].protected, states[1].protected)
    one, other = (cleaner.score(state, corpus.table) for state in states)
    for name in ("match.label", "match.outlier", "match.caption"):
        np.testing.assert_allclose(one[name].fill_null(0), other[name].fill_null(0), atol=1e-3)


def test_rounds_on_a_sample_find_what_rounds_on_all_rows_find():
    corpus = plant(2000, 8, spread=1.0)
    some, every = (clean(corpus, sample_rows=25, revised_rows=n) for n in (400, 2000))

    for column, fault in (("match.label", "wrong-label"), ("match.outlier", "foreign-image")):
        assert auroc(corpus, some[column], fault) > auroc(corpus, every[column], fault) - 0.01
