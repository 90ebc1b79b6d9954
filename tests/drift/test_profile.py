from functools import reduce
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.drift import cells
from pipeline.drift.cells import KINDS, Kind
from pipeline.drift.profile import Profile, comparable
from pipeline.errors import SchemaError
from pipeline.schema import LEDGER
from tests.drift.nights import CLASSES, night

ROWS = night(60)


def rows(*records):
    """Return ledger rows of which only a few columns are said."""
    extra = [("m.label", pa.float32()), ("host", pa.string()), ("tags", pa.list_(pa.string()))]
    schema = pa.schema([*LEDGER, *map(pa.field, *zip(*extra, strict=True))])
    return pa.Table.from_pylist([{"action": "keep"} | record for record in records], schema)


def profile(table):
    return Profile.of(table, classes=CLASSES, columns=("match.label",))


@pytest.fixture
def small(monkeypatch):
    """Let a profile hold three hosts and two pairs."""
    limits = {"host": 3, "pair": 2}
    kinds = {kind: Kind(keys, limits.get(kind, num)) for kind, (keys, num) in KINDS.items()}
    monkeypatch.setattr(cells, "KINDS", kinds)


def assert_sums(table, cuts):
    edges = [0, *sorted(cuts), len(table)]
    parts = [profile(table.slice(a, b - a)) for a, b in pairwise(edges)]
    whole = profile(table)

    assert reduce(Profile.merge, parts) == whole
    assert reduce(Profile.merge, parts[::-1]) == whole
    assert Profile.total(parts) == whole
    assert parts[0].merge(reduce(Profile.merge, parts[1:], Profile.total([]))) == whole


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=4))
def test_any_parts_in_any_order_give_the_whole(cuts):
    assert_sums(ROWS, cuts)


@pytest.mark.parametrize("cuts", [[], [1], [7, 30], [20, 20, 50]])
def test_any_parts_in_any_order_give_the_whole_beyond_the_limits(small, cuts):
    assert_sums(ROWS, cuts)


def test_a_name_that_is_kept_beyond_the_limit_has_all_its_rows(small):
    found, hosts = profile(ROWS).counts("host"), ROWS["host"].to_pylist()
    kept = {host for host, _ in found}

    assert len(kept) == 3
    assert sum(found.values()) == sum(host in kept for host in hosts)


def test_pairs_are_limited_by_both_their_names(small):
    made = Profile.of(rows({"tags": list("abcd")}, {"tags": list("abe")}))

    assert len(made.counts("pair")) == 2


def test_profiles_are_compared_by_the_names_that_both_would_keep(small):
    ours, theirs = (
        Profile.of(rows(*({"host": name} for name in names))) for names in ("abcab", "defgh")
    )
    one, other = comparable(ours, theirs)

    assert ours.merge(theirs).counts("host") == one.counts("host") | other.counts("host")
    assert len(ours.counts("host")) + len(theirs.counts("host")) == 6
    assert one.rows + other.rows == 10


def test_counts_are_those_of_the_rows():
    table = rows(
        {
            "action": "drop",
            "label": "cat",
            "reasons": ["far", "copy"],
            "m.label": 0.25,
            "host": "h",
        },
        {"label": "cat", "m.label": 1.0, "tags": ["dog", "cat", "dog", None]},
        {"action": "quarantine", "reasons": ["empty-file"]},
        {"label": "gnu", "m.label": 0.25},
    )
    made = Profile.of(table, classes=("cat", "dog"), columns=("m.label",))

    assert (made.rows, made.shares["keep"]) == (4, 0.5)
    assert made.actions == {"keep": 2, "relabel": 0, "drop": 1, "quarantine": 1}
    labels = {("cat", "drop"): 1, ("cat", "keep"): 1, (None, "quarantine"): 1}
    assert made.counts("label") == labels
    assert made.counts("unknown") == {("gnu", "keep"): 1}
    assert made.counts("host") == {("h", "drop"): 1, (None, "keep"): 2, (None, "quarantine"): 1}
    reasons = {("far", "drop"): 1, ("copy", "drop"): 1, ("empty-file", "quarantine"): 1}
    assert made.counts("reason") == reasons
    assert made.counts("score") == {("m.label", 12): 2, ("m.label", 49): 1}
    assert made.counts("class-score") == {("cat", "m.label", 1): 1, ("cat", "m.label", 4): 1}
    assert made.counts("tag") == {("cat",): 1, ("dog",): 1}
    assert made.counts("pair") == {("cat", "dog"): 1}


def test_without_a_class_file_every_label_is_a_class():
    made = Profile.of(rows({"label": "gnu"}))

    assert (made.counts("label"), made.counts("unknown")) == ({("gnu", "keep"): 1}, {})


def test_a_row_of_very_many_tags_is_counted_with_its_first():
    made = Profile.of(rows({"tags": [f"t{at:04d}" for at in range(1000, 0, -1)]}))

    assert len(made.counts("tag")) == 32
    assert ("t1000",) in made.counts("tag")
    assert len(made.counts("pair")) == 32 * 31 // 2


def test_no_rows_are_a_profile():
    empty = profile(night(1).slice(0, 0))

    assert empty == Profile.total([])
    assert (empty.rows, set(empty.shares.values())) == (0, {0.0})


def test_a_stored_profile_comes_back_as_it_was(tmp_path):
    made = profile(ROWS)
    pq.write_table(made.to_table(), tmp_path / "profile.parquet")

    assert Profile.from_table(pq.read_table(tmp_path / "profile.parquet")) == made


def test_a_table_that_is_no_profile_is_refused():
    with pytest.raises(SchemaError, match="must have the columns kind, name, name2, bin, count"):
        Profile.from_table(pa.table({"name": ["x"]}))
