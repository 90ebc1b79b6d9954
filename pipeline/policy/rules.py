"""The rules a policy is made of, and the presets.

A rule reads score columns and says what should become of a row, and why. All rules are asked
about every row and every reason is kept; the most severe answer wins.
"""

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from pipeline.schema import CANDIDATES

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Drop(BaseModel):
    """Drops a row whose score reaches a threshold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Literal["drop"] = "drop"
    reason: str
    """Why, in kebab-case: it stands in the ledger."""
    column: str
    """The score column; a row on which its cleaner abstains (null) is not dropped."""
    above: Share
    """The least score that fires."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the rule needs."""
        return (self.column,)

    def fires(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows of `table` the rule is about."""
        return at_least(table, self.column, self.above)


class Relabel(BaseModel):
    """Gives a row whose label is suspect the predicted one where that is sure, else drops it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Literal["relabel"] = "relabel"
    reason: str
    column: str
    """How suspect the label is."""
    above: Share
    prediction: str
    """Column with the index of the class to give."""
    confidence: str
    """Column with the probability of that class."""
    sure: Share
    """Least confidence of a new label; below it the row is dropped."""
    protected: str | None = None
    """Boolean column: rows that are never relabelled nor dropped for their label."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the rule needs."""
        optional = (self.protected,) if self.protected else ()
        return (self.column, self.prediction, self.confidence, *optional)

    def fires(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows of `table` the rule is about."""
        suspect = at_least(table, self.column, self.above)
        return suspect & ~flag(table, self.protected) if self.protected else suspect

    def is_sure(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows have a prediction that may replace their label."""
        return at_least(table, self.confidence, self.sure)


class Choose(BaseModel):
    """Gives a row with several candidates the predicted one where that is sure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Literal["choose"] = "choose"
    reason: str = "several-labels"
    prediction: str
    """Column with the index of the class to give."""
    confidence: str
    """Column with the probability of that class."""
    sure: Share
    """Least confidence of the label; below it the row is left as it is."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the rule needs."""
        return (self.prediction, self.confidence)

    def fires(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows of `table` the rule is about."""
        is_several = pc.list_value_length(table[CANDIDATES]).fill_null(0).to_numpy() > 1
        is_known = numbers(table, self.prediction, -1) >= 0
        return np.asarray(is_several & is_known & self.is_sure(table))

    def is_sure(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows have a prediction that may become their label."""
        return at_least(table, self.confidence, self.sure)


class DropEmpty(BaseModel):
    """Drops a row whose caption has no words; a corpus without captions is left alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Literal["drop-empty"] = "drop-empty"
    reason: str = "empty-caption"

    @property
    def reads(self) -> tuple[str, ...]:
        """The score columns that the rule needs: none."""
        return ()

    def fires(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return which rows of `table` the rule is about."""
        blank = pc.equal(pc.utf8_trim_whitespace(table["caption"]), "")
        return np.asarray(blank.fill_null(fill_value=False).to_numpy(), dtype=bool)


Rule = Annotated[Choose | Drop | DropEmpty | Relabel, Field(discriminator="rule")]


class Policy(BaseModel):
    """What to do with rows, given their scores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str = ""
    """Which cleaners it uses, and why."""
    rules: tuple[Rule, ...]
    weight: str | None = None
    """Score column whose complement is the weight of a kept row; null = every weight is 1."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the rules need."""
        columns = [column for rule in self.rules for column in rule.reads]
        return tuple(dict.fromkeys([*columns, *([self.weight] if self.weight else [])]))

    @property
    def thresholds(self) -> dict[str, list[tuple[str, float]]]:
        """The thresholds on each score column, with the reason each stands for."""
        found: dict[str, list[tuple[str, float]]] = {}
        for rule in self.rules:
            if isinstance(rule, Drop | Relabel):
                found.setdefault(rule.column, []).append((rule.reason, rule.above))
        return found


def at_least(table: pa.Table, column: str, threshold: float) -> NDArray[np.bool_]:
    """Return which rows have a score of `threshold` or more; null is none."""
    return numbers(table, column, -1.0).astype(np.float32) >= np.float32(threshold)


def flag(table: pa.Table, column: str) -> NDArray[np.bool_]:
    """Return a boolean column; null is False."""
    return numbers(table, column, 0.0) > 0


def numbers(table: pa.Table, column: str, missing: float) -> NDArray[np.float64]:
    """Return a numeric column as float64, with `missing` for null."""
    return table[column].cast(pa.float64()).fill_null(missing).to_numpy()
