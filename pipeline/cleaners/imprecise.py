"""`imprecise`: what class a row is of, if labels are noisy, several or missing: one model.

After ILL (Chen et al. 2024, "Imprecise label learning"). Class probabilities of the image and a
matrix of label confusions are brought together by expectation-maximisation: every step is one
pass that sums expected counts of pairs of class and label. The probabilities must not have seen
the labels, or the labels are used twice and found right: they are those of the classes' *names*.
If the names do not tell the classes, the cleaner abstains.

A row may have several labels of which one is right (`source.labels: candidates`): its noisy label
is one of them, nobody knows which.

It is assumed that how a label goes wrong depends on the class alone, not on the image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import hashes, keys, lists, score, score_schema, several, vectors
from pipeline.contract import Count, Rows
from pipeline.findings import Findings
from pipeline.numeric.bottom import Bottom, Columns
from pipeline.numeric.clues import Clue, completed, kept_cells, listed
from pipeline.numeric.given import drawn, narrowed, widened
from pipeline.numeric.label_noise import class_shares, noise_of_given
from pipeline.numeric.nearest import Nearest, fit_nearest, tells
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.sharpen import sharpen
from pipeline.numeric.transition import Counts, Transition
from pipeline.schema import CANDIDATES, IMAGE, LABEL, MAX_LABELS

TOP = 16
"""Classes that a row may be of, besides those of its labels."""
BINS = 16
"""Bins of how well any class fits an image, of equally many rows."""

SHARPEN_ROWS = 2_000
"""Rows of the sample on which sharpness and confusions are weighed against one another."""
MOST_TOLD = 2_000
"""With more classes, their confusions are not told."""


@dataclass(frozen=True)
class Survey:
    """The mean image, and a bounded sample of labelled ones."""

    total: NDArray[np.float64]
    """`(d,)` sum of the images."""
    count: int
    sample: Bottom

    def merge(self, other: "Survey") -> "Survey":
        """Return the sums over both sets of rows."""
        total, count = self.total + other.total, self.count + other.count
        return Survey(total, count, self.sample.merge(other.sample))


@dataclass(frozen=True)
class Inferred:
    """What `imprecise` has learned."""

    nearest: Nearest
    """Class probabilities by the names."""
    edge: NDArray[np.float64]
    """`(b - 1,)` bounds of the bins of fit."""
    transition: Transition
    is_telling: bool
    """Whether the probabilities tell the classes; if not, the cleaner abstains."""


@dataclass(frozen=True, kw_only=True)
class Imprecise:
    """Infers classes from noisy, missing or ambiguous labels by a matrix of label confusions."""

    name: ClassVar[str] = "imprecise"
    adds: ClassVar[pa.Schema] = score_schema(
        "imprecise",
        ("label", pa.float32(), "P(all labels are wrong); null without one"),
        ("outlier", pa.float32(), "P(the image is of no class)"),
        ("prediction", pa.int32(), "the most likely class; a label, if likely one is right"),
        ("confidence", pa.float32(), "its probability: high is good"),
    )

    source: Literal["names", "probe"] = "names"
    """Probabilities by the names of the classes, or those of `probe`, which saw the labels."""
    steps: Count = 20
    """Steps of expectation-maximisation, each one pass."""
    width: Count = 1_000
    """Labels per class whose confusion is counted apart; all others of a class share one rate."""
    sample_rows: Count = 20_000
    """Rows on which the sharpness is fitted and confusions to count are found."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the image, or of the probe."""
        row = ("uid", "image_hash", LABEL, CANDIDATES)
        return (*row, IMAGE) if self.source == "names" else (*row, "probe.top", "probe.share")

    def fit(self, rows: Rows) -> Inferred:
        rows, num_classes = rows.select(*self.reads), len(rows.classes)
        nearest = self._fit_names(rows)
        sample = rows.reduce(partial(self._gather, nearest), Bottom.merge)
        column, inner = sample.column, np.linspace(0, 1, BINS + 1)[1:-1]
        given = narrowed(column["given"])
        edge = np.quantile(column["fit"], inner) if len(sample.key) else np.zeros(BINS - 1)
        telling = tells(column["top"][:, 0], given, num_classes)
        cell = kept_cells(column["top"], column["share"], given, num_classes, self.width)
        state = Inferred(nearest, edge, Transition.start(cell, num_classes, BINS), telling)
        for _ in range(self.steps if telling else 0):
            counts = rows.reduce(partial(self._count, state), Counts.merge)
            transition = state.transition.step(counts)
            state = Inferred(nearest, edge, transition, telling)
        return state

    def _fit_names(self, rows: Rows) -> Nearest:
        named = rows.classes.embedding
        if self.source == "probe":
            prior = np.full(len(named), 1.0 / len(named))
            none = np.zeros((1, len(named), 0), np.float32)
            return Nearest(none[0, 0], none, prior, scale=1.0, is_telling=False)
        survey = rows.reduce(self._survey, Survey.merge)
        image, given = survey.sample.column["image"], narrowed(survey.sample.column["given"])
        label = drawn(given, survey.sample.hash)
        centre, image = survey.total / max(survey.count, 1), image.astype(np.float32)
        nearest = fit_nearest(centre, named[None], image, np.zeros_like(label), label)
        cosine = nearest.cosine(image, np.zeros_like(label))
        if not tells(cosine.argmax(axis=1), given, len(named)):
            return nearest
        return sharpen(nearest, cosine[:SHARPEN_ROWS], given[:SHARPEN_ROWS], TOP // 2)

    def _survey(self, batch: pa.Table) -> Survey:
        image, present = vectors(batch, IMAGE)
        given = widened(several(batch, CANDIDATES), MAX_LABELS, -1)
        known = present & (given[:, 0] >= 0)
        column: Columns = {"image": image[known].astype(np.float16), "given": given[known]}
        name = hashes(batch)[known], keys(batch)[known]
        total = image.sum(axis=0, dtype=np.float64)
        return Survey(total, int(present.sum()), Bottom.of(self.sample_rows, *name, column))

    def _gather(self, nearest: Nearest, batch: pa.Table) -> Bottom:
        given = several(batch, CANDIDATES)
        top, share, fit, present = self._soft(nearest, batch, given)
        known = present & (given[:, 0] >= 0)
        column: Columns = {
            "top": widened(top[known], TOP + MAX_LABELS, -1),
            "share": widened(share[known], TOP + MAX_LABELS, 0),
            "fit": fit[known],
            "given": widened(given[known], MAX_LABELS, -1),
        }
        return Bottom.of(self.sample_rows, hashes(batch)[known], keys(batch)[known], column)

    def _count(self, state: Inferred, batch: pa.Table) -> Counts:
        clue, present = self._clue(state, batch)
        return state.transition.counts(clue.take(present))

    def _soft(
        self, nearest: Nearest, batch: pa.Table, given: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Return classes, their probabilities, the fit of the best, and where any are known.

        Those of the labels stand last, with probability 0 where they stood among the others.
        """
        if self.source == "names":
            image, present = vectors(batch, IMAGE)
            cosine = nearest.cosine(image, np.zeros(len(image), np.int64))
            top, share = listed(nearest.probability(cosine), given, TOP)
            return top, share, cosine.max(axis=1, initial=-1.0).astype(np.float64), present
        known = lists(batch, "probe.top"), lists(batch, "probe.share")
        top, share = completed(*known, given, len(nearest.prior))
        return top, share, share.max(axis=1, initial=0.0), share.sum(axis=1) > 0

    def _clue(self, state: Inferred, batch: pa.Table) -> tuple[Clue, NDArray[np.bool_]]:
        given = several(batch, CANDIDATES)
        top, share, fit, present = self._soft(state.nearest, batch, given)
        place = np.searchsorted(state.edge, fit, side="right")
        return Clue(top, share, given, place), present

    def score(self, state: Inferred, batch: pa.Table) -> pa.Table:
        clue, present = self._clue(state, batch)
        member, alien = state.transition.posterior(clue)
        present, labelled = present & state.is_telling, clue.given[:, 0] >= 0
        own, best = clue.judge(member)
        place = np.arange(len(own)), best
        columns = [
            score(1.0 - own, present & labelled),
            score(alien, present),
            pa.array(clue.top[place].astype(np.int32), mask=~present),
            score(member[place], present),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Inferred) -> Findings:
        if not state.is_telling:
            return Findings()
        shares = {"images of no class": float(state.transition.foreign.mean())}
        if self.source == "probe" or len(state.nearest.prior) > MOST_TOLD:
            return Findings(shares=shares)
        given = state.transition.given
        share = class_shares(given, state.nearest.prior)
        shares["wrong labels"] = 1.0 - float(share @ np.diag(given))
        return Findings(noise=noise_of_given(given, share), shares=shares)

    def dump(self, state: Inferred) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Inferred:
        return from_arrays(Inferred, arrays)
