"""Sums over nights: kept where they can be, and the same wherever they are kept."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contract import Classes
from pipeline.engine.local import LocalEngine
from pipeline.errors import SchemaError, ShardError
from pipeline.store.rows import StoredRows
from pipeline.store.totals import Totals

CLASSES = Classes(name=("cat",), embedding=np.ones((1, 4), np.float32))
ROWS = 3


@dataclass(frozen=True)
class Part:
    count: int
    column: dict[str, np.ndarray]

    def merge(self, other):
        joined = np.sort(np.concatenate([self.column["x"], other.column["x"]]))
        return Part(self.count + other.count, {"x": joined})


def part(batch):
    return Part(len(batch), {"x": batch["x"].to_numpy()})


def total(batch):
    return np.array([batch["x"].to_numpy().sum()])


def above(least, batch):
    return np.array([(batch["x"].to_numpy() > least).sum()])


def listed(batch):
    return batch["x"].to_pylist()


@pytest.fixture
def nights(run, tmp_path):
    """Returns the rows of so many nights, the last of which is tonight."""

    def fragment(night, number):
        return f"{night:016x}-{number * ROWS:09d}-{ROWS:05d}"

    def rows_of(night):
        step = run.workspace.step("embed", night)
        names = tuple(fragment(night, number) for number in range(2))
        for number, name in enumerate(names):
            x = 100.0 * night + 10 * number + np.arange(ROWS)
            if name not in step.done() and not Path(step.uri, "gone").exists():
                step.write(name, pa.table({"x": x, "fault": pa.nulls(ROWS, pa.string())}))
        later = run.workspace.step("later", night)
        rows = StoredRows(LocalEngine(), CLASSES, names, ((step, ("x", "fault")),))
        return rows, rows.beside(later, ("later.score",))

    def make(count, name="far"):
        made = [rows_of(night) for night in range(1, count + 1)]
        earlier = tuple(whole for _, whole in made[:-1])  # with what came after the fit
        folders = tuple(str(tmp_path / f"night-{n}") for n in range(1, count + 1))
        rows, _ = made[-1]
        return StoredRows(
            rows.engine, CLASSES, rows.fragments, rows.steps, earlier=earlier,
            totals=Totals(folders, name),
        ).select("x")  # fmt: skip

    def forget(night):
        step = run.workspace.step("embed", night)
        for path in Path(step.uri).glob("*.parquet"):
            path.unlink()
        Path(step.uri, "gone").touch()

    make.forget = forget
    return make


def test_a_sum_over_nights_is_that_over_all_rows(nights):
    for count in (1, 2, 3):
        found = nights(count).reduce(total, np.add)

        expected = sum(
            100.0 * n + 10 * k + r for n in range(1, count + 1) for k in (0, 1) for r in range(ROWS)
        )
        assert found.tolist() == [expected]


@pytest.mark.parametrize(("function", "merge"), [(total, np.add), (part, Part.merge)])
def test_the_rows_of_an_earlier_night_are_not_read_again(nights, function, merge):
    expected = nights(2).reduce(function, merge)
    nights.forget(1)
    nights.forget(2)

    found = nights(3).reduce(function, merge)

    if function is part:
        assert found.count == expected.count + 2 * ROWS
        assert found.column["x"][: expected.count].tolist() == expected.column["x"].tolist()
    else:
        assert found > expected


def test_another_function_goes_over_all_rows(nights):
    nights(1).reduce(partial(above, 101.5), np.add)
    same = nights(2).reduce(partial(above, 101.5), np.add)
    other = nights(2).reduce(partial(above, 211.5), np.add)

    assert same.tolist() == [4 + 6]
    assert other.tolist() == [1]
    nights.forget(1)
    with pytest.raises(ShardError, match="cannot open it: FileNotFoundError"):
        nights(2).reduce(partial(above, 5.0), np.add)


def test_what_is_no_array_is_not_kept_and_right_all_the_same(nights):
    for count in (1, 2):
        found = nights(count).reduce(listed, lambda a, b: a + b)

        assert len(found) == count * 2 * ROWS


def test_cleaners_keep_their_sums_apart(nights, tmp_path):
    nights(1, "one").reduce(total, np.add)
    nights(1, "two").reduce(total, np.add)

    names = sorted(path.name.partition("-")[0] for path in (tmp_path / "night-1").iterdir())
    assert names == ["one", "two"]


def test_a_damaged_sum_is_told(nights, tmp_path):
    nights(1).reduce(total, np.add)
    (state,) = (tmp_path / "night-1").glob("*/state.safetensors")
    state.write_bytes(state.read_bytes()[:-1] + b"?")

    with pytest.raises(SchemaError, match=r"is damaged .*delete the folder and run again"):
        nights(2).reduce(total, np.add)
