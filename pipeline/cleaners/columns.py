"""Columns of a batch as arrays: what every cleaner reads first."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.schema import IMAGE, LABEL, TEXT


@dataclass(frozen=True)
class Pairs:
    """The image-text pairs of a batch, as arrays."""

    key: NDArray[np.uint64]
    """`(n,)` half of the uid."""
    hash: NDArray[np.uint64]
    """`(n,)` hash of the image."""
    image: NDArray[np.float32]
    """`(n, d)` unit rows."""
    text: NDArray[np.float32]
    """`(n, d)` unit rows; zeros where there is no caption."""
    captioned: NDArray[np.bool_]
    """`(n,)` whether there is a caption."""
    label: NDArray[np.int64]
    """`(n,)` class, -1 where there is none."""

    @classmethod
    def of(cls, batch: pa.Table) -> "Pairs":
        """Read the columns of a batch."""
        text, captioned = vectors(batch, TEXT)
        return cls(
            keys(batch), hashes(batch), vectors(batch, IMAGE)[0], text, captioned, labels(batch)
        )

    def fold(self, num_folds: int) -> NDArray[np.int64]:
        """Return the `(n,)` folds of the rows: copies of a picture are in one."""
        return (self.hash % np.uint64(num_folds)).astype(np.int64)

    def text_hash(self) -> NDArray[np.uint64]:
        """Return `(n,)` hashes of the captions; rows without one share none."""
        bits = np.ascontiguousarray(self.text, np.float16).view(np.uint16).astype(np.uint64)
        odd = np.random.default_rng(0).integers(1, 2**63, bits.shape[1], np.uint64)
        hashed = (bits * (odd | np.uint64(1))).sum(axis=1, dtype=np.uint64)
        return np.where(self.captioned, hashed, self.key)


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


def hashes(batch: pa.Table) -> NDArray[np.uint64]:
    """Return the `(n,)` hashes of the images."""
    return batch["image_hash"].to_numpy().astype(np.uint64)


def keys(batch: pa.Table) -> NDArray[np.uint64]:
    """Return the first 64 bits of the `(n,)` uids."""
    joined = b"".join(batch["uid"].to_pylist())
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)[:, 0]


def numbers(batch: pa.Table, column: str) -> NDArray[np.float64]:
    """Return the `(n,)` values of a score column, NaN where null."""
    return batch[column].to_numpy().astype(np.float64)


def score(value: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return a score column: float32 in [0, 1], null where not `valid`."""
    column = np.clip(value, 0.0, 1.0).astype(np.float32)
    return pa.array(column, mask=None if valid is None else ~valid)
