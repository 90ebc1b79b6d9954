"""`match`: does the label fit the image, does the caption, and is the image of any class at all?

After CAPro (Qin et al. 2023, "Cross-modality aligned prototypes"): clean rows are found by
their *texts*, their images make the class prototypes, and every image is held against them.
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
from pipeline.numeric.heap import Heap
from pipeline.numeric.lda import FoldLda, spreads
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.neighbours import build_index, search_others, similarity_weight
from pipeline.numeric.pool import fit_pool
from pipeline.numeric.prototypes import Prototypes, fit_prototypes, unit
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.sample import Sample
from pipeline.numeric.temperature import NOISES, SCALES, NoisyFit
from pipeline.numeric.witness import (
    Odds, Rates, Testimony, Verdict, fit_odds, judge, learn_rates,
)
from pipeline.schema import IMAGE, LABEL, TEXT

SHRINKAGES = (0.01, 0.03, 0.1, 0.3, 0.6, 0.9)


@dataclass(frozen=True)
class Survey:
    """Sums over the corpus."""

    image: FoldMoments
    text: FoldMoments
    sample: Sample | None
    heap: Heap | None

    def merge(self, other: "Survey") -> "Survey":
        return Survey(
            self.image.merge(other.image),
            self.text.merge(other.text),
            None if self.sample is None else self.sample.merge(other.sample),
            None if self.heap is None else self.heap.merge(other.heap),
        )


@dataclass(frozen=True)
class Matched:
    """What `match` has learned."""

    text_class: NDArray[np.float32]
    image: FoldLda
    text: FoldLda
    image_mean: NDArray[np.float32]
    text_mean: NDArray[np.float32]
    image_pool: NDArray[np.float64]
    text_pool: NDArray[np.float64]
    prior: NDArray[np.float64]
    rates: Rates
    strange: Odds
    apart: Odds
    prototypes: Prototypes
    protected: NDArray[np.uint64]
    index: NDArray[np.uint8]
    index_hash: NDArray[np.uint64]
    index_class: NDArray[np.int64]
    index_trust: NDArray[np.float32]
    index_text: NDArray[np.float16]
    bandwidth: float


@dataclass(frozen=True, kw_only=True)
class Match:
    name: ClassVar[str] = "match"
    reads: ClassVar[tuple[str, ...]] = ("uid", "image_hash", IMAGE, TEXT, LABEL)
    adds: ClassVar[pa.Schema] = pa.schema(
        [
            ("match.label", pa.float32()),
            ("match.outlier", pa.float32()),
            ("match.caption", pa.float32()),
            ("match.image", pa.float32()),
            ("match.text", pa.float32()),
            ("match.impurity", pa.float32()),
            ("match.text_distance", pa.float32()),
            ("match.prediction", pa.int32()),
            ("match.confidence", pa.float32()),
            ("match.protected", pa.bool_()),
        ]
    )

    folds: int = 5
    sample: int = 200
    clean: int = 50
    neighbours: int = 20
    rounds: int = 2
    drop: tuple[str, ...] = ()

    def fit(self, rows: Rows) -> Matched:
        rows = rows.select(*self.reads)
        text_class = rows.classes.embedding
        first = rows.reduce(partial(self._survey, text_class), Survey.merge)
        state = self._learn(first, first, text_class, None)
        for _ in range(self.rounds):
            again = rows.reduce(partial(self._revise, state), Survey.merge)
            state = self._learn(first, again, text_class, state)
        return state

    def _survey(self, text_class, batch: pa.Table) -> Survey:
        pairs = Pairs.of(batch)
        shape = (self.folds, len(text_class))
        fold = self._fold(pairs)
        told = np.where(pairs.captioned, pairs.label, -1)
        packed = np.hstack([pairs.image, pairs.text]).astype(np.float16)
        return Survey(
            FoldMoments.of(pairs.image, pairs.label, fold, shape),
            FoldMoments.of(pairs.text, told, fold, shape),
            Sample.of(self.sample, pairs.label, pairs.hash, pairs.key, packed),
            None,
        )

    def _revise(self, state: Matched, batch: pa.Table) -> Survey:
        pairs = Pairs.of(batch)
        shape = (self.folds, len(state.text_class))
        fold = self._fold(pairs)
        verdict = self._judge(state, pairs)[0]
        best = pairs.label if not self.relabel else verdict.posterior.argmax(axis=1)
        sure = verdict.posterior[np.arange(len(best)), best]
        told = np.where(pairs.captioned, best, -1)
        return Survey(
            FoldMoments.of(pairs.image, best, fold, shape, sure**self.wi * (1 - verdict.foreign)),
            FoldMoments.of(pairs.text, told, fold, shape, sure**self.wt * (1 - verdict.swapped)**self.wt),
            None,
            self._match_text(state, pairs, fold),
        )

    def _match_text(self, state: Matched, pairs: Pairs, fold) -> Heap:
        enhanced = self._enhance(state, pairs)
        near = enhanced @ state.text_class.T
        own = np.where(near.argmax(axis=1) == pairs.label, pairs.label, -1)
        own = np.where(np.linalg.norm(enhanced, axis=1) > 0, own, -1)
        distance = 1.0 - near[np.arange(len(own)), own]
        group = fingerprint(pairs.text, pairs.key, pairs.captioned)
        return Heap.of(self.clean, own, distance.round(6), pairs.key, group,
                       np.column_stack([pairs.image, fold]))

    def _enhance(self, state: Matched, pairs: Pairs):
        sim, place = search_others(state.index, pairs.image, 8, (pairs.hash, state.index_hash))
        text = np.where((place >= 0)[:, :, None], state.index_text[place].astype(np.float32), 0)
        told = np.linalg.norm(text, axis=2) > 0.5
        weight = np.where(told, np.maximum(sim, 0.0), 0.0)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        if "enhance" in self.drop:
            return unit(pairs.text)
        return unit(pairs.text + np.einsum("nj,njd->nd", weight, text))

    def _fold(self, pairs: Pairs):
        return (pairs.hash % np.uint64(self.folds)).astype(np.int64)

    def _learn(self, first: Survey, survey: Survey, text_class, before: Matched | None) -> Matched:
        dims = text_class.shape[1]
        pairs = unpack(first.sample, dims)
        fold = self._fold(pairs)
        count = first.image.count.sum(axis=0)
        drawn = np.bincount(pairs.label, minlength=len(count))
        weight = (count / np.maximum(drawn, 1))[pairs.label]
        prior = (count + 1.0) / (count.sum() + len(count))
        image = self._solve(survey.image, first.image, pairs.image, pairs.label, fold, prior, weight)
        told = pairs.captioned
        text = self._solve(survey.text, first.text, pairs.text[told], pairs.label[told], fold[told], prior, weight[told])
        if survey.heap is None or "dk" in self.drop:
            prototypes = mean_prototypes(survey.image)
        else:
            prototypes = fit_prototypes(survey.heap.vector[:, :-1], survey.heap.label, survey.heap.vector[:, -1].astype(int), self.folds)
        index = build_index(pairs.image)
        sim, _ = search_others(index, pairs.image[:1000], self.neighbours, (pairs.hash[:1000], pairs.hash))
        fin = np.isfinite(sim).all(axis=1)
        bandwidth = float(np.mean((sim[:, 0] - sim[:, -1])[fin])) if fin.any() else 1.0
        state = Matched(
            text_class, image, text,
            first.image.whole().mean.astype(np.float32), first.text.whole().mean.astype(np.float32),
            np.ones(4), np.ones(2), prior, Rates.start(prior),
            Odds(np.zeros(2), np.zeros(2)), Odds(np.zeros(2), np.zeros(2)),
            prototypes,
            np.sort(survey.heap.key) if survey.heap is not None else np.empty(0, np.uint64),
            index, pairs.hash, pairs.label if before is None else before.index_class,
            np.ones(len(pairs.label), np.float32) if before is None else before.index_trust,
            first.sample.vector[:, dims:], max(bandwidth, 1e-3),
        )
        esrc = self._image_sources(state, pairs, fold)
        pool, noise = fit_pool(esrc, pairs.label, prior, weight)
        tsrc = self._text_sources(state, pairs, fold)
        if told.any():
            tpool, tnoise = fit_pool(tsrc[:, told], pairs.label[told], prior, weight[told])
        else:
            tpool, tnoise = np.zeros(2), 0.
        state = replace(state, image_pool=pool, text_pool=tpool)
        if self.debug:
            print("pool", pool * esrc.std(axis=2).mean(axis=1), noise, "text", tpool * tsrc.std(axis=2).mean(axis=1), tnoise)
        return self._learn_rates(state, pairs, weight)

    debug: bool = False
    relabel: bool = False
    wi: float = 0
    wt: float = 0
    bmode: int = 1
    floor: float = 0.1

    def _solve(self, moments, first, rows, label, fold, prior, weight) -> FoldLda:
        spread = spreads(moments)
        behind = spreads(first)
        best = None
        for shrinkage in SHRINKAGES:
            lda = FoldLda.of(spread, shrinkage, [b.background(shrinkage) for b in behind])
            if not len(rows):
                return lda
            fit = NoisyFit.of(lda.evidence(rows, fold), label, prior, SCALES, NOISES, weight).best()
            if self.debug:
                print("  shrink", shrinkage, fit)
            if best is None or fit[2] > best[0]:
                best = (fit[2], lda)
        return best[1]

    def _image_sources(self, state: Matched, pairs: Pairs, fold):
        centred = pairs.image - state.image_mean
        lda = state.image.evidence(pairs.image, fold)
        named = centred @ state.text_class.T
        seen = state.prototypes.similarity(pairs.image, fold, len(state.prior))
        near = self._bootstrap(state, pairs)
        parts = [lda, named, seen, near]
        for i, n in enumerate(("lda", "named", "proto", "near")):
            if n in self.drop:
                parts[i] = parts[i] * 0
        return np.stack(parts)

    def _bootstrap(self, state: Matched, pairs: Pairs):
        sim, place = search_others(state.index, pairs.image, self.neighbours, (pairs.hash, state.index_hash))
        weight = similarity_weight(sim, state.bandwidth) * state.index_trust[place]
        votes = np.zeros((len(pairs.label), len(state.prior)), np.float32)
        np.add.at(votes, (np.arange(len(votes))[:, None], state.index_class[place]), weight)
        return np.log(votes / state.prior + self.floor).astype(np.float32)

    def _text_sources(self, state: Matched, pairs: Pairs, fold):
        return np.stack([state.text.evidence(pairs.text, fold),
                         (pairs.text - state.text_mean) @ state.text_class.T])

    def _testimony(self, state: Matched, pairs: Pairs):
        fold = self._fold(pairs)
        src = self._image_sources(state, pairs, fold)
        image = ratio(np.tensordot(state.image_pool, src, 1), state.prior)
        text = ratio(np.tensordot(state.text_pool, self._text_sources(state, pairs, fold), 1), state.prior)
        text = np.where(pairs.captioned[:, None], text, 1.0)
        distance = state.image.relative_distance(pairs.image, fold, src[0])
        gap = self._gap(state, pairs, image, text)
        return image, text, distance, gap

    def _gap(self, state, pairs, image, text):
        mean_x = (state.image_mean)
        return -np.einsum("nd,nd->n", pairs.image, pairs.text)

    def _learn_rates(self, state: Matched, pairs: Pairs, weight) -> Matched:
        image, text, distance, gap = self._testimony(state, pairs)
        z = (distance - np.median(distance)) / max(distance.std(), 1e-9)
        strange, apart = np.exp(np.clip(z, -2, 2)), np.ones(len(z))
        rates = Rates.start(state.prior)
        told = pairs.captioned
        for _ in range(25):
            said = Testimony(image, text, pairs.label, strange, apart)
            verdict = judge(said, rates)
            rates = learn_rates(said, rates, weight, verdict)
            odds = fit_odds(distance, weight * verdict.foreign, weight * (1 - verdict.foreign))
            strange = odds.at(distance)
        if self.debug:
            print("rates f", rates.foreign, "s", rates.swapped, "noise", 1 - (rates.prior * np.diag(rates.given)).sum(), odds.log.round(1)[::3])
        best = verdict.posterior.argmax(axis=1)
        if self.bmode == 1:
            best = (image * state.prior).argmax(axis=1); verdict = replace(verdict, posterior=image * state.prior)
        if self.bmode == 2:
            best = pairs.label; verdict = replace(verdict, posterior=verdict.posterior[np.arange(len(best)), best][:, None])
        return replace(state, rates=rates, strange=odds, index_class=best,
                       index_trust=(verdict.posterior.max(axis=1) * (1 - verdict.foreign)).astype(np.float32))

    def _judge(self, state: Matched, pairs: Pairs):
        image, text, distance, gap = self._testimony(state, pairs)
        apart = np.where(pairs.captioned, state.apart.at(gap), 1.0)
        said = Testimony(image, text, pairs.label, state.strange.at(distance), apart)
        return judge(said, state.rates), image, text, distance, gap

    def score(self, state: Matched, batch: pa.Table) -> pa.Table:
        pairs = Pairs.of(batch)
        verdict, image, text, distance, gap = self._judge(state, pairs)
        rows, own = np.arange(len(pairs.label)), np.maximum(pairs.label, 0)
        labelled = pairs.label >= 0
        seen, told = image * state.prior, text * state.prior
        dist = 0.5 - 0.5 * np.einsum("nd,nd->n", self._enhance(state, pairs), state.text_class[own])
        best = verdict.posterior.argmax(axis=1)
        columns = [
            score(1 - verdict.posterior[rows, own], labelled),
            score(verdict.foreign),
            score(verdict.swapped, pairs.captioned),
            score(1 - seen[rows, own], labelled),
            score(1 - told[rows, own], labelled & pairs.captioned),
            score(1 - (seen**2).sum(axis=1)),
            score(dist, labelled),
            pa.array(best.astype(np.int32)),
            score(verdict.posterior[rows, best]),
            pa.array(np.isin(pairs.key, state.protected)),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Matched) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Matched:
        return from_arrays(Matched, arrays)


def ratio(evidence, prior):
    value = np.exp(evidence - evidence.max(axis=1, keepdims=True, initial=-np.inf))
    return value / np.maximum((value * prior).sum(axis=1, keepdims=True), 1e-300)


def mean_prototypes(moments: FoldMoments) -> Prototypes:
    whole = moments.whole()
    seen = np.flatnonzero(whole.count > 0)
    without = np.stack([unit(moments.without(f).total[seen]) for f in range(len(moments.count))])
    return Prototypes(seen, unit(whole.total[seen]).astype(np.float32), without.astype(np.float32))


def unpack(sample: Sample, dims: int) -> Pairs:
    text = sample.vector[:, dims:].astype(np.float32)
    return Pairs(sample.key, sample.hash, sample.vector[:, :dims].astype(np.float32), text,
                 np.linalg.norm(text, axis=1) > 0.5, sample.label)


def fingerprint(text, key, captioned):
    bits = np.ascontiguousarray(text.astype(np.float16)).view(np.uint16).astype(np.uint64)
    odd = np.random.default_rng(0).integers(1, 2**63, bits.shape[1], dtype=np.uint64) | np.uint64(1)
    return np.where(captioned, (bits * odd).sum(axis=1, dtype=np.uint64), key)
