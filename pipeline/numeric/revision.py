"""What a first judgement of sampled pairs changes: which rows to trust, and which are clean."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.evidence import Evidence
from pipeline.numeric.heap import Heap
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.pairs import Pairs
from pipeline.numeric.reweigh import Drawn, reweigh
from pipeline.numeric.survey import Survey

HALF = 0.5
"""Where a probability turns from no to yes."""
BLOCK_ROWS = 4096
"""Rows judged at once: what is said of every class takes 200 bytes a row and class."""


@dataclass(frozen=True)
class Revision:
    """What the evidence says of `n` pairs.

    Foreign images weigh less; a caption that fits its label less than not is left out.
    """

    foreign: NDArray[np.float64]
    """`(n,)` probability that the image shows no class."""
    fits: NDArray[np.bool_]
    """`(n,)` whether the label and the caption are more likely right than not."""
    label: NDArray[np.int64]
    """`(n,)` class whose prototypes the row can be part of, -1 if of none."""
    distance: NDArray[np.float64]
    """`(n,)` of the enhanced caption and the name of the row's class, rounded."""

    @classmethod
    def of(cls, evidence: Evidence, pairs: Pairs) -> "Revision":
        """Judge pairs, some at a time."""
        starts = range(0, len(pairs.label), BLOCK_ROWS)
        parts = [_judged(evidence, pairs.take(slice(s, s + BLOCK_ROWS))) for s in starts]
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def moments(self, survey: Survey, pairs: Pairs) -> tuple[FoldMoments, FoldMoments]:
        """Return the moments of the corpus's images and captions, by what is trusted of `pairs`."""
        fold, told = pairs.fold(len(survey.image.count)), np.where(pairs.captioned, pairs.label, -1)
        familiar, fits = 1.0 - self.foreign, self.fits.astype(np.float64)
        return (
            reweigh(survey.image, Drawn(pairs.image, pairs.label, fold, familiar)),
            reweigh(survey.text, Drawn(pairs.text, told, fold, fits)),
        )

    def clean(self, pairs: Pairs, size: int, num_folds: int) -> Heap:
        """Return the `size` rows of each class with the least text distance, and their folds."""
        vector = np.column_stack([pairs.image, pairs.fold(num_folds)])
        name = (pairs.key, pairs.text_hash())
        return Heap.of(size, self.label, self.distance, name, vector)


def own_class(value: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.floating]:
    """Return the `(n,)` entries of `(n, k)` values at each row's own class."""
    return value[np.arange(len(label)), label]


def _judged(evidence: Evidence, pairs: Pairs) -> tuple[NDArray[np.generic], ...]:
    """Return the columns of a revision.

    A row is clean by its caption if its own class is the nearest one. A foreign image may have
    the best of captions: it is no picture of its class.
    """
    _, verdict = evidence.judge(pairs)
    fits = (own_class(verdict.posterior, pairs.label) > HALF) & (verdict.swapped < HALF)
    near = evidence.enhance(pairs) @ evidence.named.T
    is_own = (near.argmax(axis=1) == pairs.label) & (np.abs(near).max(axis=1) > 0.0)
    is_own &= verdict.foreign < HALF
    distance = (1.0 - own_class(near, pairs.label)).round(6)
    return verdict.foreign, fits, np.where(is_own, pairs.label, -1), distance
