"""`ask`: which rows in doubt to show to a person or a larger model, within a budget.

The probabilities are those of a game against the teacher's errors (see `numeric.asking`); exactly
as many rows as the budget allows are drawn with them. The output holds them as `queries.csv`; with
its column `label` filled in, that file is what `source.answers` of the next run takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from pipeline.cleaners.columns import keys, lists, numbers, score, score_schema
from pipeline.contract import Rows
from pipeline.numeric.asking import Asking, Gains, Smallest
from pipeline.numeric.quota import uniform
from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.schema import ANSWERED

SALT = 7
Share = Annotated[float, Field(ge=0.0, le=1.0)]
DOUBT = ("match.label", "probe.label")


@dataclass(frozen=True)
class Asked:
    """What `ask` has learned."""

    asking: Asking
    cutoff: float
    """Of the draws: rows up to it are asked."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Chooses rows in doubt for a teacher that costs something and is not always right."""

    name: ClassVar[str] = "ask"
    reads: ClassVar[tuple[str, ...]] = (
        *("uid", ANSWERED, "probe.prediction", "probe.share", *DOUBT),
    )
    adds: ClassVar[pa.Schema] = score_schema(
        "ask",
        ("gain", pa.float32(), "1 - margin of the two likeliest classes; null if not in doubt"),
        ("inclusion", pa.float32(), "probability of being asked: weigh an answer by its inverse"),
        ("chosen", pa.bool_(), "whether the row is asked"),
    )

    budget: Annotated[int, Field(ge=1)] = 1000
    """Rows to ask about."""
    doubt: tuple[str, ...] = DOUBT
    """Score columns: a row is in doubt if one is unsure, or if one says yes and another no."""
    low: Share = 0.3
    """Score below which a column says no."""
    high: Share = 0.7
    """Score above which a column says yes."""
    teacher_error: Share = 0.1
    """Share of wrong answers to reckon with."""
    wrong_answer: Literal["useless", "harmful"] = "useless"
    """What a wrong answer does: gain nothing, or cost as much as a right one gains."""

    def __post_init__(self) -> None:
        # the columns that a recipe names are read in place of the usual ones
        rest = tuple(column for column in type(self).reads if column not in DOUBT)
        object.__setattr__(self, "reads", (*rest, *self.doubt))

    def fit(self, rows: Rows) -> Asked:
        rows = rows.select(*self.reads)
        gains = rows.reduce(self._count, Gains.merge)
        num_wrong = int(gains.count.sum() * self.teacher_error)
        asking = gains.solve(num_wrong, cost=1 if self.wrong_answer == "useless" else 2)
        drawn = rows.reduce(partial(self._drawn, asking), Smallest.merge).value
        return Asked(asking, float(drawn[-1]) if len(drawn) else 0.0)

    def _count(self, batch: pa.Table) -> Gains:
        return Gains.of(gain(batch)[self._is_doubtful(batch)])

    def _drawn(self, asking: Asking, batch: pa.Table) -> Smallest:
        draw = self._draws(asking, batch)
        return Smallest.of(self.budget, draw[np.isfinite(draw)])

    def _inclusion(self, asking: Asking, batch: pa.Table) -> NDArray[np.float64]:
        """Return the `(n,)` probabilities of being asked; 0 without doubt."""
        share = asking.probability(gain(batch))
        return np.where(self._is_doubtful(batch), np.minimum(self.budget * share, 1.0), 0.0)

    def _draws(self, asking: Asking, batch: pa.Table) -> NDArray[np.float64]:
        """Return `(n,)` numbers of which the smallest are asked: a uniform one by the inclusion.

        Order sampling of a fixed size (Ohlsson 1998, "Sequential Poisson sampling").
        """
        inclusion = self._inclusion(asking, batch)
        drawn = uniform(keys(batch), SALT)
        return np.where(inclusion > 0.0, drawn / np.maximum(inclusion, 1e-300), np.inf)

    def _is_doubtful(self, batch: pa.Table) -> NDArray[np.bool_]:
        """Return which rows are in doubt and have not been asked about before."""
        said = np.array([numbers(batch, column) for column in self.doubt])
        yes, no = said > self.high, said < self.low
        unsure = ((said >= self.low) & (said <= self.high)).any(axis=0)
        at_odds = yes.any(axis=0) & no.any(axis=0)
        known = batch["probe.prediction"].is_valid().to_numpy()
        answered = batch[ANSWERED].fill_null(fill_value=False).to_numpy()
        return np.asarray((unsure | at_odds) & known & ~answered)

    def score(self, state: Asked, batch: pa.Table) -> pa.Table:
        chosen = self._draws(state.asking, batch) <= state.cutoff
        columns = [
            score(gain(batch), self._is_doubtful(batch)),
            score(self._inclusion(state.asking, batch)),
            pa.array(chosen),
        ]
        return pa.table(columns, schema=self.adds)

    def dump(self, state: Asked) -> Mapping[str, NDArray[Any]]:
        return to_arrays(state)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Asked:
        return from_arrays(Asked, arrays)


def gain(batch: pa.Table) -> NDArray[np.float64]:
    """Return `(n,)` gains of an answer: 1 - the margin of the two likeliest classes."""
    share = lists(batch, "probe.share")
    return np.clip(1.0 - (share[:, 0] - share[:, 1]), 0.0, 1.0).astype(np.float64)
