import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contract import Classes
from pipeline.engine.local import LocalEngine, TableRows, beside
from pipeline.errors import ShardError

CLASSES = Classes(name=("cat",), embedding=np.ones((1, 2), np.float32))


@pytest.fixture
def rows():
    tables = (pa.table({"x": [1, 2], "y": ["a", "b"]}), pa.table({"x": [3], "y": ["c"]}))
    return TableRows(tables, CLASSES)


def doubled(state, batch):
    return pa.table({"double.x": [state * x for x in batch["x"].to_pylist()]})


def test_each_item_is_done_with_its_index():
    assert list(LocalEngine().each(lambda n: n * n, [3, 4])) == [(0, 9), (1, 16)]
    assert list(LocalEngine().each(len, [])) == []


def test_items_are_done_as_they_are_asked_for():
    done = []
    results = LocalEngine().each(done.append, [1, 2, 3])
    next(results)

    assert done == [1]


def test_a_stage_is_made_once_and_gets_what_was_prepared():
    made = []

    def make_stage():
        made.append("stage")
        return lambda item: f"<{item}>"

    found = list(LocalEngine().pipe(lambda n: n + 1, make_stage, [1, 2]))

    assert found == [(0, "<2>"), (1, "<3>")]
    assert made == ["stage"]


def test_no_stage_is_made_for_no_items():
    def make_stage():
        raise AssertionError("an encoder was loaded for nothing")

    assert list(LocalEngine().pipe(len, make_stage, [])) == []


def test_an_error_keeps_its_type():
    def fail(item):
        raise ShardError(f"{item} is gone; check the path")

    with pytest.raises(ShardError, match=r"a\.tar is gone"):
        list(LocalEngine().each(fail, ["a.tar"]))
    with pytest.raises(ShardError, match=r"a\.tar is gone"):
        list(LocalEngine().pipe(fail, lambda: len, ["a.tar"]))


def test_a_selection_keeps_rows_and_classes(rows):
    chosen = rows.select("y")

    assert [table.schema.names for table in chosen.tables] == [["y"], ["y"]]
    assert chosen.classes is CLASSES


def test_a_map_adds_columns(rows):
    mapped = rows.map(doubled, 10)

    assert [table["double.x"].to_pylist() for table in mapped.tables] == [[10, 20], [30]]
    assert mapped.tables[0].schema.names == ["x", "y", "double.x"]
    assert rows.tables[0].schema.names == ["x", "y"]


def test_a_reduction_merges_from_left_to_right(rows):
    found = rows.reduce(lambda table: str(len(table)), lambda a, b: f"({a} {b})")

    assert found == "(2 1)"


def test_columns_are_put_beside_with_their_types(rows):
    added = pa.table({"z": pa.array([1, None], pa.int8())})

    found = beside(rows.tables[0], added)

    assert found.schema.field("z").type == pa.int8()
    assert found["z"].to_pylist() == [1, None]


HANGS = """
import time
from pipeline.contract import Limits
from pipeline.engine.local import LocalEngine

def sleep(seconds):
    time.sleep(seconds)
    return seconds

engine = LocalEngine().within(Limits(fragment_s=1.5, tries=1, stall_s=60))
for index, result in engine.{how}:
    print(index, flush=True)
    time.sleep(2)  # what the caller does meanwhile is not the item's time
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "begun", "said"),
    [
        ("each(sleep, [0, 60])", "0\n", "sleep of int 1"),
        ("pipe(sleep, lambda: len, [60])", "", "sleep of int 0"),
        ("pipe(int, lambda: sleep, [60])", "", "sleep of int 0"),
    ],
)
def test_an_item_that_does_not_end_is_named_and_ends_the_process(how, begun, said):
    command = [sys.executable, "-c", HANGS.format(how=how)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (-signal.SIGKILL, begun)
    assert done.stderr.startswith(f"{said} has taken longer than limits.fragment_s 1.5 s")
