"""A ledger table as counts and arrays."""

from collections import Counter
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.schema import SEPARATOR, is_score

SEVERAL: Final = "several labels"
NUM_BINS: Final = 50
"""Bins of a histogram of scores over [0, 1]; the last one is closed on both sides."""


def counts(table: pa.Table, *columns: str) -> Counter[Any]:
    """Return the number of rows per distinct tuple of values of `columns`; null is a value."""
    groups = table.group_by(list(columns), use_threads=False).aggregate([([], "count_all")])
    values = zip(*(groups[column].to_pylist() for column in columns), strict=True)
    return Counter(dict(zip(values, groups["count_all"].to_pylist(), strict=True)))


def by_class(table: pa.Table) -> pa.Table:
    """Return a ledger table that calls every label that is several `SEVERAL`.

    Sets of labels are as many as the rows, and no sum over a corpus could hold them. A class with
    a `SEPARATOR` in its name goes with them.

    Examples
    --------
    >>> by_class(pa.table({"label": ["cat", "cat|dog", None]}))["label"].to_pylist()
    ['cat', 'several labels', None]
    """
    label = table["label"].cast(pa.string())
    is_several = pc.fill_null(pc.match_substring(label, SEPARATOR), fill_value=False)
    place = table.column_names.index("label")
    return table.set_column(place, "label", pc.if_else(is_several, SEVERAL, label))


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


def bins(score: NDArray[np.float64], num_bins: int = NUM_BINS) -> NDArray[np.int64]:
    """Return the rows per bin of `(n,)` scores in [0, 1]; NaN is not counted.

    Examples
    --------
    >>> bins(np.array([0.0, 0.3, 1.0, np.nan]), 4).tolist()
    [1, 1, 0, 1]
    """
    place = np.clip(score[~np.isnan(score)] * num_bins, 0, num_bins - 1).astype(np.intp)
    return np.bincount(place, minlength=num_bins)
