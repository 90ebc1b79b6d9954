"""`match`: wrong labels, captions of another row, and images of no class.

After CAPro (Qin et al. 2023, "Cross-modality aligned prototypes"): clean rows are found by
their *texts*, their images make the prototypes of the classes, and every image is held
against these, against the classes' names, and against what its neighbours show.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import Named, read_pairs, score, score_schema
from pipeline.contract import Rows
from pipeline.errors import FitError
from pipeline.numeric.bank import Bank
from pipeline.numeric.evidence import Evidence, Moments
from pipeline.numeric.heap import Heap
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.neighbours import build_index
from pipeline.numeric.pairs import Pairs
from pipeline.numeric.prototypes import Prototypes, fit_prototypes, mean_prototypes
from pipeline.numeric.reciprocal import reciprocal_distance
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.sample import Sample
from pipeline.numeric.witness import Verdict
from pipeline.schema import IMAGE, LABEL, TEXT

HALF = 0.5
"""Where a probability turns from no to yes."""


@dataclass(frozen=True)
class Survey:
    """Sums over the corpus, and a bounded sample of it."""

    image: FoldMoments
    text: FoldMoments
    sample: Sample

    def merge(self, other: "Survey") -> "Survey":
        """Return the sums over both sets of rows."""
        image, text = self.image.merge(other.image), self.text.merge(other.text)
        return Survey(image, text, self.sample.merge(other.sample))


@dataclass(frozen=True)
class Revision:
    """Sums over the corpus, once a first state can tell which rows to trust.

    Foreign images weigh less; a caption that fits its label less than not is left out.
    """

    image: FoldMoments
    text: FoldMoments
    clean: Heap

    def merge(self, other: "Revision") -> "Revision":
        """Return the sums over both sets of rows."""
        image, text = self.image.merge(other.image), self.text.merge(other.text)
        return Revision(image, text, self.clean.merge(other.clean))


@dataclass(frozen=True)
class Matched:
    """What `match` has learned."""

    evidence: Evidence
    protected: NDArray[np.uint64]
    """Sorted keys of the rows that the prototypes are made of."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """Finds wrong labels, captions of another row, and images of no class."""

    name: ClassVar[str] = "match"
    reads: ClassVar[tuple[str, ...]] = ("uid", "image_hash", IMAGE, TEXT, LABEL)
    adds: ClassVar[pa.Schema] = score_schema(
        "match",
        ("label", pa.float32(), "P(the label is wrong), by image, caption and label"),
        ("outlier", pa.float32(), "P(the image is of no class), by all three"),
        ("caption", pa.float32(), "P(the caption is another row's); null without one"),
        ("image", pa.float32(), "P(the label is wrong), by the image alone"),
        ("text", pa.float32(), "P(the label is wrong), by the caption alone"),
        ("impurity", pa.float32(), "1 - sum p^2 of the classes, by the image alone"),
        ("text_distance", pa.float32(), "of the enhanced caption and the class, 0 to 1"),
        ("prediction", pa.int32(), "the most likely class, by all three"),
        ("confidence", pa.float32(), "its probability: high is good"),
        ("protected", pa.bool_(), "is one of the rows that make the prototypes"),
    )

    folds: int = 5
    """Parts that a discriminant is fitted without, so that it never scores a row it has seen."""
    sample_rows: int = 200
    """Rows per class in the bank of neighbours, on which rates and weights are fitted."""
    bank_rows: int = 20_000
    """Rows in the bank at most; with many classes each gets fewer, but never below four."""
    clean_rows: int = 50
    """Rows per class, best by caption, whose images make the prototypes."""
    ranking: Literal["cosine", "reciprocal"] = "cosine"
    """Captions are ranked by cosine over all rows, or by k-reciprocal neighbours in the bank."""
    rounds: int = 2
    """Passes in which suspect rows are weighed down and prototypes made anew."""

    def fit(self, rows: Rows) -> Matched:
        rows, named = rows.select(*self.reads), rows.classes.embedding
        guess = None if rows.reduce(_count_labelled, np.add) else named
        survey = rows.reduce(partial(self._survey, len(named), guess), Survey.merge)
        pairs = Pairs.sampled(survey.sample)
        if not len(pairs.label):
            raise FitError("cleaner match must have readable rows to learn from, got none")
        bank = Bank.of(pairs.image, pairs.hash, pairs.text)
        shown = (
            bank.predicted(pairs.label, np.ones(len(pairs.label))),
            mean_prototypes(survey.image),
        )
        moments = Moments(survey.image, survey.text, survey.image)
        learn = partial(Evidence.learn, named=named, pairs=pairs, is_guessed=guess is not None)
        evidence, protected = learn(moments, shown=shown), np.empty(0, np.uint64)
        for _ in range(self.rounds):
            revision = rows.reduce(partial(self._revise, evidence, guess), Revision.merge)
            clean, protected = self._clean(evidence, revision, pairs)
            shown = (evidence.bank, clean or shown[1])
            moments = Moments(survey.image, revision.text, revision.image)
            evidence = learn(moments, shown=shown)
        return Matched(evidence, protected)

    def _survey(self, num_classes: int, guess: Named | None, batch: pa.Table) -> Survey:
        pairs, shape = read_pairs(batch, guess), (self.folds, num_classes)
        fold, told = pairs.fold(self.folds), np.where(pairs.captioned, pairs.label, -1)
        size = max(4, min(self.sample_rows, self.bank_rows // num_classes))
        both = np.hstack([pairs.image, pairs.text]).astype(np.float16)
        return Survey(
            FoldMoments.of(pairs.image, pairs.label, fold, shape),
            FoldMoments.of(pairs.text, told, fold, shape),
            Sample.of(size, pairs.label, pairs.hash, pairs.key, both),
        )

    def _revise(self, evidence: Evidence, guess: Named | None, batch: pa.Table) -> Revision:
        pairs = read_pairs(batch, guess)
        fold, shape = pairs.fold(self.folds), (self.folds, len(evidence.prior))
        _, verdict = evidence.judge(pairs)
        fits = (own_class(verdict.posterior, pairs.label) > HALF) & (verdict.swapped < HALF)
        told = np.where(pairs.captioned & fits, pairs.label, -1)
        near = evidence.enhance(pairs) @ evidence.named.T
        return Revision(
            FoldMoments.of(pairs.image, pairs.label, fold, shape, 1.0 - verdict.foreign),
            FoldMoments.of(pairs.text, told, fold, shape),
            self._matched(pairs, near, 1.0 - own_class(near, pairs.label), verdict),
        )

    def _matched(
        self,
        pairs: Pairs,
        near: NDArray[np.floating],
        distance: NDArray[np.floating],
        verdict: Verdict,
    ) -> Heap:
        """Return the rows with the least text distance, if their own class is the nearest.

        A foreign image may have the best of captions: it is no picture of its class.
        """
        is_own = (near.argmax(axis=1) == pairs.label) & (np.abs(near).max(axis=1) > 0.0)
        is_own &= verdict.foreign < HALF
        label = np.where(is_own, pairs.label, -1)
        vector = np.column_stack([pairs.image, pairs.fold(self.folds)])
        name = (pairs.key, pairs.text_hash())
        return Heap.of(self.clean_rows, label, distance.round(6), name, vector)

    def _clean(
        self, evidence: Evidence, revision: Revision, pairs: Pairs
    ) -> tuple[Prototypes | None, NDArray[np.uint64]]:
        """Return the prototypes of the rows that are clean by their captions, and their keys."""
        clean = revision.clean
        if self.ranking == "reciprocal":
            enhanced, distance = evidence.enhance(pairs), np.ones(len(pairs.label))
            for c in np.unique(pairs.label):
                rows = pairs.label == c
                gallery = np.vstack([evidence.named[[c]], enhanced[rows]])
                distance[rows] = reciprocal_distance(gallery, 0)[1:]
            verdict = evidence.judge(pairs)[1]
            clean = self._matched(pairs, enhanced @ evidence.named.T, distance, verdict)
        if not len(clean.key):
            return None, clean.key
        image, fold = clean.vector[:, :-1], clean.vector[:, -1].astype(np.int64)
        return fit_prototypes(image, clean.label, fold, self.folds), np.sort(clean.key)

    def score(self, state: Matched, batch: pa.Table) -> pa.Table:
        pairs, evidence = read_pairs(batch), state.evidence
        said, verdict = evidence.judge(pairs)
        labelled, best = pairs.label >= 0, verdict.posterior.argmax(axis=1)
        seen, told = said.image * evidence.prior, said.caption * evidence.prior
        near = own_class(evidence.enhance(pairs) @ evidence.named.T, pairs.label)
        columns = [
            score(1.0 - own_class(verdict.posterior, pairs.label), labelled),
            score(verdict.foreign),
            score(verdict.swapped, pairs.captioned),
            score(1.0 - own_class(seen, pairs.label), labelled),
            score(1.0 - own_class(told, pairs.label), labelled & pairs.captioned),
            score(1.0 - (seen**2).sum(axis=1)),
            score(0.5 - 0.5 * near, labelled),
            pa.array(best.astype(np.int32)),
            score(own_class(verdict.posterior, best)),
            pa.array(np.isin(pairs.key, state.protected)),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Matched) -> Mapping[str, NDArray[Any]]:
        shown = state.evidence.prototypes
        indices = {"prototypes.faiss": build_index(shown.whole)}
        for c in np.unique(shown.label):
            indices[f"class-{c}.faiss"] = build_index(shown.whole[shown.label == c])
        return to_arrays(state) | indices

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Matched:
        return from_arrays(Matched, arrays)


def _count_labelled(batch: pa.Table) -> NDArray[np.int64]:
    return np.array(len(batch) - batch[LABEL].null_count)


def own_class(value: NDArray[np.floating], label: NDArray[np.integer]) -> NDArray[np.floating]:
    """Return the `(n,)` entries of `(n, k)` values at each row's own class."""
    return value[np.arange(len(label)), label]
