"""`match`: wrong labels, captions of another row, and images of no class.

After CAPro (Qin et al. 2023, "Cross-modality aligned prototypes"): clean rows are found by
their *texts*, their images make the prototypes of the classes, and every image is held
against these, against the classes' names, and against what its neighbours show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import Named, read_pairs, score, score_schema
from pipeline.contract import Count, Folds, Number, Rows
from pipeline.errors import FitError
from pipeline.findings import Findings
from pipeline.numeric.bank import Bank
from pipeline.numeric.evidence import Evidence, Moments
from pipeline.numeric.label_noise import noise_of_given
from pipeline.numeric.neighbours import build_index
from pipeline.numeric.pairs import Pairs
from pipeline.numeric.prototypes import Prototypes, fit_prototypes, mean_prototypes
from pipeline.numeric.reciprocal import reciprocal_distance
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.revision import Revision, own_class
from pipeline.numeric.survey import Survey
from pipeline.schema import IMAGE, LABEL, TEXT


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

    folds: Folds = 5
    """Parts that a discriminant is fitted without, so that it never scores a row it has seen."""
    sample_rows: Count = 200
    """Rows per class in the bank of neighbours, on which rates and weights are fitted."""
    bank_rows: Count = 20_000
    """Rows in the bank at most; with many classes each gets fewer, but never below four."""
    revised_rows: Count = 50_000
    """Rows sampled at most, as many of each class and those of the bank among them, that the rounds
    run on: four bytes for each number of an image, 100 MB at 512."""
    clean_rows: Count = 50
    """Rows per class, best by caption, whose images make the prototypes."""
    ranking: Literal["cosine", "reciprocal"] = "cosine"
    """Captions are ranked by cosine over the sample, or by k-reciprocal neighbours in the bank."""
    rounds: Number = 2
    """Rounds in which suspect rows are weighed down and prototypes made anew."""

    def fit(self, rows: Rows) -> Matched:
        rows, named = rows.select(*self.reads), rows.classes.embedding
        guess, survey = None, self._survey(rows, len(named))
        if not len(survey.sample.label):
            guess, survey = named, self._survey(rows, len(named), named)
        if not len(survey.sample.label):
            raise FitError("cleaner match must have readable rows to learn from, got none")
        drawn, pairs = survey.pairs(), survey.pairs(self._banked(len(named)))
        bank = Bank.of(pairs.image, pairs.hash, pairs.text)
        shown = (
            bank.predicted(pairs.label, np.ones(len(pairs.label))),
            mean_prototypes(survey.image),
        )
        moments = Moments(survey.image, survey.text, survey.image)
        learn = partial(Evidence.learn, named=named, pairs=pairs, is_guessed=guess is not None)
        evidence, protected = learn(moments, shown=shown), np.empty(0, np.uint64)
        for _ in range(self.rounds):
            revision = Revision.of(evidence, drawn)
            clean, protected = self._clean(evidence, revision, drawn, pairs)
            shown = (evidence.bank, clean or shown[1])
            image, text = revision.moments(survey, drawn)
            evidence = learn(Moments(survey.image, text, image), shown=shown)
        return Matched(evidence, protected)

    def _banked(self, num_classes: int) -> int:
        """Return the rows of a class in the bank."""
        return max(4, min(self.sample_rows, self.bank_rows // num_classes))

    def _survey(self, rows: Rows, num_classes: int, guess: Named | None = None) -> Survey:
        shape = (self.folds, num_classes)
        size = max(self._banked(num_classes), self.revised_rows // num_classes)
        return rows.reduce(partial(survey_batch, guess, shape, size), Survey.merge)

    def _clean(
        self, evidence: Evidence, revision: Revision, drawn: Pairs, pairs: Pairs
    ) -> tuple[Prototypes | None, NDArray[np.uint64]]:
        """Return the prototypes of the rows that are clean by their captions, and their keys."""
        if self.ranking == "reciprocal":
            drawn, revision = pairs, reranked(evidence, pairs)
        clean = revision.clean(drawn, self.clean_rows, self.folds)
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

    def tell(self, state: Matched) -> Findings:
        rates = state.evidence.rates
        shares = {
            "wrong labels": 1.0 - float(rates.prior @ np.diag(rates.given)),
            "images of no class": rates.foreign,
            "captions of another row": rates.swapped,
        }
        return Findings(noise=noise_of_given(rates.given, rates.prior), shares=shares)

    def dump(self, state: Matched) -> Mapping[str, NDArray[Any]]:
        shown = state.evidence.prototypes
        indices = {"prototypes.faiss": build_index(shown.whole)}
        for c in np.unique(shown.label):
            indices[f"class-{c}.faiss"] = build_index(shown.whole[shown.label == c])
        return to_arrays(state) | indices

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Matched:
        return from_arrays(Matched, arrays)


def survey_batch(guess: Named | None, shape: tuple[int, int], size: int, batch: pa.Table) -> Survey:
    """Return the survey of a batch: `(f, k)` folds and classes, `size` rows of each class."""
    return Survey.of(read_pairs(batch, guess), shape, size)


def reranked(evidence: Evidence, pairs: Pairs) -> Revision:
    """Return a revision in which captions are as far from a name as their neighbourhoods are."""
    enhanced, distance = evidence.enhance(pairs), np.ones(len(pairs.label))
    for c in np.unique(pairs.label):
        rows = pairs.label == c
        gallery = np.vstack([evidence.named[[c]], enhanced[rows]])
        distance[rows] = reciprocal_distance(gallery, 0)[1:]
    return replace(Revision.of(evidence, pairs), distance=distance.round(6))
