"""From scores to decisions: one ledger row per input row, with every reason."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.policy.rules import Choose, Policy, Relabel, flag, numbers
from pipeline.schema import ANSWERED, LABEL, LEDGER


def decide(policy: Policy, table: pa.Table, class_names: Sequence[str]) -> pa.Table:
    """Return the ledger of a fragment.

    Parameters
    ----------
    policy
        Its rules are asked in order; drop outweighs relabel, quarantine outweighs both. No rule
        doubts the label of a row that was answered.
    table
        All rows of the fragment, unreadable ones included: `uid, key, shard, row, extension,
        caption, fault, label, label.text, label.candidates, label.answered` and the score columns.
    class_names
        `k` names that labels index.

    Returns
    -------
    The columns of `schema.LEDGER`, then the scores: `n` rows in the same order.
    """
    num_rows = len(table)
    reasons: list[list[str]] = [[] for _ in range(num_rows)]
    dropped = np.zeros(num_rows, bool)
    new_label = np.full(num_rows, -1)
    for rule in policy.rules:
        fires = rule.fires(table)
        if isinstance(rule, Relabel):
            fires = fires & ~flag(table, ANSWERED)
        for i in np.flatnonzero(fires):
            reasons[i].append(rule.reason)
        if isinstance(rule, Choose | Relabel):
            fires &= ~relabel(rule, table, fires, new_label)
        dropped |= fires
    action = np.where(dropped, "drop", np.where(new_label >= 0, "relabel", "keep")).astype(object)
    faults = table["fault"].to_pylist()
    for row, fault in enumerate(faults):
        if fault is not None:
            action[row], reasons[row] = "quarantine", [fault]
    given = {
        "action": pa.array(action.tolist(), pa.string()),
        "label": label_names(table, class_names),
        "new_label": pa.array(
            [
                class_names[k] if a == "relabel" else None
                for k, a in zip(new_label, action, strict=True)
            ],
            pa.string(),
        ),
        "weight": weights(policy, table, action),
        "reasons": pa.array(reasons, LEDGER.field("reasons").type),
    }
    columns = {
        f.name: given.get(f.name, table[f.name] if f.name in table.schema.names else None)
        for f in LEDGER
    }
    scores = {name: table[name] for name in table.schema.names if is_cleaned(name)}
    return pa.table(columns | scores)


def relabel(
    rule: Choose | Relabel, table: pa.Table, fires: NDArray[np.bool_], new_label: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Write the prediction into `new_label` where the rule fires and is sure; return where."""
    prediction = numbers(table, rule.prediction, -1).astype(int)
    label = numbers(table, LABEL, -1).astype(int)
    sure = fires & rule.is_sure(table) & (prediction >= 0) & (prediction != label)
    new_label[sure] = prediction[sure]
    return sure


def label_names(table: pa.Table, class_names: Sequence[str]) -> pa.Array:
    """Return the class name of every label; a label that is no class stays as it was crawled."""
    crawled = table["label.text"].to_pylist()
    index = table[LABEL].to_pylist()
    return pa.array(
        [text if k is None else class_names[k] for k, text in zip(index, crawled, strict=True)],
        pa.string(),
    )


def weights(policy: Policy, table: pa.Table, action: NDArray[np.object_]) -> pa.Array:
    """Return the training weight of every row: 0 for what is not emitted."""
    sure = np.ones(len(table))
    if policy.weight is not None:
        sure = np.where(flag(table, ANSWERED), 1.0, 1.0 - numbers(table, policy.weight, 0.0))
    weight = np.select([action == "keep", action == "relabel"], [sure, 1.0], 0.0)
    return pa.array(weight.astype(np.float32))


def is_cleaned(column: str) -> bool:
    """Say whether a column is a cleaner's: `<cleaner>.<what>`."""
    return "." in column and not column.startswith(("embedding.", "label."))
