"""A bounded sample of labelled rows in two halves: what a head that must see rows is trained on."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import folds, hashes, keys, labels, vectors
from pipeline.numeric.bottom import Bottom, Columns
from pipeline.schema import IMAGE, LABEL

READS = ("uid", "image_hash", IMAGE, LABEL)
"""Columns that a sample is drawn from."""


def gather(size: int, batch: pa.Table) -> Bottom:
    """Return the sample of a batch: image and label of the rows that have both."""
    image, label = vectors(batch, IMAGE)[0], labels(batch)
    known = labelled(batch)
    column: Columns = {"image": image.astype(np.float16)[known], "label": label[known]}
    return Bottom.of(size, hashes(batch)[known], keys(batch)[known], column)


def parts(sample: Bottom) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the images, labels and halves of a sample."""
    half = (sample.hash % np.uint64(2)).astype(np.int64)
    return sample.column["image"].astype(np.float64), sample.column["label"], half


def halves(batch: pa.Table) -> NDArray[np.int64]:
    """Return the `(n,)` halves of the rows: copies of a picture are in one."""
    return folds(batch, 2)


def labelled(batch: pa.Table) -> NDArray[np.bool_]:
    """Return which of the `(n,)` rows have a label and an image vector."""
    return (labels(batch) >= 0) & vectors(batch, IMAGE)[1]
