"""The gates of a night: what its rows must look like to be published beside the others."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.drift.distances import DISTANCES
from pipeline.drift.profile import Profile, comparable

FEW: Final = 20
"""New rows below which a night that is mostly copies, or unreadable, has no drift of its own."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Strict(BaseModel):
    """A part of the gates: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(Strict):
    """The least and the largest share; in a recipe `[low, high]`, or one number, the largest."""

    low: Share = 0.0
    high: Share = 1.0

    @model_validator(mode="before")
    @classmethod
    def _of_a_list(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"high": value}
        if isinstance(value, list | tuple) and len(value) == len(cls.model_fields):
            return dict(zip(cls.model_fields, value, strict=True))
        if isinstance(value, dict | cls):
            return value
        raise ValueError("must be [low, high], or one number, the largest share")

    @model_validator(mode="after")
    def _rises(self) -> "Range":
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} must be at most high {self.high:g}")
        return self


class MaxDrift(Strict):
    """How far a night may be from the nights before it; null = any distance."""

    actions: Share | None = 0.15
    """Change of the share of any action: .25 to .40 of the rows dropped is as much as may be."""
    scores: Share | None = 0.1
    """How far the scores of a column may move on average: the earth mover's distance."""
    classes: Share | None = 0.5
    """Share of the rows in classes that are more than three times as large or as small."""
    new_hosts: Share | None = None
    """Share of the rows with a host from hosts never seen; a crawl may visit new ones nightly."""
    new_classes: Share | None = 0.2
    """Share of the rows with a label from labels never seen."""
    changes: Annotated[int, Field(ge=0)] | None = None
    """Number of changes that `winnow diff` tells."""


class Gates(Strict):
    """When a night is not published; the recipe key `gates`."""

    min_rows: Annotated[int, Field(ge=0)] = 1
    """Rows that a night must have."""
    keep: Range = Range(low=0.2)
    """Share of the rows that are kept: below a fifth, policy and crawl do not belong together."""
    relabel: Range = Range(high=0.5)
    drop: Range = Range(high=0.8)
    quarantine: Range = Range(high=0.5)
    """Share of the rows that could not be read, failed downloads included."""
    max_drift: MaxDrift = MaxDrift()
    """Drift from the nights before."""
    reference_nights: Annotated[int, Field(ge=1)] = 7
    """Published nights before, which tonight is held against."""
    min_reference_rows: Annotated[int, Field(ge=0)] = 1000
    """Rows of those nights below which nothing is said about drift."""


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A gate that a night does not pass."""

    gate: str
    """Its key in the recipe."""
    value: float
    bound: float
    """What the value had to stay within."""
    message: str
    """One sentence with the remedy."""


def violations(
    gates: Gates, tonight: Profile, reference: Profile | None, num_copies: int = 0
) -> list[Violation]:
    """Return the gates that a night does not pass, in the order of the recipe.

    Parameters
    ----------
    gates
        What is asked of it.
    tonight
        Its rows.
    reference
        The rows of the nights before, or None. Drift is looked at only from
        `min_reference_rows` on, and only told where chance cannot explain it.
    num_copies
        Rows of it that are left out of `tonight`, since an earlier row has the very same picture:
        a crawl that comes again is whole, and says nothing of what is new.
    """
    found = [*_shares(gates, tonight, num_copies)]
    is_told = reference is not None and reference.rows >= gates.min_reference_rows
    if reference is not None and is_told and num_fresh(tonight) >= FEW:
        found += _drifts(gates.max_drift, *comparable(reference, tonight))
    return found


def num_fresh(tonight: Profile) -> int:
    """Return the rows of a night that could be read."""
    return tonight.rows - tonight.actions["quarantine"]


def _shares(gates: Gates, tonight: Profile, num_copies: int) -> Iterator[Violation]:
    num_rows = tonight.rows + num_copies
    if num_rows < gates.min_rows:
        told = f"the night has {num_rows:,} rows, gates.min_rows asks for {gates.min_rows:,}"
        yield Violation(
            gate="gates.min_rows",
            value=num_rows,
            bound=gates.min_rows,
            message=f"{told}; look whether the crawl came in whole, or lower gates.min_rows",
        )
    shares = dict(tonight.shares) if tonight.rows else {}
    if num_copies and shares:
        unread = tonight.actions["quarantine"] / num_rows
        is_told = num_fresh(tonight) >= FEW
        shares = (shares if is_told else {}) | {"quarantine": unread}
    for action, share in shares.items():
        allowed: Range = getattr(gates, action)
        if not allowed.low <= share <= allowed.high:
            told = f"{share:.1%} of the rows have the action {action}"
            bound = allowed.low if share < allowed.low else allowed.high
            yield _violation(action, share, bound, told)


def _drifts(bounds: MaxDrift, reference: Profile, tonight: Profile) -> Iterator[Violation]:
    for key, measure in DISTANCES.items():
        bound = getattr(bounds, key)
        if bound is not None:
            value, told = measure(reference, tonight)
            if value > bound:
                yield _violation(f"max_drift.{key}", value, bound, told)


def _violation(key: str, value: float, bound: float, told: str) -> Violation:
    gate, allows = f"gates.{key}", f"at {'least' if value < bound else 'most'} {bound:g}"
    message = (
        f"{told}: {value:.4g}, {gate} allows {allows}; look at the report of the night, and widen "
        f"{gate} if it is right"
    )
    return Violation(gate=gate, value=value, bound=bound, message=message)
