from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contract import Classes
from pipeline.engine.local import LocalEngine, TableRows
from pipeline.store.clean import spread
from pipeline.store.rows import GROUP, StoredRows, in_order

NUM_FRAGMENTS = 2 * GROUP + 3
CLASSES = Classes(name=("cat",), embedding=np.ones((1, 4), np.float32))


def fragment_table(number):
    random = np.random.default_rng(number)
    count = number % 5
    fault = ["broken" if random.random() < 0.3 else None for _ in range(count)]
    return pa.table(
        {
            "n": pa.array(np.arange(count) + 100 * number, pa.int64()),
            "x": pa.array(random.random(count)),
            "fault": pa.array(fault, pa.string()),
        }
    )


@pytest.fixture
def tables():
    return {f"f-{number:02d}": fragment_table(number) for number in range(NUM_FRAGMENTS)}


@pytest.fixture
def stored(run, tables):
    left, right = run.workspace.step("left", {}), run.workspace.step("right", {})
    for name, table in tables.items():
        left.write(name, table.select(["n", "fault"]))
        right.write(name, table.select(["x"]))
    rows = StoredRows(LocalEngine(), CLASSES, tuple(tables), ())
    return rows.beside(left, ("n", "fault")).beside(right, ("x",))


@pytest.fixture
def in_memory(tables):
    readable = [t.filter(pa.compute.is_null(t["fault"])) for t in tables.values()]
    return TableRows(tuple(readable), CLASSES)


def as_list(table):
    return table.to_pylist()


def join(one, other):
    return [*one, *other]


def doubled(state, batch):
    return pa.table({"double.x": pa.array(batch["x"].to_numpy() * state)})


def test_a_reduction_is_that_of_rows_in_memory(stored, in_memory):
    for columns in (("n",), ("x", "n"), ("n", "fault")):
        expected = in_memory.select(*columns).reduce(as_list, join)

        assert expected == stored.select(*columns).reduce(as_list, join)


def test_sums_of_floats_agree_with_rows_in_memory(stored, in_memory):
    def total(table):
        return float(np.sum(table["x"].to_numpy()))

    expected = in_memory.reduce(total, lambda a, b: a + b)

    assert expected == pytest.approx(stored.reduce(total, lambda a, b: a + b), rel=1e-14)


def test_a_mapped_column_is_that_of_rows_in_memory(stored, in_memory):
    expected = in_memory.map(doubled, 2.0).reduce(as_list, join)
    found = stored.map(doubled, 2.0).reduce(as_list, join)

    assert expected == [dict(sorted(row.items(), key=lambda i: [*expected[0]].index(i[0])))
                        for row in found]  # fmt: skip


def test_a_map_after_a_selection_sees_what_was_selected(stored, in_memory):
    expected = in_memory.select("x").map(doubled, 3.0).reduce(as_list, join)

    assert expected == stored.select("x").map(doubled, 3.0).reduce(as_list, join)


def test_a_selection_after_a_map_keeps_the_selected_columns_only(stored, in_memory):
    expected = in_memory.map(doubled, 3.0).select("double.x").reduce(as_list, join)

    assert expected == stored.map(doubled, 3.0).select("double.x").reduce(as_list, join)


def test_cleaners_never_see_unreadable_rows(stored, tables):
    num_broken = sum(t["fault"].null_count < len(t) for t in tables.values())
    seen = stored.select("n", "fault").reduce(as_list, join)

    assert num_broken > 3
    assert {row["fault"] for row in seen} == {None}
    assert len(seen) == sum(table["fault"].null_count for table in tables.values())


def test_a_selection_without_the_fault_hides_unreadable_rows_too(stored):
    table = stored.select("x").read("f-09")

    assert table.schema.names == ["x"]
    assert len(table) == len(stored.select("x", "fault").read("f-09"))


def test_all_rows_are_there_for_those_who_ask_for_them(stored, tables):
    for name, table in tables.items():
        assert stored.stored(name, ["x", "fault", "n"]).equals(table.select(["x", "fault", "n"]))


def test_merging_has_the_same_order_on_every_engine(stored):
    class Backwards(LocalEngine):
        def each(self, function, items):
            yield from reversed(list(super().each(function, items)))

    def label(table):
        return str(len(table))

    def bracket(one, other):
        return f"({one} {other})"

    expected = stored.reduce(label, bracket)

    assert expected == replace(stored, engine=Backwards()).reduce(label, bracket)


def test_fragments_are_merged_in_groups_from_left_to_right(stored):
    found = stored.reduce(lambda table: [len(table)], join)

    assert found == [len(stored.read(name)) for name in stored.fragments]


def test_a_merge_may_change_its_first_argument(stored, in_memory):
    def grow(one, other):
        one.extend(other)
        return one

    expected = in_memory.select("n").reduce(as_list, join)

    assert expected == stored.select("n").reduce(as_list, grow)


def test_no_pass_starts_inside_a_task(stored):
    with pytest.raises(TypeError, match="cannot start a pass"):
        stored.detached().reduce(as_list, join)


def test_spreading_puts_rows_in_their_places_and_null_elsewhere():
    table = pa.table({"a": [1, 2], "b": pa.array(["x", None])})

    found = spread(table, np.array([False, True, False, True, False]))

    assert found.to_pylist() == [
        {"a": None, "b": None},
        {"a": 1, "b": "x"},
        {"a": None, "b": None},
        {"a": 2, "b": None},
        {"a": None, "b": None},
    ]


@pytest.mark.parametrize("num_rows", [0, 3])
def test_spreading_no_rows_gives_null_everywhere(num_rows):
    table = pa.table({"a": pa.array([], pa.float32())})

    found = spread(table, np.zeros(num_rows, bool))

    assert found["a"].to_pylist() == [None] * num_rows
    assert found.schema.equals(table.schema)


class Weighed:
    """A statistic of which we know how many there are."""

    alive = 0
    most = 0

    def __init__(self):
        Weighed.alive += 1
        Weighed.most = max(Weighed.most, Weighed.alive)

    def __del__(self):
        Weighed.alive -= 1


def test_a_pass_holds_few_statistics_however_many_fragments_there_are(run):
    step = run.workspace.step("many", {})
    names = [f"f-{number:03d}" for number in range(20 * GROUP)]
    for name in names:
        step.write(name, pa.table({"x": [1.0], "fault": pa.array([None], pa.string())}))
    rows = StoredRows(LocalEngine(), CLASSES, tuple(names), ()).beside(step, ("x", "fault"))

    rows.reduce(lambda _batch: Weighed(), lambda one, _other: one)

    assert Weighed.most <= 6  # one each of pass, group and fragment, and those that are merged in


@given(st.permutations(range(12)))
def test_results_are_put_in_order_as_soon_as_those_before_them_are_there(arrival):
    taken = []

    def results():
        for index in arrival:
            taken.append(index)
            yield index, f"value {index}"

    for place, value in enumerate(in_order(results())):
        assert value == f"value {place}"
        assert len(taken) == max(arrival.index(before) for before in range(place + 1)) + 1
