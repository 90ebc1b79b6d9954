"""`similar`: labels that the nearest images do not bear, as many as their noise rate says.

After SimiFeat (Zhu et al. 2022, "Detecting corrupted labels without training a model to
predict") with the noise rates of HOC (Zhu et al. 2021, "Clusterability as an alternative to anchor
points when learning with noisy labels"), as ADC (Pang et al. 2024) curates with. If a row and its
two nearest images share their true class, how often their three labels agree tells how noisy each
class is: so much of a class is flagged, first the rows whose neighbours vote most against them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.cleaners.columns import labels, lists, score, score_schema
from pipeline.contract import Amount, Count, Rows, Share
from pipeline.findings import Findings, LabelNoise
from pipeline.numeric.class_ranks import ClassRanks
from pipeline.numeric.consensus import Consensus, Transition
from pipeline.numeric.label_noise import noise_of_given
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.votes import Votes
from pipeline.schema import LABEL

STEEPNESS = 4.0
"""How sharply suspicion turns at the threshold: its mean is then 1.1 of the noise rate."""


@dataclass(frozen=True)
class Survey:
    """Sums over the corpus."""

    consensus: Consensus
    """Empty, and of one class, if there are too many for triples."""
    ranks: ClassRanks
    """Of the cosines of the votes to the label."""
    outvoted: NDArray[np.float64]
    """`(k,)` rows of each class whose neighbours vote for another."""
    copied: NDArray[np.float64]
    """Rows that have a neighbour which is nearly the same image, and rows."""

    def merge(self, other: "Survey") -> "Survey":
        """Return the sums over both sets of rows."""
        return Survey(
            self.consensus.merge(other.consensus),
            self.ranks.merge(other.ranks),
            self.outvoted + other.outvoted,
            self.copied + other.copied,
        )


@dataclass(frozen=True)
class Noise:
    """What `similar` has learned."""

    transition: Transition
    """Of true classes to labels; of one class, without noise, if there are too many."""
    rate: NDArray[np.float64]
    """`(k,)` shares of wrong labels among the labels of each class."""
    ranks: ClassRanks
    copied: float
    """Share of rows that have a nearly identical image beside them. With many in groups larger
    than the list of neighbours, noise is underestimated: a copy mostly copies the label."""


@dataclass(frozen=True, kw_only=True)
class Similar:
    """Finds labels that the nearest images do not bear, at the noise rate of each class."""

    name: ClassVar[str] = "similar"
    reads: ClassVar[tuple[str, ...]] = (LABEL, "neighbours.similarity", "neighbours.given")
    adds: ClassVar[pa.Schema] = score_schema(
        "similar",
        ("label", pa.float32(), "rank in the class against its noise rate: above .5 is flagged"),
        ("vote", pa.float32(), "1 - share of the neighbours' votes for the label"),
        ("prediction", pa.int32(), "the class with most votes"),
        ("confidence", pa.float32(), "its share of the votes: high is good"),
    )

    voters: Count = 20
    """Neighbours that vote: the nearest ones that have a label."""
    copy_distance: Share = 0.1
    """A neighbour this near, as a share of the distance of the last one listed, is a copy: it has
    no vote, for its label was copied too."""
    most_classes: Count = 100
    """With more, noise rates are those of the votes: triples of labels would be too many."""
    prior_rows: Amount = 10.0
    """Rows by which the noise rate of a class is drawn to that of the corpus."""

    def fit(self, rows: Rows) -> Noise:
        survey = partial(self._survey, len(rows.classes))
        total = rows.select(*self.reads).reduce(survey, Survey.merge)
        count, transition = total.ranks.num_rows, total.consensus.solve()
        if len(rows.classes) > self.most_classes:
            wrong = total.outvoted / np.maximum(count, 1.0)
        else:
            wrong = 1.0 - transition.keep_rate()
        mean = float(wrong @ count) / max(float(count.sum()), 1.0)
        rate = (count * wrong + self.prior_rows * mean) / (count + self.prior_rows)
        copied = float(total.copied[0] / max(total.copied[1], 1.0))
        return Noise(transition, rate, total.ranks, copied)

    def _survey(self, num_classes: int, batch: pa.Table) -> Survey:
        label, votes = labels(batch), self._votes(batch)
        known = np.where(votes.total > 0, label, -1)
        few = num_classes <= self.most_classes
        counted = label if few else np.full(len(label), -1)
        consensus = Consensus.of(counted, votes.label[:, :2], num_classes if few else 1)
        ranks = ClassRanks.of(known, votes.cosine(label), num_classes)
        against = (votes.winner != label) & (known >= 0)
        outvoted = np.bincount(label[against], minlength=num_classes).astype(np.float64)
        copied = np.array([self._copies(batch).any(axis=1).sum(), len(batch)], np.float64)
        return Survey(consensus, ranks, outvoted, copied)

    def _copies(self, batch: pa.Table) -> NDArray[np.bool_]:
        """Return which neighbours are nearly the same image as the row."""
        similarity = lists(batch, "neighbours.similarity")
        distance = (1.0 - similarity).clip(0.0)
        last = np.where(similarity > -1.0, distance, 0.0).max(axis=1, keepdims=True, initial=0.0)
        return np.asarray(distance < self.copy_distance * last)

    def _votes(self, batch: pa.Table) -> Votes:
        """Return the votes of the nearest labelled neighbours that are no copies."""
        similarity = lists(batch, "neighbours.similarity")
        label = np.where(self._copies(batch), -1, lists(batch, "neighbours.given"))
        nearest = np.argsort(label < 0, axis=1, kind="stable")[:, : self.voters]
        weight = np.take_along_axis(similarity, nearest, axis=1).clip(0.0)
        return Votes.of(np.take_along_axis(label, nearest, axis=1), weight)

    def score(self, state: Noise, batch: pa.Table) -> pa.Table:
        label, votes = labels(batch), self._votes(batch)
        heard = votes.total > 0
        judged = heard & (label >= 0)
        own = np.maximum(label, 0)
        below = state.ranks.below(own, votes.cosine(own))
        rate = state.rate[own].clip(1e-6, 1.0 - 1e-6)
        winner = votes.winner
        columns = [
            score(1.0 / (1.0 + (below / rate) ** STEEPNESS), judged),
            score(1.0 - votes.share(own), judged),
            pa.array(winner.astype(np.int32), mask=~heard),
            score(votes.share(winner), heard),
        ]
        return pa.table(columns, schema=self.adds)

    def tell(self, state: Noise) -> Findings:
        count, transition = state.ranks.num_rows, state.transition
        if not count.any():
            return Findings()
        rate = np.where(count > 0, state.rate, np.nan)
        noise = LabelNoise.of_rate(rate)
        if len(transition.prior) == len(rate):
            noise = replace(noise_of_given(transition.matrix, transition.prior), rate=rate)
        wrong = float(state.rate @ count / count.sum())
        shares = {"wrong labels": wrong, "images with a near copy": state.copied}
        return Findings(noise=noise, shares=shares)

    def dump(self, state: Noise) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Noise:
        return from_arrays(Noise, arrays)
