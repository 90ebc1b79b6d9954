"""`prune`: which clean rows to leave out of a smaller corpus, and a teacher for those that stay.

After "Distilling the Knowledge in Data Pruning" (Ben-Baruch et al. 2024): with a teacher that has
seen all rows, a random share of each class trains as well as any chosen one. Rows that are hard
are mostly rows that are wrong, so only rows that a noise cleaner believes take part: a recipe
without `match` before `prune` is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from pipeline.cleaners.columns import hashes, labels, lists, numbers, score, score_schema
from pipeline.contract import Count, Rows, Share
from pipeline.numeric.class_ranks import ClassRanks
from pipeline.numeric.quota import Quota, uniform
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.schema import LABEL

NUM_BINS = 1024
SHARES, WEIGHTS = (0.1, 0.3, 1.0), (1.0, 0.9, 0.5)
"""Weight of the teacher by the share of rows that is kept, linear in between."""


@dataclass(frozen=True)
class Pruned:
    """What `prune` has learned."""

    quota: Quota
    """Of every class, and last of the rows without a label."""
    names: NDArray[np.uint8]
    """Names of the classes as UTF-8, each ended by a line feed."""


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Picks the rows to leave out where fewer are wanted, class by class."""

    name: ClassVar[str] = "prune"
    reads: ClassVar[tuple[str, ...]] = (
        *("image_hash", LABEL, "match.label", "probe.prediction", "probe.top", "probe.share"),
    )
    adds: ClassVar[pa.Schema] = score_schema(
        "prune",
        ("out", pa.float32(), "1 beyond the quota of its class, else 0; null if held to be wrong"),
        ("difficulty", pa.float32(), "EL2N: distance of prediction and label over sqrt 2"),
        ("teacher", pa.list_(pa.string()), "the most likely classes, for distillation"),
        ("share", pa.list_(pa.float32()), "their probabilities, falling"),
        ("confidence", pa.float32(), "weight of the teacher in the loss of a student"),
    )

    keep: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Share of the rows of every class to keep, of those that are held to be right."""
    by: Literal["random", "hard", "easy"] = "random"
    """Which rows to keep: drawn by hash, or those of the largest or the least difficulty."""
    wrong: Share = 0.5
    """`match.label` from which a row is held to be wrong: it is neither kept nor pruned here."""
    least_rows: Count = 10
    """Rows that a class keeps at least."""
    teacher_classes: Count = 8
    """Classes that the teacher names for a row."""

    def fit(self, rows: Rows) -> Pruned:
        num_classes = len(rows.classes)
        tally = partial(self._tally, num_classes)
        ranks = rows.select(*self.reads).reduce(tally, ClassRanks.merge)
        names = "".join(f"{' '.join(name.splitlines())}\n" for name in rows.classes.name)
        quota = Quota.of(ranks.count, self.keep, self.least_rows)
        return Pruned(quota, np.frombuffer(names.encode(), np.uint8))

    def _tally(self, num_classes: int, batch: pa.Table) -> ClassRanks:
        label = np.where(self._is_wrong(batch), -1, strata(batch, num_classes))
        return ClassRanks.of(label, self._order(batch), num_classes + 1, NUM_BINS)

    def score(self, state: Pruned, batch: pa.Table) -> pa.Table:
        label = strata(batch, len(state.quota.last) - 1)
        draw = uniform(hashes(batch), salt=1)
        held = state.quota.holds(label, self._order(batch), draw)
        known = batch["probe.prediction"].is_valid().to_numpy()
        columns = [
            score(1.0 - held, ~self._is_wrong(batch)),
            score(difficulty(batch), known & (labels(batch) >= 0)),
            *self._teach(state, batch),
            score(np.full(len(batch), teacher_weight(self.keep)), known),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Pruned) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Pruned:
        return from_arrays(Pruned, arrays)

    def _is_wrong(self, batch: pa.Table) -> NDArray[np.bool_]:
        """Return which rows the noise cleaner does not believe."""
        return np.nan_to_num(numbers(batch, "match.label")) >= self.wrong

    def _order(self, batch: pa.Table) -> NDArray[np.float64]:
        """Return `(n,)` numbers in [0, 1]: rows with small ones are kept first."""
        drawn = uniform(hashes(batch), salt=0)
        if self.by == "random":
            return drawn
        hard = difficulty(batch)
        order = 1.0 - hard if self.by == "hard" else hard
        return np.where(np.isnan(order), drawn, order)

    def _teach(self, state: Pruned, batch: pa.Table) -> tuple[pa.Array, pa.Array]:
        """Return the names and the shares of the most likely classes; null without a probe."""
        name = pa.array(state.names.tobytes().decode().split("\n")[:-1], pa.string())
        top = lists(batch, "probe.top")[:, : self.teacher_classes]
        share = lists(batch, "probe.share")[:, : self.teacher_classes]
        missing = batch["probe.prediction"].is_null().combine_chunks()
        told = (share > 0) & (top >= 0)
        edge = pa.array(np.r_[0, np.cumsum(told.sum(axis=1))], pa.int32())
        taught = name.take(pa.array(top[told], pa.int32())), pa.array(share[told], pa.float32())
        return tuple(pa.ListArray.from_arrays(edge, value, mask=missing) for value in taught)


def strata(batch: pa.Table, num_classes: int) -> NDArray[np.int64]:
    """Return the `(n,)` classes; rows without a label are one more."""
    label = labels(batch)
    return np.where(label < 0, num_classes, label)


def difficulty(batch: pa.Table) -> NDArray[np.float64]:
    """Return `(n,)` distances of the probabilities and the label, in [0, 1]; NaN without either.

    EL2N of Paul et al. 2021, "Deep learning on a data diet", by a head that has not seen the row.
    """
    top, share = lists(batch, "probe.top"), lists(batch, "probe.share").astype(np.float64)
    label = labels(batch)
    own = np.where(top == label[:, None], share, 0.0).sum(axis=1)
    squared = np.maximum((share**2).sum(axis=1) - 2.0 * own + 1.0, 0.0)
    known = batch["probe.prediction"].is_valid().to_numpy() & (label >= 0)
    return np.where(known, np.minimum(np.sqrt(squared / 2.0), 1.0), np.nan)


def teacher_weight(keep: float) -> float:
    """Return how much of a student's loss should come from the teacher: the more, the fewer rows.

    Examples
    --------
    >>> [round(teacher_weight(keep), 2) for keep in (0.05, 0.1, 0.2, 0.3, 0.65, 1.0)]
    [1.0, 1.0, 0.95, 0.9, 0.7, 0.5]
    """
    return float(np.interp(keep, SHARES, WEIGHTS))
