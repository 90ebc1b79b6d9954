"""The steps of several nights, read as if one run had made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.contract import Classes
from pipeline.errors import RecipeError
from pipeline.store.catalog import Catalog
from pipeline.store.nights import Night
from pipeline.store.rows import StoredRows
from pipeline.store.run import Run
from pipeline.store.workspace import Step, key_of


@dataclass(frozen=True)
class Patchwork:
    """One step of several nights."""

    steps: tuple[Step, ...]
    """One a night."""
    place: Mapping[str, int]
    """Which of them holds the fragments of a shard, by its identity."""

    @property
    def key(self) -> str:
        """What names all of it."""
        return key_of([step.key for step in self.steps])

    def read(self, fragment: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return columns of a fragment of any night."""
        return self.steps[self.place[fragment.partition("-")[0]]].read(fragment, columns)


def stitched(
    run: Run, catalog: Catalog, history: Sequence[Night], classes: Classes, wanted: Sequence[str]
) -> StoredRows:
    """Return the rows of all nights with the columns that their cleaners have added.

    Raises
    ------
    RecipeError
        If a night lacks a column that is wanted, or has cut its shards in another way.
    """
    held = [{column for kept in night.steps for column in kept.columns} for night in history]
    for night, columns in zip(history, held, strict=True):
        if lacking := [column for column in wanted if column not in columns]:
            raise RecipeError(
                f"night {night.name} has no {lacking[0]}: no cleaner of its recipe adds it; "
                "curate everything anew with --rescore scores"
            )
        if not set(night.fragments) <= set(catalog.identity):
            raise RecipeError(
                f"night {night.name} has fragments of {night.fragment_rows} rows: set "
                "source.fragment_rows to that, or curate everything anew with --rescore scores"
            )
    place = {shard.identity: at for at, night in enumerate(history) for shard in night.shards}
    steps = [
        (Patchwork(tuple(holding(run, night, column) for night in history), place), (column,))
        for column in history[0].columns
        if all(column in columns for columns in held)
    ]
    return StoredRows(run.engine, classes, tuple(catalog.identity), tuple(steps))


def holding(run: Run, night: Night, column: str) -> Step:
    """Return the step of a night that holds a column."""
    return run.workspace.named(next(k.name for k in night.steps if column in k.columns))
