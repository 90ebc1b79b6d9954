"""What cleaners tell comes from their stored states."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest

from pipeline.contract import Classes
from pipeline.engine.local import LocalEngine
from pipeline.findings import Findings
from pipeline.store.clean import clean
from pipeline.store.findings import findings
from pipeline.store.patchwork import Patchwork
from pipeline.store.rows import StoredRows

CLASSES = Classes(name=("cat", "dog"), embedding=np.eye(2, 4, dtype=np.float32))
FRAGMENT = "s-000000000-00003"


@dataclass(frozen=True, kw_only=True)
class Silent:
    """Learns a mean and tells nothing."""

    name: ClassVar[str] = "silent"
    reads: ClassVar[tuple[str, ...]] = ("x",)
    adds: ClassVar[pa.Schema] = pa.schema([("silent.score", pa.float32())])

    def fit(self, rows):
        return rows.select("x").reduce(lambda t: max(t["x"].to_pylist()), max)

    def score(self, _state, batch):
        return pa.table({self.adds.names[0]: pa.array([0.0] * len(batch), pa.float32())})

    def dump(self, state):
        return {"most": np.array([state])}

    def load(self, arrays):
        return float(arrays["most"][0])


@dataclass(frozen=True, kw_only=True)
class Loud(Silent):
    """Tells what it has learned."""

    name: ClassVar[str] = "loud"
    adds: ClassVar[pa.Schema] = pa.schema([("loud.score", pa.float32())])

    def tell(self, state):
        return Findings(shares={"most": state})


@pytest.fixture
def rows(run):
    step = run.workspace.step("embed", {})
    step.write(FRAGMENT, pa.table({"x": [0.1, 0.2, 0.9], "fault": pa.nulls(3, pa.string())}))
    return StoredRows(LocalEngine(), CLASSES, (FRAGMENT,), ((step, ("x", "fault")),))


def test_only_cleaners_that_tell_are_asked_and_no_pass_is_made(run, rows):
    cleaners = (Silent(), Loud())
    for cleaner in cleaners:
        rows = clean(run, cleaner, rows, 3)
    timings = list(run.timings)

    told = findings(run, cleaners, replace(rows, engine=None))

    assert told == {"loud": Findings(shares={"most": 0.9})}
    assert run.timings == timings


def test_scores_of_several_nights_tell_nothing(run, rows):
    rows = clean(run, Loud(), rows, 3)
    *before, (step, columns) = rows.steps
    several = replace(rows, steps=(*before, (Patchwork((step,), {}), columns)))

    assert findings(run, [Loud()], several) == {}
