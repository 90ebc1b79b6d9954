"""`match`: does the label fit the image, does the caption, and is the image of any class at all?

After CAPro (Qin et al. 2023, "Cross-modality aligned prototypes"): clean rows are found by
their *texts*, their images make the prototypes of the classes, and every image is held
against these, against the classes' names, and against what its neighbours show.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import Pairs, score
from pipeline.contract import Rows
from pipeline.errors import FitError
from pipeline.numeric.bank import Bank
from pipeline.numeric.heap import Heap
from pipeline.numeric.lda import FoldLda, spreads
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.neighbours import build_index
from pipeline.numeric.pool import fit_pool
from pipeline.numeric.posterior import Labelled, choose_lda, class_ratio
from pipeline.numeric.prototypes import Prototypes, fit_prototypes, mean_prototypes
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.sample import Sample
from pipeline.numeric.witness import Odds, Rates, Testimony, Verdict, fit_rates, judge
from pipeline.schema import IMAGE, LABEL, TEXT


@dataclass(frozen=True)
class Survey:
    """Sums over the corpus, and a bounded sample of it."""

    image: FoldMoments
    text: FoldMoments
    sample: Sample

    def merge(self, other: "Survey") -> "Survey":
        """Return the sums over both sets of rows."""
        return Survey(
            self.image.merge(other.image),
            self.text.merge(other.text),
            self.sample.merge(other.sample),
        )


@dataclass(frozen=True)
class Revision:
    """Sums over the corpus, once a first state can tell foreign images and clean rows."""

    image: FoldMoments
    clean: Heap

    def merge(self, other: "Revision") -> "Revision":
        """Return the sums over both sets of rows."""
        return Revision(self.image.merge(other.image), self.clean.merge(other.clean))


@dataclass(frozen=True)
class Matched:
    """What `match` has learned."""

    named: NDArray[np.float32]
    """`(k, d)` text prototypes of the classes."""
    prior: NDArray[np.float64]
    """`(k,)` shares of the labels."""
    image: FoldLda
    text: FoldLda
    mean: NDArray[np.float64]
    """`(2, d)` mean image and mean caption."""
    image_pool: NDArray[np.float64]
    """`(4,)` weights of the discriminant, the names, the prototypes and the neighbours."""
    text_pool: NDArray[np.float64]
    """`(2,)` weights of the discriminant and the names."""
    prototypes: Prototypes
    protected: NDArray[np.uint64]
    """Keys of the rows that the prototypes are made of."""
    bank: Bank
    rates: Rates
    strange: Odds


@dataclass(frozen=True, kw_only=True)
class Match:
    """Finds wrong labels, captions of another row, and images of no class."""

    name: ClassVar[str] = "match"
    reads: ClassVar[tuple[str, ...]] = ("uid", "image_hash", IMAGE, TEXT, LABEL)
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            pa.field(f"match.{name}", kind, metadata={"is": meaning})
            for name, kind, meaning in (
                ("label", pa.float32(), "P(the label is wrong), by image, caption and label"),
                ("outlier", pa.float32(), "P(the image is of no class), by all three"),
                ("caption", pa.float32(), "P(the caption is another row's); null without one"),
                ("image", pa.float32(), "P(the label is wrong), by the image alone"),
                ("text", pa.float32(), "P(the label is wrong), by the caption alone"),
                ("impurity", pa.float32(), "1 - sum p^2 of the classes, by the image alone"),
                ("text_distance", pa.float32(), "of enhanced caption and class, 0 to 1"),
                ("prediction", pa.int32(), "most likely class, by all three"),
                ("confidence", pa.float32(), "its probability; high is good"),
                ("protected", pa.bool_(), "is one of the rows that make the prototypes"),
            )
        ]
    )

    folds: int = 5
    """Parts that a discriminant is fitted without, so that it never scores a row it has seen."""
    sample_rows: int = 200
    """Rows per class in the bank of neighbours, on which rates and weights are fitted."""
    bank_rows: int = 20_000
    """Rows in the bank at most; with many classes each gets fewer."""
    clean_rows: int = 50
    """Rows per class, best by caption, whose images make the prototypes."""
    neighbours: int = 20
    """Neighbours that vote on a row."""
    text_neighbours: int = 8
    """Neighbours that lend a row their captions."""
    rounds: int = 2
    """Passes in which foreign images are weighted down and prototypes made anew."""

    def fit(self, rows: Rows) -> Matched:
        rows, named = rows.select(*self.reads), rows.classes.embedding
        survey = rows.reduce(partial(self._survey, len(named)), Survey.merge)
        pairs = unpack(survey.sample)
        if not len(pairs.label):
            raise FitError("cleaner match has no labelled rows to learn from, got 0 labels")
        bank = Bank.of(pairs.image, pairs.hash, pairs.text).predicted(
            pairs.label, np.ones(len(pairs.label))
        )
        prototypes = mean_prototypes(survey.image)
        state = self._learn(survey, survey.image, named, (bank, prototypes))
        for _ in range(self.rounds):
            revision = rows.reduce(partial(self._revise, state), Revision.merge)
            clean = revision.clean
            if len(clean.label):
                vector, fold = clean.vector[:, :-1], clean.vector[:, -1].astype(np.int64)
                prototypes = fit_prototypes(vector, clean.label, fold, self.folds)
            state = self._learn(survey, revision.image, named, (state.bank, prototypes))
            state = replace(state, protected=np.sort(clean.key))
        return state

    def _survey(self, num_classes: int, batch: pa.Table) -> Survey:
        pairs, shape = Pairs.of(batch), (self.folds, num_classes)
        fold, told = pairs.fold(self.folds), np.where(pairs.captioned, pairs.label, -1)
        size = max(4, min(self.sample_rows, self.bank_rows // num_classes))
        both = np.hstack([pairs.image, pairs.text]).astype(np.float16)
        return Survey(
            FoldMoments.of(pairs.image, pairs.label, fold, shape),
            FoldMoments.of(pairs.text, told, fold, shape),
            Sample.of(size, pairs.label, pairs.hash, pairs.key, both),
        )

    def _revise(self, state: Matched, batch: pa.Table) -> Revision:
        pairs = Pairs.of(batch)
        fold, shape = pairs.fold(self.folds), (self.folds, len(state.prior))
        verdict = judge(self._hear(state, pairs)[0], state.rates)
        weight = 1.0 - verdict.foreign
        return Revision(
            FoldMoments.of(pairs.image, pairs.label, fold, shape, weight),
            self._find_clean(state, pairs),
        )

    def _find_clean(self, state: Matched, pairs: Pairs) -> Heap:
        """Return the rows whose enhanced caption is nearest to their own class's name."""
        near = self._enhance(state, pairs) @ state.named.T
        matched = (near.argmax(axis=1) == pairs.label) & (np.abs(near).max(axis=1) > 0)
        label = np.where(matched, pairs.label, -1)
        distance = 1.0 - near[np.arange(len(label)), label]
        vector = np.column_stack([pairs.image, pairs.fold(self.folds)])
        return Heap.of(
            self.clean_rows, label, distance.round(6), (pairs.key, pairs.text_hash()), vector
        )

    def _learn(
        self,
        survey: Survey,
        moments: FoldMoments,
        named: NDArray[np.float32],
        shown: tuple[Bank, Prototypes],
    ) -> Matched:
        """Return the state whose every weight, scale and rate is fitted on the sample."""
        pairs = unpack(survey.sample)
        count = survey.image.count.sum(axis=0)
        prior = (count + 1.0) / (count + 1.0).sum()
        drawn = np.bincount(pairs.label, minlength=len(prior))
        weight = (count / np.maximum(drawn, 1))[pairs.label]
        fold, told = pairs.fold(self.folds), pairs.captioned
        by_image = Labelled(pairs.image, pairs.label, fold, weight, prior)
        by_text = Labelled(pairs.text[told], pairs.label[told], fold[told], weight[told], prior)
        behind, behind_text = spreads(survey.image), spreads(survey.text)
        state = Matched(
            named=named,
            prior=prior,
            image=choose_lda(spreads(moments), behind, by_image),
            text=choose_lda(behind_text, behind_text, by_text),
            mean=np.stack([survey.image.whole().mean, survey.text.whole().mean]),
            image_pool=np.ones(4),
            text_pool=np.ones(2),
            prototypes=shown[1],
            protected=np.empty(0, np.uint64),
            bank=shown[0],
            rates=Rates.start(prior),
            strange=Odds(np.zeros(2), np.zeros(2)),
        )
        seen, said = self._image_sources(state, pairs), self._text_sources(state, pairs)
        _, noise = fit_pool(seen[:-1], pairs.label, prior, weight)
        state = replace(
            state,
            image_pool=fit_pool(seen, pairs.label, prior, weight, noise)[0],
            text_pool=fit_pool(said[:, told], pairs.label[told], prior, weight[told])[0],
        )
        return self._weigh(state, pairs, weight)

    def _weigh(self, state: Matched, pairs: Pairs, weight: NDArray[np.float64]) -> Matched:
        """Return the state with the rates of the faults, and with what its bank shows."""
        said, distance = self._hear(state, pairs)
        far = (distance - np.median(distance)) / max(float(distance.std()), 1e-9)
        said = replace(said, strange=np.exp(far.clip(-2.0, 2.0)))
        rates, strange = fit_rates(said, distance, state.rates, weight)
        chance = said.image * state.prior
        verdict = judge(replace(said, strange=strange.at(distance)), rates)
        trust = chance.max(axis=1) * (1.0 - verdict.foreign)
        bank = state.bank.predicted(chance.argmax(axis=1), trust)
        return replace(state, rates=rates, strange=strange, bank=bank)

    def _image_sources(self, state: Matched, pairs: Pairs) -> NDArray[np.float32]:
        """Return `(4, n, k)` evidence of the images for each class."""
        fold, num_classes = pairs.fold(self.folds), len(state.prior)
        votes = state.bank.votes(pairs.image, pairs.hash, self.neighbours, num_classes)
        return np.stack(
            [
                state.image.evidence(pairs.image, fold),
                (pairs.image - state.mean[0]).astype(np.float32) @ state.named.T,
                state.prototypes.similarity(pairs.image, fold, num_classes),
                np.log(votes / state.prior + 0.1).astype(np.float32),
            ]
        )

    def _text_sources(self, state: Matched, pairs: Pairs) -> NDArray[np.float32]:
        """Return `(2, n, k)` evidence of the captions for each class."""
        return np.stack(
            [
                state.text.evidence(pairs.text, pairs.fold(self.folds)),
                (pairs.text - state.mean[1]).astype(np.float32) @ state.named.T,
            ]
        )

    def _hear(self, state: Matched, pairs: Pairs) -> tuple[Testimony, NDArray[np.float32]]:
        """Return what the witnesses of each row say, and the distance of its image."""
        seen = self._image_sources(state, pairs)
        said = self._text_sources(state, pairs)
        image = class_ratio(np.tensordot(state.image_pool, seen, 1), state.prior)
        caption = class_ratio(np.tensordot(state.text_pool, said, 1), state.prior)
        fold = pairs.fold(self.folds)
        distance = state.image.relative_distance(pairs.image, fold, seen[0])
        caption = np.where(pairs.captioned[:, None], caption, 1.0)
        strange, apart = state.strange.at(distance), np.ones(len(distance))
        return Testimony(image, caption, pairs.label, strange, apart), distance

    def _enhance(self, state: Matched, pairs: Pairs) -> NDArray[np.float64]:
        return state.bank.enhance(pairs.image, pairs.text, pairs.hash, self.text_neighbours)

    def score(self, state: Matched, batch: pa.Table) -> pa.Table:
        pairs = Pairs.of(batch)
        said, _ = self._hear(state, pairs)
        verdict = judge(said, state.rates)
        rows, own, labelled = np.arange(len(pairs.label)), pairs.label, pairs.label >= 0
        seen, told = said.image * state.prior, said.caption * state.prior
        best = verdict.posterior.argmax(axis=1)
        near = np.einsum("nd,nd->n", self._enhance(state, pairs), state.named[own])
        columns = [
            score(1.0 - verdict.posterior[rows, own], labelled),
            score(verdict.foreign),
            score(verdict.swapped, pairs.captioned),
            score(1.0 - seen[rows, own], labelled),
            score(1.0 - told[rows, own], labelled & pairs.captioned),
            score(1.0 - (seen**2).sum(axis=1)),
            score(0.5 - 0.5 * near, labelled),
            pa.array(best.astype(np.int32)),
            score(verdict.posterior[rows, best]),
            pa.array(np.isin(pairs.key, state.protected)),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Matched) -> Mapping[str, NDArray[Any]]:
        shown = state.prototypes
        indices = {"prototypes.faiss": build_index(shown.whole)}
        for c in np.unique(shown.label):
            indices[f"class-{c}.faiss"] = build_index(shown.whole[shown.label == c])
        return to_arrays(state) | indices

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Matched:
        return from_arrays(Matched, arrays)


def unpack(sample: Sample) -> Pairs:
    """Return the rows of a sample."""
    image, text = np.split(sample.vector.astype(np.float32), 2, axis=1)
    captioned = np.abs(text).max(axis=1, initial=0.0) > 0
    return Pairs(sample.key, sample.hash, image, text, captioned, sample.label)
