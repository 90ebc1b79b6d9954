"""Columns of a batch as arrays: what every cleaner reads first."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.numeric.pairs import Pairs
from pipeline.schema import IMAGE, LABEL, TEXT

Named = NDArray[np.float32]
"""`(k, d)` unit text prototypes of the classes."""


def read_pairs(batch: pa.Table, guess: Named | None = None) -> Pairs:
    """Return the image-text pairs of a batch.

    With `guess`, every label is the class whose name is nearest to the caption, or to the image
    of a row without one: for a corpus that has no labels.
    """
    image, text = vectors(batch, IMAGE)[0], vectors(batch, TEXT)[0]
    if not text.shape[1]:
        text = np.zeros_like(image)
    pairs = Pairs.of(keys(batch), hashes(batch), image, text, labels(batch))
    if guess is None:
        return pairs
    told = np.where(pairs.captioned[:, None], text, image)
    return replace(pairs, label=(told @ guess.T).argmax(axis=1))


def vectors(batch: pa.Table, column: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return `(n, d)` float32 rows, zeros where null, and which rows are not null."""
    array = batch[column].combine_chunks()
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_null(array.type):
        return np.zeros((len(array), 0), dtype=np.float32), valid
    rows = np.zeros((len(array), array.type.list_size), dtype=np.float32)
    rows[valid] = array.flatten().to_numpy(zero_copy_only=False).reshape(-1, rows.shape[1])
    return rows, valid


def labels(batch: pa.Table) -> NDArray[np.int64]:
    """Return `(n,)` classes, -1 where null."""
    return batch[LABEL].fill_null(-1).to_numpy().astype(np.int64)


def several(batch: pa.Table, column: str) -> NDArray[np.int64]:
    """Return `(n, s)` labels, padded with -1: those of a column of lists, or the label alone."""
    held = batch[column].combine_chunks()
    count = pc.list_value_length(held).fill_null(0).to_numpy()
    given = np.full((len(batch), max(int(count.max(initial=0)), 1)), -1, np.int64)
    given[:, 0] = labels(batch)
    given[np.arange(given.shape[1]) < count[:, None]] = held.flatten().to_numpy()
    return given


def hashes(batch: pa.Table) -> NDArray[np.uint64]:
    """Return the `(n,)` hashes of the images."""
    return batch["image_hash"].to_numpy().astype(np.uint64)


def folds(batch: pa.Table, num_folds: int) -> NDArray[np.int64]:
    """Return the `(n,)` folds of the rows: copies of a picture are in one."""
    return (hashes(batch) % np.uint64(num_folds)).astype(np.int64)


def keys(batch: pa.Table) -> NDArray[np.uint64]:
    """Return the first 64 bits of the `(n,)` uids."""
    joined = b"".join(batch["uid"].to_pylist())
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)[:, 0]


def numbers(batch: pa.Table, column: str) -> NDArray[np.float64]:
    """Return the `(n,)` values of a score column, NaN where null."""
    return batch[column].to_numpy().astype(np.float64)


def lists(batch: pa.Table, column: str) -> NDArray[Any]:
    """Return the `(n, m)` values of a column of lists of one length; 0 where the list is null."""
    array = batch[column].combine_chunks()
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    flat = array.flatten().to_numpy(zero_copy_only=False)
    rows = np.zeros((len(array), array.type.list_size), flat.dtype)
    rows[valid] = flat.reshape(-1, rows.shape[1])
    return rows


def vector_lists(value: NDArray[Any], size: int, missing: float) -> pa.Array:
    """Return `(n, m)` values as a column of lists of `size`, padded with `missing`."""
    padded = np.full((len(value), size), missing, value.dtype)
    padded[:, : value.shape[1]] = value[:, :size]
    return pa.FixedSizeListArray.from_arrays(pa.array(padded.ravel()), size)


def score(value: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return a score column: float32 in [0, 1], null where not `valid`."""
    column = np.clip(value, 0.0, 1.0).astype(np.float32)
    return pa.array(column, mask=None if valid is None else ~valid)


def score_schema(cleaner: str, *columns: tuple[str, pa.DataType, str]) -> pa.Schema:
    """Return the schema of a cleaner's columns from their names, types and meanings."""
    fields = [
        pa.field(f"{cleaner}.{name}", kind, metadata={"is": meaning})
        for name, kind, meaning in columns
    ]
    return pa.schema(fields)
