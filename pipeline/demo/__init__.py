"""The bundled crawl: rendered emoji with planted faults, and the truth about them."""

from collections import Counter
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq

ROOT = Path(str(resources("pipeline.demo")))
SHARDS = ROOT / "shards"
CLASSES = ROOT / "classes.csv"
TRUTH = ROOT / "truth.parquet"


@dataclass(frozen=True)
class Found:
    """What became of the rows with one planted fault (None: the clean rows)."""

    fault: str | None
    rows: int
    actions: Counter[str]
    right: int
    """Rows that were relabelled to their true label."""


def compare(output: str) -> list[Found]:
    """Hold the ledger of an output against the truth: the clean rows, then each planted fault."""
    truth = {(row["shard"], row["key"]): row for row in pq.read_table(TRUTH).to_pylist()}
    columns = ["shard", "key", "action", "new_label"]
    ledger = ds.dataset(f"{output}/ledger", format="parquet").to_table(columns).to_pylist()
    groups: dict[str | None, list[tuple[Any, Any]]] = {}
    for row in ledger:
        planted = truth[row["shard"].rsplit("/", 1)[-1], row["key"]]
        groups.setdefault(planted["fault"], []).append((row, planted))
    return [
        Found(
            fault,
            len(pairs),
            Counter(row["action"] for row, _ in pairs),
            sum(
                row["action"] == "relabel" and row["new_label"] == planted["true_label"]
                for row, planted in pairs
            ),
        )
        for fault, pairs in sorted(groups.items(), key=lambda item: item[0] or "")
    ]
