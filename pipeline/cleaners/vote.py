"""`vote`: what several rules of thumb say of a row together, the web label being one of them.

After data programming (Ratner et al. 2016) as in DP-SSL (Xu et al. 2021). Each function votes
for a class or abstains; a label model learns from their agreements alone how often each speaks
and is right, class by class where classes are few, and counts functions that err alike as one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import (
    folds,
    hashes,
    keys,
    labels,
    lists,
    numbers,
    score,
    score_schema,
    vectors,
)
from pipeline.cleaners.labelling import Hosts, Keywords, hosts_of
from pipeline.contract import Count, Folds, Rows, Share
from pipeline.findings import Findings, Kinship
from pipeline.numeric.bottom import Bottom, Columns
from pipeline.numeric.class_sums import ClassSums
from pipeline.numeric.label_model import LabelModel, fit_label_model
from pipeline.numeric.nearest import Nearest, fit_nearest
from pipeline.numeric.patterns import ABSTAIN, Patterns
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.vote_weight import conflict
from pipeline.numeric.votes import Votes
from pipeline.schema import IMAGE, LABEL

Function = Literal["zero-shot", "neighbours", "prototypes", "probe", "keywords", "host"]
READS: dict[str, tuple[str, ...]] = {
    "neighbours": ("neighbours.given",),
    "probe": ("probe.prediction", "probe.confidence"),
    "keywords": ("caption",),
    "host": ("fields",),
}
"""What a function reads besides the image and the label."""
SEERS = ("zero-shot", "neighbours", "prototypes", "probe")
"""Functions that see the same image vectors."""
KIN = 0.5
"""Share of their errors that these are taken to make together, if no more is seen."""


@dataclass(frozen=True)
class Survey:
    """Sums over the corpus, and a bounded sample of its labelled rows."""

    sums: ClassSums
    sample: Bottom

    def merge(self, other: "Survey") -> "Survey":
        """Return the sums over both sets of rows."""
        return Survey(self.sums.merge(other.sums), self.sample.merge(other.sample))


@dataclass(frozen=True)
class Polled:
    """What `vote` has learned."""

    named: Nearest
    """Class probabilities by the names."""
    shown: Nearest
    """Class probabilities by the mean images of the labels, out of fold."""
    keywords: Keywords
    hosts: Hosts
    model: LabelModel
    """Of the label, and of the functions in the order of the recipe."""


@dataclass(frozen=True, kw_only=True)
class Vote:
    """Lets rules of thumb and the web label vote, and learns whom to believe."""

    name: ClassVar[str] = "vote"
    adds: ClassVar[pa.Schema] = score_schema(
        "vote",
        ("label", pa.float32(), "P(the label is wrong); null if no function speaks"),
        ("conflict", pa.float32(), "share of the say that is not for the strongest class"),
        ("prediction", pa.int32(), "the most likely class"),
        ("confidence", pa.float32(), "its probability: high is good"),
    )

    functions: tuple[Function, ...] = (
        *("zero-shot", "neighbours", "prototypes"),
        *("probe", "keywords"),
    )
    """Who votes beside the label; `host` is the most common label of the host of a row's URL."""
    gate: Share = 0.5
    """Own confidence below which a function abstains."""
    folds: Folds = 5
    """Parts that prototypes are summed without, so that no row meets itself."""
    sample_rows: Count = 20_000
    """Rows on which sharpness is fitted and hosts are counted."""
    max_patterns: Count = 50_000
    """Combinations of votes kept; of more a random share."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the row itself, and those of the functions."""
        others = (column for name in self.functions for column in READS.get(name, ()))
        return ("uid", "image_hash", IMAGE, LABEL, *dict.fromkeys(others))

    def fit(self, rows: Rows) -> Polled:
        rows, num_classes = rows.select(*self.reads), len(rows.classes)
        survey = rows.reduce(partial(self._survey, num_classes), Survey.merge)
        sample = survey.sample
        image, label = sample.column["image"].astype(np.float32), sample.column["label"]
        fold = (sample.hash % np.uint64(self.folds)).astype(np.int64)
        centre, named = survey.sums.centre, rows.classes.embedding[None]
        none = np.zeros((0, 1 + len(self.functions)), np.int64)
        state = Polled(
            fit_nearest(centre, named, image, 0 * fold, label),
            fit_nearest(centre, survey.sums.prototype(), image, fold, label),
            Keywords.of(rows.classes.name),
            Hosts.of(sample.column["host"], label),
            fit_label_model(none, np.zeros(0), num_classes, num_steps=0),
        )
        patterns = rows.reduce(partial(self._count, state), Patterns.merge)
        seers = np.array([False, *(name in SEERS for name in self.functions)])
        kin = KIN * np.outer(seers, seers)
        model = fit_label_model(patterns.vote, patterns.weight, num_classes, kin=kin)
        return Polled(state.named, state.shown, state.keywords, state.hosts, model)

    def _survey(self, num_classes: int, batch: pa.Table) -> Survey:
        image, present = vectors(batch, IMAGE)
        label = labels(batch)
        known = present & (label >= 0)
        host = np.zeros(len(batch), np.uint64)
        if "host" in self.functions:
            host = hosts_of(batch["fields"].to_pylist())
        column: Columns = {
            "image": image[known].astype(np.float16),
            "label": label[known],
            "host": host[known],
        }
        name = hashes(batch)[known], keys(batch)[known]
        fold, shape = folds(batch, self.folds), (self.folds, num_classes)
        sums = ClassSums.of(image[present], label[present], fold[present], shape)
        return Survey(sums, Bottom.of(self.sample_rows, *name, column))

    def _count(self, state: Polled, batch: pa.Table) -> Patterns:
        vote = self._poll(state, batch)
        return Patterns.of(self.max_patterns, vote[(vote != ABSTAIN).any(axis=1)])

    def _poll(self, state: Polled, batch: pa.Table) -> NDArray[np.int64]:
        """Return the `(n, m)` votes: of the label, then of each function; -1 abstains."""
        said = [self._ask(name, state, batch) for name in self.functions]
        return np.column_stack([labels(batch), *said]).astype(np.int64)

    def _ask(self, name: str, state: Polled, batch: pa.Table) -> NDArray[np.int64]:
        if name == "keywords":
            return state.keywords.vote(batch["caption"].to_pylist())
        if name == "host":
            return state.hosts.vote(hosts_of(batch["fields"].to_pylist()), labels(batch), self.gate)
        if name == "probe":
            best = batch["probe.prediction"].fill_null(ABSTAIN).to_numpy()
            return np.where(
                np.nan_to_num(numbers(batch, "probe.confidence")) >= self.gate, best, ABSTAIN
            )
        if name == "neighbours":
            given = lists(batch, "neighbours.given")
            given[batch["neighbours.given"].is_null().to_numpy()] = ABSTAIN
            votes = Votes.of(given, (given >= 0).astype(np.float64))
            return np.where(votes.share(votes.winner) >= self.gate, votes.winner, ABSTAIN)
        image, present = vectors(batch, IMAGE)
        near = state.named if name == "zero-shot" else state.shown
        fold = folds(batch, len(near.prototype))
        share = near.probability(near.cosine(image, fold))
        sure = present & near.is_telling & (share.max(axis=1) >= self.gate)
        return np.where(sure, share.argmax(axis=1), ABSTAIN)

    def score(self, state: Polled, batch: pa.Table) -> pa.Table:
        vote, model = self._poll(state, batch), state.model
        candidate, belief = model.posterior(vote)
        row, best = np.arange(len(vote)), belief.argmax(axis=1)
        own = np.where(candidate == vote[:, :1], belief, 0.0).sum(axis=1)
        speaks = (vote[:, 1:] != ABSTAIN).any(axis=1)
        prediction = candidate[row, best]
        named = speaks & (prediction != ABSTAIN)
        columns = [
            score(1.0 - own, speaks & (vote[:, 0] != ABSTAIN)),
            score(conflict(vote, model.say), speaks),
            pa.array(prediction.astype(np.int32), mask=~named),
            score(belief[row, best], named),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Polled) -> Findings:
        model, name = state.model, ("label", *self.functions)
        right = model.accuracy @ model.prior
        shares = {
            f"votes of {of} that are right": float(s) for of, s in zip(name, right, strict=True)
        }
        return Findings(shares=shares, kinship=Kinship(name, model.agreement, model.say))

    def dump(self, state: Polled) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Polled:
        return from_arrays(Polled, arrays)
