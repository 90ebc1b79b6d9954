"""Fit a cleaner once, score every fragment once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from pipeline.contract import Cleaner
from pipeline.errors import SchemaError
from pipeline.store.rows import StoredRows
from pipeline.store.run import Run
from pipeline.store.workspace import Step


def clean(run: Run, cleaner: Cleaner[Any], rows: StoredRows, num_rows: int) -> StoredRows:
    """Return `rows` with the columns of `cleaner`, from the workspace where they are known."""
    names = sorted(rows.classes.name), rows.fragments
    reads = [step for step, _ in rows.steps]
    step = run.workspace.step(cleaner.name, [asdict(cleaner), names], reads)
    arrays = run.workspace.load_state(cleaner.name, step.key)
    if arrays is None:
        # one thread: the same sums on every machine, and no fight with the workers for cores
        with run.step(f"fit {cleaner.name}", num_rows) as advance, threadpool_limits(1):
            arrays = dict(cleaner.dump(cleaner.fit(rows)))
            run.workspace.save_state(cleaner.name, step.key, arrays)
            advance(0)
            advance(num_rows)
    done = step.done()
    todo = [fragment for fragment in rows.fragments if fragment not in done]
    scorer = Scorer(cleaner, arrays, rows.detached(), step)
    with run.step(f"score {cleaner.name}", num_rows, step.uri) as advance, threadpool_limits(1):
        advance(num_rows if not todo else 0)
        for _, scored in run.engine.each(scorer, todo):
            advance(scored)
    return rows.beside(step, cleaner.adds.names)


@dataclass(frozen=True)
class Scorer:
    """Scores one fragment and commits it: null for rows that nobody could read."""

    cleaner: Cleaner[Any]
    arrays: Mapping[str, Any]
    rows: StoredRows
    step: Step

    def __call__(self, fragment: str) -> int:
        fault = self.rows.stored(fragment, ["fault"])["fault"].to_pylist()
        readable = np.array([f is None for f in fault], dtype=bool)
        batch = self.rows.select(*self.cleaner.reads).read(fragment)
        added = self.cleaner.score(self.cleaner.load(self.arrays), batch)
        if added.schema.names != self.cleaner.adds.names:
            raise SchemaError(
                f"cleaner {self.cleaner.name} must add {self.cleaner.adds.names}, "
                f"got {added.schema.names}"
            )
        self.step.write(fragment, spread(added, readable))
        return len(readable)


def spread(table: pa.Table, where: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Table:
    """Return a table of `len(where)` rows: those of `table` in order where true, else null."""
    index = np.where(where, np.cumsum(where) - 1, 0)
    return table.take(pa.array(index, mask=~where))
