"""Every cleaner on real human label noise, beside cleanlab and self-confidence.

    python -m jobs.bench noise cifar10_noisy_20k.parquet --image features.npy \
        --label noisy_aggre noisy_random2 --truth label

The parquet holds the labels, the npy one feature vector a row; there are no captions, so the names
of the classes say nothing and every cleaner judges by pictures and labels alone.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from pipeline.cleaners import CLEANERS
from pipeline.contract import Classes
from pipeline.engine.local import TableRows, beside
from pipeline.policy.presets import PRESETS
from pipeline.policy.rules import Relabel
from pipeline.schema import EARLY, IMAGE, LABEL, OPTIONAL, TEXT, vector

FRAGMENT_ROWS = 1024
HALF = 0.5
JUDGES = (
    *("match", "probe", "confident", "mixture", "early", "rescale", "compress", "similar"),
    *("propagate", "diffuse", "imprecise", "vote", "combine"),
)
"""Cleaners that judge labels."""


def report(path: str, image: str, truth: str, names: list[str], chosen: list[str]) -> None:
    """Print one table for each set of noisy labels."""
    table = pq.read_table(path)
    true = table[truth].to_numpy()
    feature = np.load(image, allow_pickle=False).astype(np.float32)
    feature /= np.maximum(np.linalg.norm(feature, axis=1, keepdims=True), 1e-12)
    for name in names:
        label = table[name].to_numpy()
        wrong = label != true
        print(f"{name}: {len(label)} rows, {wrong.mean():.1%} wrong labels")
        print(f"{'':28}{'AUROC':>7}{'prec.':>7}{'recall':>8}{'F1':>7}{'seconds':>9}")
        baseline(feature, label, wrong)
        scored(feature, label, wrong, chosen)


def baseline(
    feature: NDArray[np.float32], label: NDArray[np.int64], wrong: NDArray[np.bool_]
) -> None:
    """Print cleanlab's default filter, and self-confidence, on a 5-fold logistic probe."""
    started = time.perf_counter()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=1e-3))
    share = cross_val_predict(model, feature, label, cv=5, method="predict_proba")
    seconds = time.perf_counter() - started
    issue = find_label_issues(label, share)
    quality = get_label_quality_scores(label, share)
    line("5-fold logistic, cleanlab", wrong, 1 - quality, issue, seconds)


def scored(
    feature: NDArray[np.float32],
    label: NDArray[np.int64],
    wrong: NDArray[np.bool_],
    chosen: list[str],
) -> None:
    """Print every cleaner that judges labels, then every preset whose columns are there."""
    num_classes = int(label.max()) + 1
    empty = np.zeros((num_classes, feature.shape[1]), np.float32)
    classes = Classes(name=tuple(f"class {c}" for c in range(num_classes)), embedding=empty)
    table = tabulate(feature, label)
    done: dict[str, float] = {}
    for name in chosen:
        table = add(name, table, classes, done)
        column = f"{name}.label"
        if column in table.column_names:
            score = table[column].to_numpy()
            line(column, wrong, np.nan_to_num(score), score > HALF, done[name])
    for preset in PRESETS.values():
        if set(preset.reads) <= set(table.column_names):
            rules = [rule for rule in preset.rules if isinstance(rule, Relabel)]
            flagged = np.any([rule.fires(table) for rule in rules], axis=0)
            line(f"preset {preset.name}", wrong, None, flagged, None)


def add(name: str, table: pa.Table, classes: Classes, done: dict[str, float]) -> pa.Table:
    """Return the table with the columns of a cleaner, and of those that it reads."""
    for column in CLEANERS[name]().reads:
        before = column.split(".")[0]
        if before in CLEANERS and before not in done:
            table = add(before, table, classes, done)
    if name in done:
        return table
    cleaner, started = CLEANERS[name](), time.perf_counter()
    parts = tuple(
        table.slice(start, FRAGMENT_ROWS) for start in range(0, len(table), FRAGMENT_ROWS)
    )
    with threadpool_limits(1):
        state = cleaner.fit(TableRows(parts, classes))
        added = pa.concat_tables([cleaner.score(state, part) for part in parts])
    done[name] = time.perf_counter() - started
    return beside(table, added)


def tabulate(feature: NDArray[np.float32], label: NDArray[np.int64]) -> pa.Table:
    """Return the columns that the embed and label steps write; nothing has a caption."""
    num_rows, size = feature.shape
    rng = np.random.default_rng(0)
    flat = pa.array(feature.astype(np.float16).ravel())
    images = pa.FixedSizeListArray.from_arrays(flat, type=vector(size))
    columns: Mapping[str, Any] = {
        "uid": pa.array([rng.bytes(16) for _ in range(num_rows)], pa.binary(16)),
        "image_hash": pa.array(rng.integers(0, 2**63, num_rows).astype(np.uint64)),
        "caption": pa.nulls(num_rows, pa.string()),
        "fields": pa.array(["{}"] * num_rows),
        "width": pa.array([32] * num_rows, pa.int32()),
        "height": pa.array([32] * num_rows, pa.int32()),
        IMAGE: images,
        TEXT: pa.nulls(num_rows, vector(size)),
        EARLY: pa.nulls(num_rows, pa.null()),
        LABEL: pa.array(label.astype(np.int32)),
        **{name: pa.nulls(num_rows, kind) for name, kind in OPTIONAL.items()},
    }
    return pa.table(columns)


def line(
    name: str,
    wrong: NDArray[np.bool_],
    score: NDArray[np.floating] | None,
    flagged: NDArray[np.bool_],
    seconds: float | None,
) -> None:
    """Print one row of the table."""
    area = f"{roc_auc_score(wrong, score):.3f}" if score is not None else ""
    took = f"{seconds:.1f}" if seconds is not None else ""
    figures = [precision_score, recall_score, f1_score]
    found = [f"{figure(wrong, flagged, zero_division=0):.3f}" for figure in figures]
    print(f"{name:28}{area:>7}{found[0]:>7}{found[1]:>8}{found[2]:>7}{took:>9}", flush=True)
