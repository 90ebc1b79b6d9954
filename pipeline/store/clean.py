"""Fit a cleaner once, score every fragment once."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from pipeline.contract import Cleaner, Merging, Parted
from pipeline.errors import SchemaError, ShardError
from pipeline.store.rows import StoredRows
from pipeline.store.run import Run
from pipeline.store.workspace import Step, num_promised


def clean(run: Run, cleaner: Cleaner[Any], rows: StoredRows, num_rows: int) -> StoredRows:
    """Return `rows` with the columns of `cleaner`, from the workspace where they are known."""
    if rows.totals is not None:
        rows = replace(rows, totals=replace(rows.totals, name=cleaner.name))
    parts = cleaner.parts_for(rows.num_rows) if isinstance(cleaner, Parted) else (cleaner,)
    cleaned = rows
    for number, part in enumerate(parts, start=1):
        title = part.name if len(parts) == 1 else f"{part.name} {number} of {len(parts)}"
        step = fit_and_score(run, part, cleaned, num_rows, title)
        cleaned = rows.beside(step, part.adds.names)
    return cleaned


def fit_and_score(
    run: Run, cleaner: Cleaner[Any], rows: StoredRows, num_rows: int, title: str
) -> Step:
    """Return the step with the columns of a cleaner, or of one part of it."""
    prototypes = hashlib.blake2b(rows.classes.embedding.tobytes(), digest_size=8).hexdigest()
    corpus = [rows.classes.name, prototypes, rows.identity]
    reads = [step for step, _ in rows.steps]
    step = run.workspace.step(cleaner.name, [asdict(cleaner), corpus], reads)
    arrays = run.workspace.load_state(cleaner.name, step.key)
    if arrays is None:
        # one thread: the same sums on every machine, and no fight with the workers for cores
        with run.step(f"fit {title}", num_rows) as advance, threadpool_limits(1):
            fitted = cleaner.dump(fit(run, cleaner, rows))
            run.workspace.save_state(cleaner.name, step.key, fitted)
            # read back: a run that is continued scores with the very same arrays
            arrays = run.workspace.load_state(cleaner.name, step.key) or {}
            advance(0)
            advance(num_rows)
    done = step.done()
    todo = [fragment for fragment in rows.fragments if fragment not in done]
    scorer = Scorer(cleaner, arrays, rows.detached(), step)
    with run.step(f"score {title}", num_rows, step.uri) as advance, threadpool_limits(1):
        advance(num_rows - num_promised(todo))
        for _, scored in run.engine.each(scorer, todo):
            advance(scored)
    return step


def fit(run: Run, cleaner: Cleaner[Any], rows: StoredRows) -> Any:
    """Return what a cleaner learns from tonight's rows and from those of the nights before.

    One that can merge what it knew with what it learns tonight never sees an earlier row again.
    """
    if not (rows.earlier and isinstance(cleaner, Merging)):
        return cleaner.fit(rows)
    step = rows.earlier[-1].step_of(cleaner.adds.names[0])
    before = run.workspace.load_state(cleaner.name, step.key)
    if before is None:
        raise ShardError(
            f"state {cleaner.name}-{step.key} of the night before must lie in the workspace, it "
            "does not; curate anew with --rescore scores"
        )
    return cleaner.merge(cleaner.load(before), cleaner.fit(rows.alone()))


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
        check_added(self.cleaner, added, len(batch))
        self.step.write(fragment, spread(added, readable))
        return len(readable)


def check_added(cleaner: Cleaner[Any], added: pa.Table, num_rows: int) -> None:
    """Check that a cleaner has added what it says, in every row, and no NaN.

    Raises
    ------
    SchemaError
        If it has not: the cleaner has a fault.
    """
    name, wanted = cleaner.name, cleaner.adds
    if added.schema.names != wanted.names:
        raise SchemaError(f"cleaner {name} must add {wanted.names}, got {added.schema.names}")
    if added.schema.types != wanted.types:
        raise SchemaError(f"cleaner {name} must add {wanted.types}, got {added.schema.types}")
    if len(added) != num_rows:
        raise SchemaError(f"cleaner {name} must score {num_rows} rows, got {len(added)}")
    for field in wanted:
        if pa.types.is_floating(field.type) and pc.any(pc.is_nan(added[field.name])).as_py():
            raise SchemaError(f"cleaner {name} has written NaN into {field.name}; null abstains")


def spread(table: pa.Table, where: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Table:
    """Return a table of `len(where)` rows: those of `table` in order where true, else null."""
    index = np.where(where, np.cumsum(where) - 1, 0)
    return table.take(pa.array(index, mask=~where))
