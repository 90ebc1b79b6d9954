"""`tags`: which labels of a row are wrong, where each of several is claimed.

One pass sums moments per fold and tag; for every tag a discriminant against the rows without it
is solved from the total minus the fold, as `probe` does for classes that exclude one another.
How much to shrink, how sharp to be, how many tags are given at random (the frequent ones more
often, or all alike) and how many true ones are not given is what explains the given tags best: no
truth is needed. A row with one label only is judged by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import folds, hashes, keys, score, score_schema, several, vectors
from pipeline.contract import Count, Folds, Rows
from pipeline.findings import Findings
from pipeline.numeric.bottom import Bottom, Columns
from pipeline.numeric.given import narrowed, widened
from pipeline.numeric.lda import FoldLda
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.tag_moments import TagMoments, tag_discriminants, tag_spreads
from pipeline.numeric.tag_noise import TagNoise, fit_noise
from pipeline.schema import CLAIMED, IMAGE, LABEL, MAX_LABELS

SHRINKAGES = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Shares of the sphere in the covariance that are tried."""
MOST_CELLS = 2_000_000
"""Pairs of a row and a tag on which they are tried."""
HALF = 0.5
"""From which probability on a tag counts as wrong."""


@dataclass(frozen=True)
class Survey:
    """Sums over the tagged rows, and a bounded sample of them."""

    moments: TagMoments
    sample: Bottom

    def merge(self, other: "Survey") -> "Survey":
        """Return the sums over both sets of rows."""
        return Survey(self.moments.merge(other.moments), self.sample.merge(other.sample))


@dataclass(frozen=True)
class Tagged:
    """What `tags` has learned."""

    lda: FoldLda
    """The discriminants of every fold and tag."""
    noise: TagNoise
    is_fitted: bool
    """Whether there were labels; if not, the cleaner abstains."""


@dataclass(frozen=True, kw_only=True)
class Tags:
    """Finds wrong ones among several labels of a row, by one-against-the-rest discriminants."""

    name: ClassVar[str] = "tags"
    reads: ClassVar[tuple[str, ...]] = ("uid", "image_hash", IMAGE, LABEL, CLAIMED)
    adds: ClassVar[pa.Schema] = score_schema(
        "tags",
        ("label", pa.float32(), "P(wrong) of the most doubted label of the row; null without one"),
        ("worst", pa.int32(), "that label"),
        ("wrong", pa.list_(pa.int32()), "the labels that are likelier wrong than right"),
    )

    folds: Folds = 5
    """Parts that discriminants are fitted without, so that none scores a row it has seen."""
    sample_rows: Count = 8_000
    """Rows on which shrinkage, sharpness and noise are chosen."""

    def fit(self, rows: Rows) -> Tagged:
        num_tags = len(rows.classes)
        survey = rows.select(*self.reads).reduce(partial(self._survey, num_tags), Survey.merge)
        spread, prior = tag_spreads(survey.moments), survey.moments.prior
        few = slice(0, max(MOST_CELLS // max(num_tags, 1), 1))
        image = survey.sample.column["image"][few].astype(np.float32)
        given = narrowed(survey.sample.column["given"][few])
        fold = (survey.sample.hash[few] % np.uint64(self.folds)).astype(np.int64)
        tried = []
        for shrinkage in SHRINKAGES:
            evidence = tag_discriminants(spread, prior, shrinkage).evidence(image, fold)
            for chance in (prior, np.full(num_tags, prior.mean())):
                tried += [(*fit_noise(evidence, given, prior, chance), shrinkage)]
        noise, _, shrinkage = max(tried, key=lambda one: one[1])
        lda = tag_discriminants(spread, prior, shrinkage)
        return Tagged(lda, noise, bool(survey.moments.count.any()))

    def _survey(self, num_tags: int, batch: pa.Table) -> Survey:
        image, present = vectors(batch, IMAGE)
        given = widened(several(batch, CLAIMED).astype(np.int32), MAX_LABELS, -1)
        given = np.where(present[:, None], given, -1)
        known, fold = given[:, 0] >= 0, folds(batch, self.folds)
        moments = TagMoments.of(image, given, fold, (self.folds, num_tags))
        column: Columns = {"image": image[known].astype(np.float16), "given": given[known]}
        name = hashes(batch)[known], keys(batch)[known]
        return Survey(moments, Bottom.of(self.sample_rows, *name, column))

    def score(self, state: Tagged, batch: pa.Table) -> pa.Table:
        image, present = vectors(batch, IMAGE)
        given = several(batch, CLAIMED)
        evidence = state.lda.evidence(image, folds(batch, self.folds))
        wrong = state.noise.wrong(evidence, given)
        judged = present & (given[:, 0] >= 0) & state.is_fitted
        worst = given[np.arange(len(given)), wrong.argmax(axis=1)]
        columns = [
            score(wrong.max(axis=1), judged),
            pa.array(worst.astype(np.int32), mask=~judged),
            ragged(given, wrong > HALF, judged),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Tagged) -> Findings:
        if not state.is_fitted:
            return Findings()
        noise = state.noise
        return Findings(shares={"random tags": noise.noise, "tags left out": noise.missing})

    def dump(self, state: Tagged) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Tagged:
        return from_arrays(Tagged, arrays)


def ragged(
    value: NDArray[np.integer], kept: NDArray[np.bool_], valid: NDArray[np.bool_]
) -> pa.Array:
    """Return a column of lists with the kept ones of `(n, s)` values, null where not `valid`."""
    kept = kept & valid[:, None]
    end = np.r_[0, np.cumsum(kept.sum(axis=1))].astype(np.int32)
    flat = pa.array(value[kept].astype(np.int32))
    return pa.ListArray.from_arrays(pa.array(end), flat, mask=pa.array(~valid))
