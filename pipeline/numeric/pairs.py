"""Image-text pairs as arrays."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.sample import Sample


@dataclass(frozen=True)
class Pairs:
    """The pairs of a batch.

    Examples
    --------
    >>> name, zero = np.arange(2, dtype=np.uint64), np.zeros(2, int)
    >>> pairs = Pairs.of(name, name, np.eye(2), np.array([[1.0, 0.0], [0.0, 0.0]]), zero)
    >>> pairs.captioned, pairs.fold(2)
    (array([ True, False]), array([0, 1]))
    """

    key: NDArray[np.uint64]
    """`(n,)` half of the uid."""
    hash: NDArray[np.uint64]
    """`(n,)` hash of the image."""
    image: NDArray[np.floating]
    """`(n, d)` unit rows."""
    text: NDArray[np.floating]
    """`(n, d)` unit rows; zeros where there is no caption."""
    captioned: NDArray[np.bool_]
    """`(n,)` whether there is a caption."""
    label: NDArray[np.int64]
    """`(n,)` class, -1 where there is none."""

    @classmethod
    def of(
        cls,
        key: NDArray[np.uint64],
        hash: NDArray[np.uint64],  # noqa: A002  # the field's name
        image: NDArray[np.floating],
        text: NDArray[np.floating],
        label: NDArray[np.int64],
    ) -> "Pairs":
        """Return pairs; a caption of zeros is none."""
        captioned = np.abs(text).max(axis=1, initial=0.0) > 0.0
        return cls(key, hash, image, text, captioned, label)

    @classmethod
    def sampled(cls, sample: Sample) -> "Pairs":
        """Return the pairs of a sample whose vectors are image and text side by side."""
        image, text = np.split(sample.vector.astype(np.float32), 2, axis=1)
        return cls.of(sample.key, sample.hash, image, text, sample.label)

    def take(self, rows: slice) -> "Pairs":
        """Return some of the pairs."""
        return Pairs(*(getattr(self, field.name)[rows] for field in fields(self)))

    def fold(self, num_folds: int) -> NDArray[np.int64]:
        """Return the `(n,)` folds of the rows: copies of a picture are in one."""
        return (self.hash % np.uint64(num_folds)).astype(np.int64)

    def text_hash(self) -> NDArray[np.uint64]:
        """Return `(n,)` hashes of the captions; rows without one share none."""
        bits = np.ascontiguousarray(self.text, np.float16).view(np.uint16).astype(np.uint64)
        odd = np.random.default_rng(0).integers(1, 2**63, bits.shape[1], np.uint64)
        hashed = (bits * (odd | np.uint64(1))).sum(axis=1, dtype=np.uint64)
        return np.where(self.captioned, hashed, self.key)
