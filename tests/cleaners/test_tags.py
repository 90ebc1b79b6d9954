import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier

from pipeline.cleaners.columns import several
from pipeline.cleaners.tags import Tags
from pipeline.contract import Classes
from pipeline.engine.local import TableRows
from pipeline.schema import CLAIMED, IMAGE, LABEL
from tests.corpora import plant, tabulate, unit, with_several


def plant_tags(num_rows=1500, num_tags=12, *, wrong=0.2, missing=0.1, spread=1.1, popular=False):
    """Return rows of one to three tags, tags given to them, and which of those are wrong."""
    rng = np.random.default_rng(3)
    centre = unit(rng.normal(size=(num_tags, 48)))
    share = 1.0 / np.arange(1, num_tags + 1)
    share /= share.sum()
    size = rng.integers(1, 4, num_rows)
    true = [rng.choice(num_tags, num, replace=False, p=share) for num in size]
    given = []
    for tags in true:
        kept = [tag for tag in tags if rng.random() > missing] or [tags[0]]
        lot = share if popular else None
        astray = [rng.choice(num_tags, p=lot) if rng.random() < wrong else tag for tag in kept]
        given.append(sorted({int(tag) for tag in astray}))
    image = np.array([centre[tags].sum(axis=0) for tags in true])
    image = unit(image + spread * rng.normal(size=image.shape) / np.sqrt(48))
    table = tabulate(image, image, np.zeros(num_rows, bool), np.zeros(num_rows, int))
    is_wrong = [[tag not in tags for tag in row] for tags, row in zip(true, given, strict=True)]
    classes = Classes(name=tuple(map(str, range(num_tags))), embedding=centre.astype(np.float32))
    return TableRows((with_several(table, given, CLAIMED),), classes), is_wrong


def judge(rows):
    """Return the state, the columns, and P(wrong) of every given tag in turn."""
    (table,) = rows.tables
    cleaner = Tags()
    state = cleaner.fit(TableRows((table.slice(0, 400), table.slice(400)), rows.classes))
    image = np.stack(table[IMAGE].to_numpy(zero_copy_only=False)).astype(np.float32)
    fold = (table["image_hash"].to_numpy() % np.uint64(5)).astype(int)
    given = several(table, CLAIMED)
    wrong = state.noise.wrong(state.lda.evidence(image, fold), given)
    return state, cleaner.score(state, table), wrong[given >= 0]


@pytest.mark.parametrize("popular", [False, True], ids=["even", "popular"])
def test_wrong_tags_are_found_as_well_as_by_logistic_regression(popular):
    rows, is_wrong = plant_tags(popular=popular)
    fault = np.concatenate(is_wrong)
    (table,) = rows.tables
    given = table[CLAIMED].to_pylist()
    has = np.array([np.isin(np.arange(12), tags) for tags in given]).astype(int)
    image = np.stack(table[IMAGE].to_numpy(zero_copy_only=False))
    slow = OneVsRestClassifier(LogisticRegression(max_iter=300))
    chance = cross_val_predict(slow, image, has, cv=KFold(5), method="predict_proba")
    bare = roc_auc_score(fault, 1.0 - chance[has > 0])
    state, _, own = judge(rows)

    assert roc_auc_score(fault, own) > max(0.97, bare - 0.005)
    assert np.array_equal(state.noise.chance, state.noise.prior) == popular


@pytest.mark.parametrize("wrong", [0.0, 0.05, 0.2, 0.3])
def test_the_share_of_wrong_tags_is_found(wrong):
    rows, is_wrong = plant_tags(2500, wrong=wrong)
    state, _, chance = judge(rows)
    rate = np.mean(np.concatenate(is_wrong))

    assert abs(chance.mean() - rate) < 0.06
    assert abs(state.noise.noise - rate) < 0.11
    assert np.mean(chance > 0.5) < 1.1 * rate + 0.002


def test_the_score_is_that_of_the_most_doubted_tag_and_the_doubted_ones_are_listed():
    rows, is_wrong = plant_tags()
    _, added, chance = judge(rows)
    given = rows.tables[0][CLAIMED].to_pylist()
    parts = np.split(chance, np.cumsum([len(tags) for tags in given])[:-1])
    flagged = [
        [tag for tag, p in zip(tags, part, strict=True) if p > 0.5]
        for tags, part in zip(given, parts, strict=True)
    ]

    np.testing.assert_allclose(added["tags.label"].to_numpy(), [part.max() for part in parts])
    assert added["tags.wrong"].to_pylist() == flagged
    worst = [tags[part.argmax()] for tags, part in zip(given, parts, strict=True)]
    assert added["tags.worst"].to_pylist() == worst
    assert roc_auc_score([any(row) for row in is_wrong], added["tags.label"].to_numpy()) > 0.96


def test_single_labels_are_judged_as_tags():
    corpus = plant(1500, flip=0.15, foreign=0.0)
    cleaner, rows = Tags(), TableRows((corpus.table,), corpus.classes)
    added = cleaner.score(cleaner.fit(rows), corpus.table)

    assert roc_auc_score(corpus.fault == "wrong-label", added["tags.label"].to_numpy()) > 0.98
    assert added["tags.worst"].equals(corpus.table[LABEL])


def test_rows_without_tags_or_picture_get_no_score_and_teach_nothing():
    rows, _ = plant_tags(600)
    (table,) = rows.tables
    none = with_several(table, [None] * 600, CLAIMED)
    cleaner = Tags()
    state = cleaner.fit(TableRows((table, none.slice(0, 200)), rows.classes))
    bare = cleaner.fit(TableRows((none,), rows.classes))
    place = table.column_names.index(IMAGE)
    blind = table.set_column(place, IMAGE, pa.nulls(600, table.schema.field(IMAGE).type))

    assert cleaner.score(state, none)["tags.wrong"].null_count == 600
    assert cleaner.score(state, blind)["tags.label"].null_count == 600
    assert cleaner.score(bare, table)["tags.label"].null_count == 600
    known = cleaner.score(cleaner.fit(rows), table)
    np.testing.assert_allclose(
        cleaner.score(state, table)["tags.label"].to_numpy(), known["tags.label"].to_numpy()
    )


def test_scores_do_not_depend_on_how_many_tags_the_rows_beside_have():
    rows, _ = plant_tags(400)
    (table,) = rows.tables
    cleaner = Tags()
    state = cleaner.fit(rows)
    alone = pa.concat_tables([cleaner.score(state, table.slice(n, 1)) for n in range(400)])

    assert alone["tags.wrong"].to_pylist() == cleaner.score(state, table)["tags.wrong"].to_pylist()
