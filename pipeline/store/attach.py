"""Columns of cleaners that go into the json of every sample, beside what the ledger says of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.store.rows import StoredRows
from pipeline.store.workspace import Step


@dataclass(frozen=True)
class Attached:
    """The ledger of every fragment with more columns: read as the step that holds it."""

    decided: Step
    rows: StoredRows
    """The corpus with the columns of every cleaner."""
    columns: tuple[str, ...]
    """What is read beside the ledger."""

    @property
    def key(self) -> str:
        """The key of the ledger: the columns are what it was decided from."""
        return self.decided.key

    def read(self, fragment: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the ledger of a fragment, whole with the columns beside it."""
        table = self.decided.read(fragment, columns)
        more = [name for name in self.columns if name not in table.schema.names]
        if columns is not None or not more:
            return table
        beside = self.rows.stored(fragment, more)
        for name in more:
            table = table.append_column(name, beside[name])
        return table


def attach(decided: Step, rows: StoredRows, columns: tuple[str, ...]) -> Step | Attached:
    """Return the ledger with some columns of the cleaners, fit to travel into a task."""
    return Attached(decided, rows.detached(), columns) if columns else decided
