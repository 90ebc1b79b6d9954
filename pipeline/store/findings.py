"""What the cleaners of a run have learned, read from their stored states: no pass over rows."""

from collections.abc import Sequence
from typing import Any

from pipeline.contract import Cleaner
from pipeline.findings import Findings, Telling
from pipeline.store.rows import StoredRows
from pipeline.store.run import Run


def findings(run: Run, cleaners: Sequence[Cleaner[Any]], rows: StoredRows) -> dict[str, Findings]:
    """Return what each cleaner tells, by its name and in their order.

    Where scores are those of several nights, each has learned its own: there is no state of all,
    and nothing is told.
    """
    told = {}
    for cleaner in cleaners:
        if not isinstance(cleaner, Telling):
            continue
        step = rows.step_of(cleaner.adds.names[0])
        arrays = run.workspace.load_state(cleaner.name, step.key)
        if arrays is not None:
            told[cleaner.name] = cleaner.tell(cleaner.load(arrays))
    return told
