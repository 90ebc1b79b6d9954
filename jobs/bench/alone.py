"""What each cleaner adds: its own score of wrong labels, and all scores combined but its own.

    python -m jobs.bench alone CRAWL ...

A crawl is a folder as `jobs.bench crawl` takes it. Wrong labels are held against clean rows; F1 is
that of scores above one half.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.metrics import f1_score, roc_auc_score

from jobs.bench.crawl import curated
from pipeline.cleaners.combine import Combine
from pipeline.contract import Classes
from pipeline.engine.local import TableRows
from pipeline.policy.presets import PRESETS

CLEANERS = (
    *("match", "probe", "neighbours", "confident", "mixture", "early", "rescale", "compress"),
    *("similar", "propagate", "diffuse", "imprecise", "vote"),
)
HALF = 0.5


def report(crawls: Sequence[str]) -> None:
    """Print a table for each crawl."""
    for crawl in crawls:
        with tempfile.TemporaryDirectory() as folder:
            settings = {"cleaners": list(CLEANERS), "policy": PRESETS["balanced"]}
            rows = curated(Path(crawl), Path(folder), settings)
        rows = rows[rows["fault"].isna() | (rows["fault"] == "wrong-label")]
        print(f"alone {crawl}: {len(rows)} rows, {rows['fault'].notna().mean():.1%} wrong labels")
        print(f"{'':12}{'AUROC':>8}{'F1':>8}{'scored':>8}   combined without it: AUROC, F1")
        scores = [f"{name}.label" for name in CLEANERS if f"{name}.label" in rows]
        everything = combined(rows, scores)
        for score in scores:
            left = combined(rows, [other for other in scores if other != score])
            print(f"{score.split('.')[0]:12}{figures(rows, rows[score])}   {figures(rows, left)}")
        print(f"{'combined':12}{figures(rows, everything)}", flush=True)


def combined(rows: pd.DataFrame, scores: list[str]) -> pd.Series:
    """Return the column of `combine` over some scores."""
    cleaner = Combine(scores=tuple(scores))
    table = pa.table({name: pa.array(rows[name], pa.float32()) for name in scores})
    corpus = TableRows((table,), Classes(name=(), embedding=np.zeros((0, 0), np.float32)))
    added = cleaner.score(cleaner.fit(corpus), table)
    return pd.Series(added["combine.label"].to_numpy(zero_copy_only=False), index=rows.index)


def figures(rows: pd.DataFrame, score: pd.Series) -> str:
    """Return AUROC, F1 and the share of rows scored; an abstention counts as no suspicion."""
    wrong, known = rows["fault"].notna(), score.fillna(0.0)
    area, both = roc_auc_score(wrong, known), f1_score(wrong, known > HALF)
    return f"{area:8.4f}{both:8.3f}{score.notna().mean():8.2f}"
