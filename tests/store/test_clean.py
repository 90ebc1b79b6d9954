from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contract import Classes
from pipeline.engine.local import LocalEngine
from pipeline.errors import FitError, SchemaError
from pipeline.store.clean import clean
from pipeline.store.rows import StoredRows

CLASSES = Classes(name=("cat", "dog"), embedding=np.eye(2, 4, dtype=np.float32))
A, B, C = "s-000000000-00003", "s-000000003-00002", "s-000000005-00001"
FITS: list[str] = []


@dataclass(frozen=True, kw_only=True)
class Far:
    """Suspects what is far from the mean."""

    reach: float = 10.0

    name: ClassVar[str] = "far"
    reads: ClassVar[tuple[str, ...]] = ("x",)
    adds: ClassVar[pa.Schema] = pa.schema([("far.score", pa.float32())])

    def fit(self, rows):
        FITS.append(self.name)
        total, count = rows.select("x").reduce(
            lambda t: (sum(t["x"].to_pylist()), len(t)), lambda a, b: (a[0] + b[0], a[1] + b[1])
        )
        if not count:
            raise FitError("far needs a row")
        return total / count

    def score(self, state, batch):
        gap = np.abs(batch["x"].to_numpy() - state) / self.reach
        return pa.table({"far.score": gap.astype(np.float32)})

    def dump(self, state):
        return {"mean": np.array([state])}

    def load(self, arrays):
        return float(arrays["mean"][0])


@dataclass(frozen=True, kw_only=True)
class Next(Far):
    """Reads what another cleaner has added."""

    name: ClassVar[str] = "next"
    reads: ClassVar[tuple[str, ...]] = ("x", "far.score")
    adds: ClassVar[pa.Schema] = pa.schema([("next.score", pa.float32())])

    def score(self, _state, batch):
        return pa.table({"next.score": batch["far.score"]})


