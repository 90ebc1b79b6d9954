"""Approximate quantiles of a number in each class: mergeable, and small whatever the rows.

KLL sketches (Karnin, Lang, Liberty 2016, "Optimal Quantile Approximation in Streams") of Apache
DataSketches. They toss coins that no seed controls: two runs differ within the error, once a
class has more rows than a sketch holds. So they fit reports; the state of a cleaner, which must
come out the same twice, finds its quantiles with `numeric.select`, exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasketches import kll_floats_sketch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Quantiles:
    """One sketch per class, kept as bytes: plain arrays that are stored and sent as they are.

    Examples
    --------
    >>> value, label = np.array([0.1, 0.5, 0.9, 0.25]), np.array([0, 0, 0, 2])
    >>> some = Quantiles.of(value, label, 3)
    >>> some.merge(some).count.tolist(), some.quantile(0.5).tolist()
    ([6, 0, 2], [0.5, nan, 0.25])
    """

    size: int
    """The parameter of the sketches: a larger one holds more values and errs less."""
    offset: NDArray[np.int64]
    """`(k + 1,)` where the bytes of each class begin and end; none for a class without rows."""
    data: NDArray[np.uint8]
    """`(b,)` the serialised sketches, one after the other."""

    @classmethod
    def of(
        cls,
        value: NDArray[np.floating],
        label: NDArray[np.integer],
        num_classes: int,
        size: int = 200,
    ) -> "Quantiles":
        """Sketch a batch of `(n,)` numbers; NaN, and rows with a negative label, are left out."""
        seen = (label >= 0) & ~np.isnan(value)
        order = np.argsort(label[seen], kind="stable")
        number, kind = value[seen][order].astype(np.float32), label[seen][order]
        cuts = np.searchsorted(kind, np.arange(1, num_classes))
        sketches = [kll_floats_sketch(size) for _ in range(num_classes)]
        for sketch, part in zip(sketches, np.split(number, cuts), strict=True):
            sketch.update(part)
        return cls._of_sketches(size, sketches)

    @classmethod
    def _of_sketches(cls, size: int, sketches: Sequence[kll_floats_sketch]) -> "Quantiles":
        parts = [b"" if sketch.is_empty() else sketch.serialize() for sketch in sketches]
        offset = np.cumsum([0, *map(len, parts)])
        return cls(size, offset, np.frombuffer(b"".join(parts), np.uint8))

    def _sketches(self) -> list[kll_floats_sketch]:
        parts = np.split(self.data, self.offset[1:-1])
        return [
            kll_floats_sketch.deserialize(part.tobytes())
            if len(part)
            else kll_floats_sketch(self.size)
            for part in parts
        ]

    def merge(self, other: "Quantiles") -> "Quantiles":
        """Return the sketches of both sets of rows."""
        sketches = self._sketches()
        for sketch, more in zip(sketches, other._sketches(), strict=True):
            sketch.merge(more)
        return self._of_sketches(self.size, sketches)

    @property
    def count(self) -> NDArray[np.int64]:
        """Return the `(k,)` rows of each class, exactly."""
        return np.array([sketch.n for sketch in self._sketches()], np.int64)

    @property
    def rank_error(self) -> float:
        """Return by how much a rank in [0, 1] is off in less than one case of a hundred."""
        return float(kll_floats_sketch.get_normalized_rank_error(self.size, False))  # noqa: FBT003

    def quantile(self, rank: float) -> NDArray[np.float32]:
        """Return the `(k,)` numbers at a rank in [0, 1]; NaN for a class without rows."""
        found = [np.nan if s.is_empty() else s.get_quantile(rank) for s in self._sketches()]
        return np.array(found, np.float32)

    def rank(self, value: float) -> NDArray[np.float64]:
        """Return the `(k,)` shares of rows that are below a number; NaN likewise."""
        found = [np.nan if s.is_empty() else s.get_rank(value) for s in self._sketches()]
        return np.array(found, np.float64)
