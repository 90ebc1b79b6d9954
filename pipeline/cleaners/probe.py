"""`probe`: class probabilities of every row, by a discriminant that has not seen it.

One pass sums class moments per fold; the discriminant of a fold is solved from the total minus
the fold (linear discriminant analysis; folds by image hash, so that no copy of a picture is on
both sides). How much to shrink, how sharp to be and how noisy the labels are is what explains the
given labels best: no label of truth is needed. Most other cleaners read these probabilities.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import softmax

from pipeline.cleaners.columns import (
    folds,
    hashes,
    keys,
    labels,
    score,
    score_schema,
    vector_lists,
    vectors,
)
from pipeline.contract import Count, Folds, Rows
from pipeline.findings import Findings
from pipeline.numeric.bottom import Bottom, Columns
from pipeline.numeric.confusion import Confusion, fit_confusion
from pipeline.numeric.label_noise import class_shares, noise_of_given
from pipeline.numeric.lda import FoldLda, Spread, spreads
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.temperature import NoisyFit
from pipeline.numeric.top import top
from pipeline.schema import IMAGE, LABEL

TOP = 16
"""Classes whose probabilities are stored for a row."""
MOST_CLASSES = 500
"""With more, the sample is too small to tell which classes are confused."""
SHRINKAGES = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Shares of the sphere in the covariance that are tried."""


@dataclass(frozen=True)
class Survey:
    """Sums over the corpus, and a bounded sample of it."""

    moments: FoldMoments
    sample: Bottom

    def merge(self, other: "Survey") -> "Survey":
        """Return the sums over both sets of rows."""
        return Survey(self.moments.merge(other.moments), self.sample.merge(other.sample))


@dataclass(frozen=True)
class Probed:
    """What `probe` has learned."""

    lda: FoldLda
    shrinkage: float
    """The one of `SHRINKAGES` that explains held-out labels best."""
    scale: float
    """Factor on the evidence: above 1 sharper, below 1 flatter than the discriminant says."""
    noise: float
    """Share of labels that say nothing of the row, as far as the discriminant can tell."""
    prior: NDArray[np.float64]
    """`(k,)` shares of the labels."""
    confusion: Confusion
    """Which label each class is given; by chance alone where classes are very many."""
    is_fitted: bool
    """Whether there were labels; if not, the cleaner abstains."""

    def probability(
        self, embedding: NDArray[np.floating], fold: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Return `(n, k)` class probabilities of `(n, d)` rows, out of fold."""
        evidence = self.scale * self.lda.evidence(embedding, fold) + np.log(self.prior)
        return np.asarray(softmax(evidence.astype(np.float32), axis=1))


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Gives every row out-of-fold class probabilities, from sums of one pass."""

    name: ClassVar[str] = "probe"
    reads: ClassVar[tuple[str, ...]] = ("uid", "image_hash", IMAGE, LABEL)
    adds: ClassVar[pa.Schema] = score_schema(
        "probe",
        ("label", pa.float32(), "P(the label is wrong), by image and label; null without one"),
        ("doubt", pa.float32(), "1 - probability of the label's class, by the image alone"),
        ("prediction", pa.int32(), "the most likely class"),
        ("confidence", pa.float32(), "its probability: high is good"),
        ("flat", pa.float32(), "entropy of the classes over that of all being alike"),
        ("top", pa.list_(pa.int32(), TOP), "the most likely classes, -1 where there are fewer"),
        ("share", pa.list_(pa.float32(), TOP), "their probabilities, falling; 0 where none"),
    )

    folds: Folds = 5
    """Parts that a discriminant is fitted without, so that it never scores a row it has seen."""
    sample_rows: Count = 8_000
    """Rows on which shrinkage and sharpness are chosen."""

    def fit(self, rows: Rows) -> Probed:
        num_classes = len(rows.classes)
        survey = rows.select(*self.reads).reduce(partial(self._survey, num_classes), Survey.merge)
        count = survey.moments.count.sum(axis=0)
        prior = (count + 1.0) / (count + 1.0).sum()
        spread, sample = spreads(survey.moments), survey.sample
        chosen = [self._likelihood(spread, s, sample, prior) for s in SHRINKAGES]
        best = int(np.argmax([value for *_, value in chosen]))
        scale, noise, _ = chosen[best]
        shrinkage, is_fitted = SHRINKAGES[best], bool(count.any())
        lda = FoldLda.of(spread, shrinkage)
        by_chance = Confusion((1.0 - noise) * np.eye(num_classes) + noise * prior, 1.0)
        probed = Probed(lda, shrinkage, scale, noise, prior, by_chance, is_fitted)
        if num_classes > MOST_CLASSES:
            return probed
        share = probed.probability(sample.column["image"].astype(np.float32), self._fold(sample))
        return replace(probed, confusion=fit_confusion(share, sample.column["label"], prior, noise))

    def _survey(self, num_classes: int, batch: pa.Table) -> Survey:
        image, label = vectors(batch, IMAGE)[0], labels(batch)
        shape = (self.folds, num_classes)
        moments = FoldMoments.of(image, label, folds(batch, self.folds), shape)
        known = label >= 0
        column: Columns = {"image": image.astype(np.float16)[known], "label": label[known]}
        name = hashes(batch)[known], keys(batch)[known]
        return Survey(moments, Bottom.of(self.sample_rows, *name, column))

    def _likelihood(
        self, spread: list[Spread], shrinkage: float, sample: Bottom, prior: NDArray[np.float64]
    ) -> tuple[float, float, float]:
        """Return the best scale and noise rate of a shrinkage, and their log-likelihood."""
        fold = self._fold(sample)
        image = sample.column["image"].astype(np.float32)
        evidence = FoldLda.of(spread, shrinkage).evidence(image, fold)
        return NoisyFit.of(evidence, sample.column["label"], prior).best()

    def _fold(self, sample: Bottom) -> NDArray[np.int64]:
        return (sample.hash % np.uint64(self.folds)).astype(np.int64)

    def score(self, state: Probed, batch: pa.Table) -> pa.Table:
        image, present = vectors(batch, IMAGE)
        label, present = labels(batch), present & state.is_fitted
        share = state.probability(image, folds(batch, self.folds))
        own = np.take_along_axis(share, np.maximum(label, 0)[:, None], axis=1)[:, 0]
        log = np.log(np.maximum(share, 1e-30))
        entropy = -(share * log).sum(axis=1) / np.log(max(share.shape[1], 2))
        order, most = top(share, TOP)
        columns = [
            score(state.confusion.wrong(share, np.maximum(label, 0)), present & (label >= 0)),
            score(1.0 - own, present & (label >= 0)),
            pa.array(order[:, 0].astype(np.int32), mask=~present),
            score(most[:, 0], present),
            score(entropy, present),
            vector_lists(order.astype(np.int32), TOP, -1),
            vector_lists(most, TOP, 0),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Probed) -> Findings:
        given = state.confusion.given
        if not state.is_fitted or len(given) > MOST_CLASSES:
            return Findings()
        share = class_shares(given, state.prior)
        wrong = 1.0 - float(share @ np.diag(given))
        return Findings(noise=noise_of_given(given, share), shares={"wrong labels": wrong})

    def dump(self, state: Probed) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Probed:
        return from_arrays(Probed, arrays)
