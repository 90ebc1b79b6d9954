"""Curate crawls with planted faults by the default recipe and hold the ledger against the truth.

A crawl is a folder with `shards/*.tar`, `classes.csv` and `truth.parquet` (`key, shard,
true_label, label, fault`; fault is null for a clean row).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
from sklearn.metrics import roc_auc_score

from pipeline.curate import curate
from pipeline.engine.ray import RayEngine
from pipeline.progress import track
from pipeline.recipe import parse_recipe

SCORES = {
    "wrong-label": "match.label",
    "foreign-image": "match.outlier",
    "wrong-text": "match.caption",
}
NOISE = ("wrong-label", "foreign-image")


def report(crawls: Sequence[str], policy: str) -> None:
    """Print the figures of every crawl."""
    for crawl in crawls:
        with tempfile.TemporaryDirectory() as folder:
            figures = score(curated(Path(crawl), Path(folder), {"policy": policy}))
        print(f"crawl {crawl} ({policy}): " + ", ".join(f"{k} {v}" for k, v in figures.items()))


def curated(crawl: Path, folder: Path, settings: dict[str, Any]) -> pd.DataFrame:
    """Return the ledger of a crawl beside the truth; `_merge` says which rows are in both."""
    recipe = parse_recipe(
        {
            "source": {"path": str(crawl / "shards" / "*.tar")},
            "classes": str(crawl / "classes.csv"),
            **settings,
        }
    )
    outcome = curate(recipe, str(folder / "w"), str(folder / "o"), RayEngine(), track())
    ledger = ds.dataset(f"{outcome.output}/ledger", format="parquet").to_table().to_pandas()
    ledger["shard"] = ledger["shard"].str.rsplit("/", n=1).str[-1]
    truth = pd.read_parquet(crawl / "truth.parquet").drop(columns="label")
    return truth.merge(ledger, on=["shard", "key"], how="outer", indicator=True)


def score(rows: pd.DataFrame) -> dict[str, object]:
    """Return the figures of one crawl."""
    figures: dict[str, object] = {"lost or invented": int((rows["_merge"] != "both").sum())}
    for fault, column in SCORES.items():
        if (rows["fault"] == fault).any():
            figures[f"AUROC {column} {fault}"] = auroc(rows, fault, column)
    return figures | decisions(rows)


def auroc(rows: pd.DataFrame, fault: str, column: str) -> float:
    """Return the AUROC of a score for one fault against the clean rows."""
    chosen = rows[(rows["fault"].isna() | (rows["fault"] == fault)) & rows[column].notna()]
    return round(float(roc_auc_score(chosen["fault"] == fault, chosen[column])), 4)


def decisions(rows: pd.DataFrame) -> dict[str, object]:
    """Return F1 of label noise, the share of clean rows kept and that of labels mended."""
    clean, wrong = rows["fault"].isna(), rows["fault"] == "wrong-label"
    noisy = rows["fault"].isin(NOISE)
    flagged = rows["action"] != "keep"
    hits = int((flagged & noisy).sum())
    precision = hits / max(int((flagged & (noisy | clean)).sum()), 1)
    recall = hits / max(int(noisy.sum()), 1)
    mended = (rows["action"] == "relabel") & (rows["new_label"] == rows["true_label"])
    kept = float((rows["action"][clean] == "keep").mean())
    return {
        "F1": round(2 * precision * recall / max(precision + recall, 1e-9), 4),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "clean kept": round(kept, 4),
        "mended": round(float(mended[wrong].mean()) if wrong.any() else np.nan, 4),
    }
