from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from pipeline.cleaners.separate import Separate, sample_batch
from pipeline.contract import Classes
from pipeline.engine.local import TableRows
from pipeline.numeric.judged import Judged
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.turns import collision_entropy
from tests.corpora import WatchedRows, tabulate, unit, vectors
from tests.numeric.merging import assert_same

NUM_CLASSES, NUM_DIMS = 4, 16


def planted(num_rows=3000, outliers=0.4, simple=0.15, seed=0):
    """Plant clean rows, outliers beyond a plane, and simple clean rows beyond it as well.

    The losses of simple rows are small: only the other detector can keep them.
    """
    rng = np.random.default_rng(seed)
    is_outlier = rng.random(num_rows) < outliers
    is_simple = ~is_outlier & (rng.random(num_rows) < simple)
    beyond = is_outlier | is_simple
    true, label = rng.integers(0, NUM_CLASSES, (2, num_rows))
    label = np.where(is_outlier, label, true)
    centre = unit(rng.normal(size=(NUM_CLASSES, NUM_DIMS)))
    noise = rng.normal(size=(3, num_rows, NUM_DIMS)) / np.sqrt(NUM_DIMS)
    image = unit(np.where(is_outlier[:, None], 0.3 * noise[0], centre[true]) + 0.3 * noise[1])
    early = noise[2] * 0.4 + np.where(beyond, 1.0, -1.0)[:, None] * 0.3 * np.eye(NUM_DIMS)[0]
    own = np.where(is_outlier, rng.beta(1, 6, num_rows), 1 - rng.beta(1, 12, num_rows))
    table = tabulate(image, image, np.ones(num_rows, bool), label, early=unit(early + 0.2))
    purity = np.where(is_outlier, 0.3, own**2)
    for name, value in (("image", 1 - own), ("impurity", 1 - purity), ("confidence", own)):
        table = table.append_column(f"match.{name}", pa.array(value, pa.float32()))
    table = table.append_column("match.prediction", pa.array(true, pa.int32()))
    return table, is_outlier, is_simple


def classes():
    names = tuple("abcd")
    return Classes(name=names, embedding=np.eye(NUM_CLASSES, NUM_DIMS, dtype=np.float32))


def separate(table, **options):
    cleaner = Separate(**options)
    added = cleaner.score(cleaner.fit(TableRows((table,), classes())), table)
    return {c: added[c].to_numpy(zero_copy_only=False).astype(float) for c in added.column_names}


def test_an_accurate_detection_is_not_all_you_need():
    table, is_outlier, is_simple = planted()
    scores = separate(table)
    plane, both = scores["separate.plane"] > 0.5, scores["separate.outlier"] > 0.5

    assert np.mean(plane[is_outlier]) > 0.9
    assert np.mean(~plane[is_simple]) < 0.3
    assert np.mean(~both[is_simple]) > 0.9
    assert np.mean(~both[~is_outlier]) > 0.95
    assert np.mean(both[is_outlier]) > 0.6


def test_one_wild_loss_changes_nothing():
    table, _, _ = planted()
    image = table["match.image"].to_numpy().copy()
    image[0] = 1.0
    place = table.column_names.index("match.image")
    wild = table.set_column(place, "match.image", pa.array(image))

    one, other = separate(table)["separate.outlier"], separate(wild)["separate.outlier"]
    assert np.mean((one > 0.5) == (other > 0.5)) > 0.99


def test_a_clean_corpus_stays_clean():
    outlier = separate(planted(600, outliers=0.0, simple=0.0)[0])["separate.outlier"]

    assert np.isnan(outlier).all() or np.mean(outlier > 0.5) < 0.05


def test_it_abstains_where_too_few_rows_are_suspect_to_learn_from():
    scores = separate(planted(600)[0], least_rows=1000)

    for column in ("separate.loss", "separate.plane", "separate.outlier"):
        assert np.isnan(scores[column]).all()


def test_image_vectors_stand_in_for_a_missing_early_block():
    table, is_outlier, _ = planted(1500)
    place = table.column_names.index("embedding.early")
    none = vectors(np.zeros((1500, 8)), np.zeros(1500, bool))
    scores = separate(table.set_column(place, "embedding.early", none))

    assert np.mean(scores["separate.outlier"][is_outlier] > 0.5) > 0.5


def test_entropy_tells_agreement_wrong_labels_and_no_class():
    wrong, impurity = np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0])

    np.testing.assert_allclose(collision_entropy(wrong, impurity), [0.0, 0.5, 1.0], atol=1e-9)


def test_kinds_are_told_apart():
    table, is_outlier, _ = planted()
    kind = separate(table)["separate.kind"]

    assert np.mean(kind[~is_outlier] == 0) > 0.9
    assert np.mean(kind[is_outlier] != 0) > 0.9


def test_one_pass_collects_a_bounded_sample():
    table, _, _ = planted(1000)
    rows = WatchedRows((table.slice(0, 300), table.slice(300)), classes())

    Separate(sample_rows=200).fit(rows)

    (sample,) = rows.passes
    hashed = table["image_hash"].to_numpy()
    np.testing.assert_array_equal(sample.hash, np.sort(hashed)[:200])


@pytest.mark.parametrize("cut", [0, 100, 400, 1000])
def test_halves_in_either_order_survive_storage_and_add_up_to_the_sample(cut):
    table, _, _ = planted(1000)
    sample = partial(sample_batch, 300)
    stored = [to_arrays(sample(half)) for half in (table.slice(0, cut), table.slice(cut))]
    one, other = (from_arrays(Judged, arrays) for arrays in stored)

    assert_same(one.merge(other), sample(table))
    assert_same(other.merge(one), sample(table))


def test_fits_on_a_part_of_the_rows_do_not_depend_on_their_order():
    table, _, _ = planted(2000)
    moved = table.take(np.random.default_rng(0).permutation(2000))
    cleaner, halves = Separate(sample_rows=800), (moved.slice(0, 700), moved.slice(700))
    one = cleaner.dump(cleaner.fit(TableRows((table,), classes())))
    other = cleaner.dump(cleaner.fit(TableRows(halves, classes())))

    for name, array in one.items():
        np.testing.assert_allclose(other[name], array, atol=1e-12, err_msg=name)


def test_a_sample_is_enough():
    table, is_outlier, _ = planted(8000)
    every, some = (separate(table, sample_rows=n)["separate.outlier"] > 0.5 for n in (8000, 1500))

    assert np.mean(some[is_outlier]) > 0.6
    assert np.mean(~some[~is_outlier]) > 0.95
    assert np.mean(some == every) > 0.95
