"""A summary is a sum: any split of the rows, in any order, says the same."""

import itertools
from collections import Counter
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.report.gallery import SIZES
from pipeline.report.summary import Summary, merge
from pipeline.schema import ACTIONS, LEDGER

THRESHOLDS = {"a.x": [("odd", 0.5)], "a.y": [("odd", 0.6), ("late", 0.25)]}
score = st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.52, 0.99, 1.0])
row = st.fixed_dictionaries(
    {
        "uid": st.none() | st.binary(min_size=16, max_size=16),
        "key": st.text(max_size=3),
        "shard": st.sampled_from(["p", "q"]),
        "row": st.integers(0, 2**31 - 1),
        "action": st.sampled_from(ACTIONS),
        "label": st.none() | st.sampled_from(["cat", "dog"]),
        "new_label": st.none() | st.sampled_from(["cat", "dog"]),
        "weight": st.just(1.0),
        "reasons": st.none() | st.lists(st.sampled_from(["odd", "late", "torn"]), max_size=3),
        "caption": st.none() | st.text(max_size=5),
        "a.x": score,
        "a.y": score,
    }
)
SCHEMA = pa.schema(
    [*LEDGER, ("caption", pa.string()), ("a.x", pa.float32()), ("a.y", pa.float32())]
)


def table_of(rows):
    return pa.Table.from_pylist(rows, SCHEMA)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(row, max_size=40, unique_by=lambda r: r["row"]), data=st.data())
def test_summary_does_not_depend_on_split_or_order(rows, data):
    whole = Summary.of(table_of(rows), THRESHOLDS)
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    edges = [0, *cuts, len(rows)]
    tables = [table_of(shuffled[a:b]) for a, b in itertools.pairwise(edges)]
    parts = [Summary.of(table, THRESHOLDS) for table in tables]

    assert whole == reduce(merge, parts)
    assert whole == reduce(lambda one, other: merge(other, one), parts)


def test_merge_is_associative_and_leaves_its_arguments_alone(ledger, thresholds):
    a, b, c = (Summary.of(ledger(150, seed), thresholds) for seed in range(3))
    before = Counter(a.actions), dict(a.galleries), dict(a.histograms)

    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert before == (a.actions, a.galleries, a.histograms)


def test_counts_add_up(ledger, thresholds):
    table = ledger(900)
    summary = Summary.of(table, thresholds)
    given = [
        (r, a)
        for rs, a in zip(*(table[c].to_pylist() for c in ("reasons", "action")), strict=True)
        for r in rs
    ]

    assert summary.rows == 900 == sum(summary.actions[action] for action in ACTIONS)
    assert Counter(given) == summary.reasons
    assert summary.actions["relabel"] == summary.relabels.total()
    for action in ACTIONS:
        assert summary.actions[action] == sum(
            num for (_, which), num in summary.classes.items() if which == action
        )
    for column, histogram in summary.histograms.items():
        scored = 900 - table[column].null_count
        assert scored == sum(histogram.kept) + sum(histogram.flagged)


def test_a_row_counts_once_for_a_reason_that_it_names_twice():
    base = {"uid": b"u" * 16, "key": "k", "shard": "s", "row": 0, "action": "drop"}
    rows = [base | {"reasons": ["odd", "odd"]}, base | {"row": 1, "reasons": ["odd", "late"]}]
    summary = Summary.of(table_of(rows), THRESHOLDS)

    assert summary.reasons == {("odd", "drop"): 2, ("late", "drop"): 1}
    assert summary.only == {("odd", "drop"): 1}


@pytest.mark.parametrize(("value", "place"), [(0.0, 0), (0.0199, 0), (0.5, 25), (1.0, 49)])
def test_a_histogram_covers_zero_and_one(value, place):
    base = {"uid": b"u" * 16, "key": "k", "shard": "s", "row": 0, "action": "keep"}
    summary = Summary.of(table_of([base | {"a.x": value}]), THRESHOLDS)

    assert summary.histograms["a.x"].kept[place] == 1
    assert sum(summary.histograms["a.y"].kept) == 0


def test_galleries_are_bounded_and_ordered(ledger, thresholds):
    summary = Summary.of(ledger(2000), thresholds)
    drop = summary.galleries["drop", "off-topic"]

    for (kind, _), entries in summary.galleries.items():
        assert len(entries) <= SIZES[kind]
        assert list(entries) == sorted(entries, key=lambda entry: entry.order)
    assert [e.score for e in drop] == sorted((e.score for e in drop), reverse=True)
    assert {"match.outlier"} == {e.column for e in drop}


def test_a_drop_gallery_holds_the_highest_scores(ledger, thresholds):
    table = ledger(2000)
    summary = Summary.of(table, thresholds)
    rows = [r for r in table.to_pylist() if r["action"] == "drop" and "duplicate" in r["reasons"]]
    highest = sorted((r["duplicate.copy"] for r in rows), reverse=True)

    shown = [entry.score for entry in summary.galleries["drop", "duplicate"]]
    assert highest[: len(shown)] == shown
    assert SIZES["drop"] == len(shown)


def test_a_borderline_gallery_holds_the_rows_closest_to_its_threshold(ledger, thresholds):
    table = ledger(2000)
    readable = np.array(table["action"].to_pylist()) != "quarantine"
    away = np.sort(np.abs(table["match.label"].to_numpy().astype(float)[readable] - 0.72))

    shown = Summary.of(table, thresholds).galleries["borderline", "label-mismatch"]
    np.testing.assert_allclose([abs(e.score - 0.72) for e in shown], away[: len(shown)])


def test_a_reason_without_threshold_still_has_its_gallery():
    base = {"uid": b"u" * 16, "key": "k", "shard": "s", "row": 0, "action": "drop"}
    summary = Summary.of(table_of([base | {"reasons": ["torn"]}]), {})
    (entry,) = summary.galleries["drop", "torn"]

    assert (entry.score, entry.column, entry.reasons) == (None, None, ("torn",))


def test_no_rows_is_the_neutral_element(ledger, thresholds):
    table = ledger(50)
    nothing, some = (Summary.of(t, thresholds) for t in (table.slice(0, 0), table))

    assert nothing.rows == 0
    assert some == merge(nothing, some) == merge(some, nothing)
