"""The scores of `match` on CLIP embeddings that exist already: no encoder, no pictures.

A folder holds `image_embeddings.npy` and `text_embeddings.npy` (rows aligned) and `metadata.csv`.
A share of the captions is swapped between pictures (planted), then the whole way is run.
"""

import csv
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.progress import track
from pipeline.recipe import parse_recipe

SWAPPED = 0.2


def report(folder: str, classes: str) -> None:
    """Print how well swapped captions are found, against the plain cosine."""
    source = Path(folder)
    image = np.load(source / "image_embeddings.npy", allow_pickle=False)
    text = np.load(source / "text_embeddings.npy", allow_pickle=False)
    with open(source / "metadata.csv", newline="", encoding="utf-8") as file:
        num_rows = sum(1 for _ in csv.DictReader(file))
    if not num_rows == len(image) == len(text):
        raise SystemExit(f"{folder}: {num_rows} rows, {len(image)} and {len(text)} vectors")
    rng = np.random.default_rng(0)
    swapped = rng.permutation(num_rows)[: round(num_rows * SWAPPED)]
    text[swapped] = text[np.roll(swapped, 7)]
    truth = np.isin(np.arange(num_rows), swapped)
    ledger = curated(image, text, classes)
    score = ledger["match.caption"].to_numpy()
    cosine = np.einsum("nd,nd->n", image, text)
    cosine /= np.linalg.norm(image, axis=1) * np.linalg.norm(text, axis=1)
    print(
        f"vectors {folder}: matched cosine {cosine[~truth].mean():.3f}, swapped "
        f"{cosine[truth].mean():.3f}; AUROC match.caption {roc_auc_score(truth, score):.4f}, "
        f"plain cosine {roc_auc_score(truth, -cosine):.4f}; flagged {(score >= 0.5).sum()} "  # noqa: PLR2004
        f"of {truth.sum()} swapped"
    )


def curated(image: np.ndarray, text: np.ndarray, classes: str) -> pa.Table:
    """Return the ledger of a corpus of vectors, in row order."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        keys = [f"{i:05d}" for i in range(len(image))]
        captions = [f"caption {i}" for i in range(len(image))]
        pq.write_table(pa.table({"key": keys, "caption": captions}), folder / "rows.parquet")
        np.save(folder / "image.npy", image)
        np.save(folder / "text.npy", text)
        num_classes = len(np.load(classes, allow_pickle=False))
        names = "name\n" + "\n".join(f"class {k}" for k in range(num_classes))
        (folder / "classes.csv").write_text(names)
        recipe = parse_recipe(
            {
                "source": {"path": str(folder / "rows.parquet"), "label": "none"},
                "vectors": {
                    "image": str(folder / "image.npy"),
                    "text": str(folder / "text.npy"),
                    "classes": classes,
                },
                "classes": str(folder / "classes.csv"),
            }
        )
        made = curate(recipe, str(folder / "w"), str(folder / "o"), LocalEngine(), track())
        return ds.dataset(f"{made.output}/ledger", format="parquet").to_table()
