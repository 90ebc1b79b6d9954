"""`separate`: images that lie apart from the corpus, in layers that noise has not touched.

After LSA (Albert et al. 2024, "An accurate detection is not all you need to combat label noise in
web-noisy datasets"). Two detectors that err differently take turns: a small loss says that a
label is learnable, a hyperplane in early-block features says that an image lies with the
clean ones. A row is suspect if both say so: the better detector alone would lose the simple,
valuable images on the wrong side of the plane.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import hashes, keys, labels, numbers, score, score_schema, vectors
from pipeline.contract import Amount, Count, Folds, Rows, Share
from pipeline.numeric.head import Head
from pipeline.numeric.irls import Plane
from pipeline.numeric.judged import Judged
from pipeline.numeric.mixture import Mixture
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.turns import (
    HALF,
    beyond,
    collision_entropy,
    count_sides,
    fit_entropy,
    fit_losses,
    flagged,
    flat_plane,
    given_loss,
    head_loss,
    refit_head,
    step_plane,
)
from pipeline.schema import EARLY, IMAGE, LABEL


@dataclass(frozen=True)
class Separated:
    """What `separate` has learned."""

    is_split: bool
    """Whether there was anything to separate; if not, the cleaner abstains."""
    uses_early: bool
    """Whether the features are those of the early block; else the image vectors."""
    plane: Plane
    """Learned from the small losses."""
    head: Head
    """Refitted with the rows beyond the plane relabelled."""
    loss: Mixture
    """Of the losses of the head."""
    entropy: Mixture
    """Of the collision entropies of rows that are not clean."""


@dataclass(frozen=True, kw_only=True)
class Separate:
    """Tells images that lie apart from the corpus, by small loss and by a hyperplane in turns."""

    name: ClassVar[str] = "separate"
    reads: ClassVar[tuple[str, ...]] = (
        *("uid", "image_hash", EARLY, IMAGE, LABEL),
        *("match.image", "match.impurity", "match.prediction", "match.confidence"),
    )
    adds: ClassVar[pa.Schema] = score_schema(
        "separate",
        ("loss", pa.float32(), "P(the loss is one of the large ones)"),
        ("plane", pa.float32(), "P(the image lies beyond the hyperplane)"),
        ("outlier", pa.float32(), "the smaller of the two: both detectors say so"),
        ("entropy", pa.float32(), "of prediction and label: 0 agree, 1/2 disagree, 1 no class"),
        ("kind", pa.int8(), "0 clean, 1 wrong label, 2 image of no class, by the entropy"),
    )

    rounds: Count = 2
    """How often the two detectors take turns."""
    flag: Share = 0.95
    """Probability of a large loss above which a row teaches the plane to reject."""
    penalty: Amount = 1.0
    """Weight of the squared slope of the plane, in rows."""
    steps: Count = 8
    """Newton steps of the plane."""
    shrinkage: Share = 0.1
    """Share of the sphere in the covariance of the head."""
    least_rows: Count = 20
    """Rows needed on either side of the plane; with fewer the cleaner abstains."""
    folds: Folds = 5
    """Parts that the head is fitted without, so that it never scores a row it has seen."""
    sample_rows: Count = 50_000
    """Rows that everything is learned from: two bytes for each number of their vectors, which is
    128 MB at 512 and 768 numbers, and 3.3 times as much while parts are merged."""

    def fit(self, rows: Rows) -> Separated:
        survey = partial(sample_batch, self.sample_rows)
        sample = rows.select(*self.reads).reduce(survey, Judged.merge).settled()
        flat = flat_plane(sample)
        losses, is_split = given_loss, True
        for _ in range(self.rounds):
            target = partial(flagged, losses, fit_losses(sample, losses), self.flag)
            sides = count_sides(sample, target)
            is_split, plane = bool(sides.min() >= self.least_rows), flat
            for _ in range(self.steps if is_split else 0):
                plane = step_plane(sample, target, sides, plane, self.penalty)
            moved = partial(beyond, plane if is_split else None)
            shape = (self.folds, len(rows.classes))
            head = refit_head(sample, moved, shape, self.shrinkage)
            losses = partial(head_loss, head)
        return Separated(
            is_split, sample.has_early, plane, head, fit_losses(sample, losses), fit_entropy(sample)
        )

    def score(self, state: Separated, batch: pa.Table) -> pa.Table:
        rows = read_judged(batch, len(batch))
        rows = rows if state.uses_early else rows.without_early()
        labelled = rows.label >= 0
        known = labelled & state.is_split & state.loss.is_split
        feature, present = rows.feature()
        large = state.loss.high(np.nan_to_num(head_loss(state.head, rows)))
        away = state.plane.beyond(feature)
        entropy = np.nan_to_num(collision_entropy(rows.wrong, rows.impurity))
        flat = state.entropy.high(entropy) > HALF
        kind = np.where(entropy < HALF, 0, np.where(flat, 2, 1)).astype(np.int8)
        columns = [
            score(large, known),
            score(away, present & state.is_split),
            score(np.minimum(large, away), known & present),
            score(entropy, labelled),
            pa.array(kind, mask=~labelled),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Separated) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Separated:
        return from_arrays(Separated, arrays)


def sample_batch(size: int, batch: pa.Table) -> Judged:
    """Return the `size` rows of a batch with the smallest hashes."""
    return read_judged(batch, size).sample()


def read_judged(batch: pa.Table, size: int) -> Judged:
    """Return the rows of a batch; of those merged with others, `size` are kept."""
    return Judged(
        size=size,
        hash=hashes(batch),
        key=keys(batch),
        label=labels(batch),
        image=vectors(batch, IMAGE)[0].astype(np.float16),
        early=vectors(batch, EARLY)[0].astype(np.float16),
        wrong=numbers(batch, "match.image"),
        impurity=numbers(batch, "match.impurity"),
        prediction=batch["match.prediction"].to_numpy().astype(np.int64),
        confidence=numbers(batch, "match.confidence"),
    )
