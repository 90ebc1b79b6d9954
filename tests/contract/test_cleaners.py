"""What every cleaner must hold to, asserted by value."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from pipeline.cleaners import CLEANERS
from pipeline.engine.local import TableRows, beside
from pipeline.findings import Telling
from pipeline.schema import CANDIDATES, CLAIMED
from tests.corpora import plant, with_several

pytestmark = pytest.mark.parametrize("name", CLEANERS)


def prepare(name, corpus):
    """Return the cleaner, and the corpus with the columns of every cleaner before it."""
    table = corpus.table
    for before in needed(name):
        cleaner = CLEANERS[before]()
        rows = TableRows((table,), corpus.classes)
        table = beside(table, cleaner.score(cleaner.fit(rows), table))
    return CLEANERS[name](), table


def needed(name):
    """Return the cleaners whose columns one reads, those that they read first."""
    readers = [column.split(".")[0] for column in CLEANERS[name]().reads if "." in column]
    direct = [reader for reader in dict.fromkeys(readers) if reader in CLEANERS]
    return list(dict.fromkeys(n for one in direct for n in (*needed(one), one)))


def split(table, num_parts):
    cuts = np.linspace(0, len(table), num_parts + 1).astype(int)
    return tuple(table.slice(a, b - a) for a, b in pairwise(cuts))


def fit(cleaner, table, corpus, num_parts=3):
    return cleaner.fit(TableRows(split(table, num_parts), corpus.classes))


def assert_close(one, other, tolerance=1e-4):
    assert one.schema == other.schema
    for field in one.schema:
        a, b = (flat(t[field.name]) for t in (one, other))
        if a.dtype.kind == "f" and b.dtype.kind == "f":
            np.testing.assert_allclose(a, b, atol=tolerance, err_msg=field.name)
        else:
            assert np.mean(a == b) > 0.995, field.name


def flat(column):
    array = column.combine_chunks()
    return (array.flatten() if pa.types.is_nested(array.type) else array).to_numpy(
        zero_copy_only=False
    )


@pytest.fixture(scope="module")
def fitted():
    """Return cleaner, table, corpus and state by name, each fitted once."""
    corpus, known = plant(600, 6, 24), {}
    for name in CLEANERS:
        cleaner, table = prepare(name, corpus)
        known[name] = (cleaner, table, corpus, fit(cleaner, table, corpus))
    return known


def test_it_adds_exactly_what_it_says(name, fitted):
    cleaner, table, _, state = fitted[name]
    added = cleaner.score(state, table)

    assert added.schema == cleaner.adds
    assert all(column.startswith(f"{name}.") for column in added.column_names)
    assert len(added) == len(table)


def test_it_reads_no_other_columns(name, fitted):
    cleaner, table, corpus, state = fitted[name]
    few = table.select(list(cleaner.reads))

    assert_close(cleaner.score(state, few), cleaner.score(state, table), 0.0)
    fit(cleaner, few, corpus)


def test_scores_do_not_depend_on_batch_size(name, fitted):
    cleaner, table, _, state = fitted[name]
    whole = cleaner.score(state, table)

    for size in (1, 7, 256):
        few = table.slice(0, 300)
        parts = [few.slice(i, size) for i in range(0, len(few), size)]
        joined = pa.concat_tables([cleaner.score(state, part) for part in parts])
        assert_close(joined, whole.slice(0, 300))


def test_the_order_of_rows_is_kept(name, fitted):
    cleaner, table, _, state = fitted[name]
    order = np.random.default_rng(0).permutation(len(table))

    assert_close(cleaner.score(state, table.take(order)), cleaner.score(state, table).take(order))


def test_fitting_does_not_depend_on_order_or_fragments(name, fitted):
    cleaner, table, corpus, state = fitted[name]
    order = np.random.default_rng(1).permutation(len(table))
    again = fit(cleaner, table.take(order), corpus, num_parts=8)

    assert_close(cleaner.score(again, table), cleaner.score(state, table), 2e-3)


def test_fitting_twice_gives_the_same_state(name, fitted):
    cleaner, table, corpus, state = fitted[name]
    one, other = cleaner.dump(state), cleaner.dump(fit(cleaner, table, corpus))

    assert one.keys() == other.keys()
    for key, array in one.items():
        np.testing.assert_array_equal(array, other[key], err_msg=key)


def test_a_state_survives_dump_and_load(name, fitted):
    cleaner, table, _, state = fitted[name]
    arrays = cleaner.dump(state)
    again = cleaner.load({key: np.array(array) for key, array in arrays.items()})

    assert all(array.dtype != object for array in arrays.values())
    assert_close(cleaner.score(again, table), cleaner.score(state, table), 0.0)


def assert_told(cleaner, state, num_classes):
    """Check that what a state tells is in range; nothing if the cleaner tells nothing."""
    if not isinstance(cleaner, Telling):
        return
    told = cleaner.tell(state)
    for value in (told.coding_rate, told.gain):
        assert value is None or value.shape == (num_classes,)
    assert told.coding_rate is None or not (told.coding_rate < 0.0).any()
    for share in told.shares.values():
        assert -1e-9 <= share <= 1.0 + 1e-9
    if told.noise:
        rate, meant, share = told.noise.rate, told.noise.meant, told.noise.share
        assert rate.shape == meant.shape == share.shape == (num_classes,)
        assert not ((rate < 0.0) | (rate > 1.0)).any()  # NaN: not known
        assert ((meant >= -1) & (meant < num_classes)).all()
        assert (meant != np.arange(num_classes)).all()
        np.testing.assert_array_equal(share > 0.0, meant >= 0)
        assert ((share >= 0.0) & (share <= 1.0)).all()
    if told.kinship:
        num = len(told.kinship.name)
        assert told.kinship.alike.shape == (num, num)
        assert told.kinship.say.shape == (num,)
        assert np.isfinite(told.kinship.alike).all()


def test_what_it_tells_is_in_range_and_survives_dump_and_load(name, fitted):
    cleaner, _, corpus, state = fitted[name]
    assert_told(cleaner, state, len(corpus.classes))
    if not isinstance(cleaner, Telling):
        return
    told, again = cleaner.tell(state), cleaner.tell(cleaner.load(cleaner.dump(state)))

    assert again.shares == told.shares
    for field in ("coding_rate", "gain"):
        np.testing.assert_array_equal(getattr(again, field), getattr(told, field))
    for field in ("rate", "meant", "share") if told.noise else ():
        np.testing.assert_array_equal(getattr(again.noise, field), getattr(told.noise, field))


def test_scores_are_in_range_and_never_nan(name, fitted):
    cleaner, table, _, state = fitted[name]

    for column in cleaner.score(state, table).select(scores_of(cleaner)).columns:
        value = column.drop_null().to_numpy()
        assert not np.isnan(value).any()
        assert value.min(initial=0.0) >= 0.0
        assert value.max(initial=0.0) <= 1.0


def test_an_empty_batch_is_scored(name, fitted):
    cleaner, table, corpus, state = fitted[name]

    assert cleaner.score(state, table.slice(0, 0)).schema == cleaner.adds
    with_empty = (table.slice(0, 0), *split(table, 3), table.slice(0, 0))
    again = cleaner.fit(TableRows(with_empty, corpus.classes))
    assert_close(cleaner.score(again, table), cleaner.score(state, table))


def test_the_input_is_not_touched(name, fitted):
    cleaner, table, corpus, state = fitted[name]
    copy = pa.ipc.open_stream(serialised(table)).read_all()
    cleaner.score(state, table)
    fit(cleaner, table, corpus)

    assert table.equals(copy)


def serialised(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def scores_of(cleaner):
    return [field.name for field in cleaner.adds if pa.types.is_floating(field.type)]


@pytest.mark.parametrize(
    "options",
    [
        {"num_classes": 1, "flip": 0.0},
        {"num_classes": 5, "num_rows": 12},
        {"num_classes": 40, "num_rows": 60},
        {"empty": 1.0, "flip": 0.0, "swap": 0.0},
        {"spread": 0.0, "foreign": 0.0},
    ],
    ids=["one class", "few rows", "classes with a row or none", "no captions", "copies only"],
)
def test_odd_corpora_are_scored(name, options):
    corpus = plant(**({"num_rows": 200, "num_dims": 16} | options))
    cleaner, table = prepare(name, corpus)
    state = fit(cleaner, table, corpus)
    added = cleaner.score(state, table)
    assert_told(cleaner, state, len(corpus.classes))

    for column in scores_of(cleaner):
        assert not np.isnan(added[column].drop_null().to_numpy()).any()


def test_rows_without_a_label_are_scored(name):
    corpus = plant(300, 4, 16)
    label = corpus.table["label"].to_numpy().astype(np.int64)
    label[::3] = -1
    place = corpus.table.column_names.index("label")
    nulls = pa.array(label, pa.int32(), mask=label < 0)
    table = corpus.table.set_column(place, "label", nulls)
    corpus = type(corpus)(table, corpus.classes, corpus.fault, corpus.true)
    cleaner, table = prepare(name, corpus)
    state = fit(cleaner, table, corpus)
    added = cleaner.score(state, table)
    assert_told(cleaner, state, len(corpus.classes))

    for column in scores_of(cleaner):
        assert not np.isnan(added[column].drop_null().to_numpy()).any()


@pytest.mark.parametrize("is_every_row", [False, True], ids=["some rows", "every row"])
@pytest.mark.parametrize("held", [CANDIDATES, CLAIMED])
def test_rows_with_several_labels_are_scored(name, is_every_row, held):
    corpus = plant(300, 4, 16)
    pair = [sorted({n, (n + 1) % 4}) for n in corpus.table["label"].to_pylist()]
    sets = [two if is_every_row or row % 3 else two[:1] for row, two in enumerate(pair)]
    table = with_several(corpus.table, sets, held)
    corpus = type(corpus)(table, corpus.classes, corpus.fault, corpus.true)
    cleaner, table = prepare(name, corpus)
    state = fit(cleaner, table, corpus)
    added = cleaner.score(state, table)
    assert_told(cleaner, state, len(corpus.classes))

    assert added.schema == cleaner.adds
    for column in scores_of(cleaner):
        assert not np.isnan(added[column].drop_null().to_numpy()).any()