@dataclass(frozen=True, kw_only=True)
class Turns(Far):
    """Adds one to what the part before has added, three times."""

    turn: int = 0

    name: ClassVar[str] = "turns"
    adds: ClassVar[pa.Schema] = pa.schema([("turns.score", pa.float32())])

    @property
    def reads(self):
        return ("x", "turns.score") if self.turn else ("x",)

    def parts_for(self, num_rows):
        return tuple(Turns(turn=turn) for turn in range(num_rows // 2))

    def score(self, _state, batch):
        assert ("turns.score" in batch.column_names) == bool(self.turn)
        before = batch["turns.score"].to_numpy() if self.turn else np.zeros(len(batch))
        return pa.table({"turns.score": (before + 1.0).astype(np.float32)})


def wrong(answer):
    @dataclass(frozen=True, kw_only=True)
    class Wrong(Far):
        def score(self, _state, batch):
            return answer(batch)

    return Wrong()


@pytest.fixture
def rows(run):
    step = run.workspace.step("embed", {})
    step.write(A, pa.table({"x": [1.0, 2.0, 9.0], "fault": pa.array([None, None, "broken"])}))
    step.write(B, pa.table({"x": [7.0, 3.0], "fault": pa.array(["broken"] * 2)}))
    step.write(C, pa.table({"x": [3.0], "fault": pa.array([None], pa.string())}))
    FITS.clear()
    return StoredRows(LocalEngine(), CLASSES, (A, B, C), ((step, ("x", "fault")),))


def scores(rows, column="far.score"):
    return [rows.stored(name, [column])[column].to_pylist() for name in rows.fragments]


def test_quarantined_rows_have_no_say_and_no_score(run, rows):
    cleaned = clean(run, Far(), rows, 6)

    expected = [[np.float32(0.1), 0.0, None], [None, None], [np.float32(0.1)]]
    assert scores(cleaned) == expected


def test_a_cleaner_is_fitted_once(run, rows):
    first = clean(run, Far(), rows, 6)
    again = clean(run, Far(), rows, 6)

    assert FITS == ["far"]
    assert scores(again) == scores(first)


def test_a_state_is_reused_when_scores_are_lost(run, rows, tmp_path):
    first = clean(run, Far(), rows, 6)
    expected = scores(first)
    (lost,) = (tmp_path / "workspace").rglob(f"far-*/{B}.parquet")
    lost.unlink()

    again = clean(run, Far(), rows, 6)

    assert FITS == ["far"]
    assert scores(again) == expected


def test_another_setting_or_corpus_is_fitted_anew(run, rows):
    clean(run, Far(), rows, 6)
    clean(run, Far(reach=5.0), rows, 6)
    clean(run, Far(), replace(rows, fragments=(A, C)), 4)

    assert FITS == ["far"] * 3


@pytest.mark.parametrize(
    "classes",
    [
        Classes(name=("cat", "cow"), embedding=CLASSES.embedding),
        Classes(name=("cat", "dog"), embedding=CLASSES.embedding[:, ::-1].copy()),
    ],
    ids=["other names", "other prototypes"],
)
def test_other_classes_are_fitted_anew(run, rows, classes):
    clean(run, Far(), rows, 6)
    clean(run, Far(), replace(rows, classes=classes), 6)

    assert FITS == ["far"] * 2


def test_a_cleaner_reads_what_an_earlier_one_added(run, rows):
    cleaned = clean(run, Next(), clean(run, Far(), rows, 6), 6)

    assert scores(cleaned, "next.score") == scores(cleaned)


def test_another_setting_of_an_earlier_cleaner_counts(run, rows):
    one = clean(run, Next(), clean(run, Far(), rows, 6), 6)
    two = clean(run, Next(), clean(run, Far(reach=1.0), rows, 6), 6)

    assert scores(one, "next.score") != scores(two, "next.score")


def test_a_state_passes_through_its_file(run, rows):
    @dataclass(frozen=True, kw_only=True)
    class Forgets(Far):
        def load(self, _arrays):
            return 0.0

    assert scores(clean(run, Forgets(), rows, 6))[2] == [np.float32(0.3)]


def test_wrong_columns_are_a_schema_error(run, rows):
    misnamed = wrong(lambda batch: pa.table({"far.wrong": batch["x"]}))

    with pytest.raises(SchemaError, match=r"far must add \['far.score'\], got \['far.wrong'\]"):
        clean(run, misnamed, rows, 6)


@pytest.mark.parametrize("size", [-1, 1])
def test_a_wrong_number_of_rows_is_a_schema_error(run, rows, size):
    def resized(batch):
        return pa.table({"far.score": pa.array([0.5] * max(len(batch) + size, 0), pa.float32())})

    with pytest.raises(SchemaError, match="far"):
        clean(run, wrong(resized), rows, 6)


def test_a_wrong_type_is_a_schema_error(run, rows):
    text = wrong(lambda batch: pa.table({"far.score": pa.array(["x"] * len(batch))}))

    with pytest.raises(SchemaError, match="far"):
        clean(run, text, rows, 6)


def test_nan_is_a_schema_error(run, rows):
    def undefined(batch):
        return pa.table({"far.score": pa.array([float("nan")] * len(batch), pa.float32())})

    with pytest.raises(SchemaError, match=r"far\.score"):
        clean(run, wrong(undefined), rows, 6)


def test_an_error_of_a_fit_is_handed_on_and_leaves_no_state(run, rows):
    empty = replace(rows, fragments=(B,))

    for _ in range(2):
        with pytest.raises(FitError, match="needs a row"):
            clean(run, Far(), empty, 2)


def test_progress_tells_what_was_reused(run, rows):
    clean(run, Far(), rows, 6)
    clean(run, Far(), rows, 6)

    assert [(t.name, t.rows, t.reused) for t in run.timings] == [
        ("fit far", 6, 0),
        ("score far", 6, 0),
        ("score far", 6, 6),
    ]


def test_progress_tells_what_was_reused_of_a_step_that_was_cut_short(run, rows, tmp_path):
    clean(run, Far(), rows, 6)
    (lost,) = (tmp_path / "workspace").rglob(f"far-*/{B}.parquet")
    lost.unlink()

    clean(run, Far(), rows, 6)

    assert run.timings[-1].reused == 4


def test_every_part_reads_what_the_one_before_has_added(run, rows):
    cleaned = clean(run, Turns(), rows, 6)

    assert scores(cleaned, "turns.score") == [[3.0, 3.0, None], [None, None], [3.0]]
    assert [held for _, held in cleaned.steps] == [("x", "fault"), ("turns.score",)]
    assert [t.name for t in run.timings] == [
        f"{verb} turns {turn} of 3" for turn in (1, 2, 3) for verb in ("fit", "score")
    ]


def test_parts_go_on_where_they_were_cut_short(run, rows, tmp_path):
    first = clean(run, Turns(), rows, 6)
    expected, fits = scores(first, "turns.score"), len(FITS)
    last = first.step_of("turns.score")
    for path in (tmp_path / "workspace").rglob(f"turns-{last.key}/*"):
        path.unlink()
    run.timings.clear()

    again = clean(run, Turns(), rows, 6)

    assert scores(again, "turns.score") == expected
    assert len(FITS) == fits + 1
    assert [t.name for t in run.timings] == [
        *("score turns 1 of 3", "score turns 2 of 3", "fit turns 3 of 3", "score turns 3 of 3")
    ]
    assert [t.reused for t in run.timings] == [6, 6, 0, 0]


def test_the_parts_are_as_many_as_the_rows_of_all_nights_need(run, rows):
    tonight, before = replace(rows, fragments=(C,)), replace(rows, fragments=(A, B))

    cleaned = clean(run, Turns(), replace(tonight, earlier=(before,)), 1)

    assert scores(cleaned, "turns.score") == [[3.0]]


def test_a_column_that_the_nights_before_lack_is_told_with_the_remedy(run, rows):
    tonight, before = replace(rows, fragments=(C,)), replace(rows, fragments=(A, B))
    tonight = clean(run, Far(), tonight, 1)  # not in the recipe of the night before

    with pytest.raises(SchemaError, match=r"column far\.score, .*--rescore scores"):
        tonight.as_here(before).select("far.score").read(A)
