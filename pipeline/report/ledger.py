"""A ledger table as counts and arrays."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.schema import is_score


def counts(table: pa.Table, *columns: str) -> Counter[Any]:
    """Return the number of rows per distinct tuple of values of `columns`; null is a value."""
    groups = table.group_by(list(columns), use_threads=False).aggregate([([], "count_all")])
    values = zip(*(groups[column].to_pylist() for column in columns), strict=True)
    return Counter(dict(zip(values, groups["count_all"].to_pylist(), strict=True)))


def exploded(table: pa.Table) -> pa.Table:
    """Return one row per row and distinct reason of a ledger table.

    Returns
    -------
    `at`, the position in `table`; `reason`; `num`, the distinct reasons of that row; `action`.
    """
    reasons = pa.concat_arrays([*table["reasons"].chunks, pa.array([], table["reasons"].type)])
    pairs = pa.table({"at": pc.list_parent_indices(reasons), "reason": pc.list_flatten(reasons)})
    pairs = pairs.group_by(["at", "reason"], use_threads=False).aggregate([])
    at = pairs["at"].to_numpy()
    num = np.bincount(at)[at] if len(at) else at
    pairs = pairs.append_column("num", pa.array(num, pa.int64()))
    return pairs.append_column("action", table["action"].take(pairs["at"]))


def scores(table: pa.Table) -> dict[str, NDArray[np.float64]]:
    """Return each score column; NaN is null."""
    return {
        field.name: table[field.name].to_numpy().astype(np.float64)
        for field in table.schema
        if is_score(field)
    }


def text_values(table: pa.Table, column: str) -> NDArray[np.object_]:
    """Return a string column as an object array; None is null."""
    return np.array(table[column].to_pylist() or [], dtype=object)
