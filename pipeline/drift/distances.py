"""How far a night is from the nights before it: one number for each key of `max_drift`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import log
from typing import Final, NamedTuple

import numpy as np

from pipeline.drift.changes import changes
from pipeline.drift.comparisons import paired
from pipeline.drift.profile import Profile
from pipeline.drift.proportions import Ints, differ, distance, shifted
from pipeline.ledger import NUM_BINS
from pipeline.schema import ACTIONS

CHANCE: Final = 0.001
"""A drift that chance brings about more often than this is none, however large it looks."""
FACTOR: Final = 3.0
"""A class whose share of the rows is more than this many times as large or small has changed."""


class Distance(NamedTuple):
    """A drift, and the words for it."""

    value: float
    told: str


def of_actions(reference: Profile, tonight: Profile) -> Distance:
    """Return the largest change of the share of an action."""
    one, two = (np.array([*side.actions.values()]) for side in (reference, tonight))
    total, total2 = (np.full_like(side, max(side.sum(), 1)) for side in (one, two))
    gap = np.where(
        differ(one, total, two, total2) > CHANCE, 0.0, np.abs(two / total2 - one / total)
    )
    action = ACTIONS[int(gap.argmax())]
    was, now = reference.shares[action], tonight.shares[action]
    return Distance(
        float(gap.max()), f"action {action} had {was:.1%} of the rows and has {now:.1%}"
    )


def of_scores(reference: Profile, tonight: Profile) -> Distance:
    """Return the largest distance of a score column, see `proportions.distance`."""
    columns, one, two = paired(reference, tonight, "score", range(NUM_BINS))
    gap = np.where(shifted(one, two) > CHANCE, 0.0, distance(one, two))
    if not len(gap):
        return Distance(0.0, "no column is scored")
    at = int(np.abs(gap).argmax())
    lie = "higher" if gap[at] > 0 else "lower"
    return Distance(abs(float(gap[at])), f"the scores {columns[at][0]} lie {lie} than before")


def of_classes(reference: Profile, tonight: Profile) -> Distance:
    """Return the share of the rows in classes that are `FACTOR` times as large or small."""
    one, two = _rows(reference, tonight, "label")
    total, total2 = (np.full_like(side, max(side.sum(), 1)) for side in (one, two))
    ratio = np.log((two + 0.5) / (total2 + 1.0)) - np.log((one + 0.5) / (total + 1.0))
    is_sure = differ(one, total, two, total2) <= CHANCE
    changed = is_sure & (np.abs(ratio) > log(FACTOR))
    share = np.maximum(one / total, two / total2)[changed].sum()
    told = f"{changed.sum():,} classes are more than {FACTOR:g} times as large or small as before"
    return Distance(min(float(share), 1.0), told)


def of_new(reference: Profile, tonight: Profile, kinds: Sequence[str], told: str) -> Distance:
    """Return the share of the rows under names never seen, beyond what is to be expected.

    Of rows drawn alike as many have a name never seen as had a name seen once (Good, 1953).
    """
    parts = [_rows(reference, tonight, kind) for kind in kinds]
    one, two = (np.concatenate(sides) for sides in zip(*parts, strict=True))
    fresh, total2 = int(two[one == 0].sum()), int(two.sum())
    single, total = int((one == 1).sum()), int(one.sum())
    (p,) = differ(*(np.array([num]) for num in (single, total, fresh, total2)))
    share = fresh / max(total2, 1)
    value = 0.0 if p > CHANCE else max(share - single / max(total, 1), 0.0)
    return Distance(value, f"{share:.1%} of the rows have a {told} that no night before had")


def of_changes(reference: Profile, tonight: Profile) -> Distance:
    """Return the number of changes."""
    num = len(changes(reference, tonight))
    return Distance(num, f"{num:,} things are different from before")


def _rows(reference: Profile, tonight: Profile, kind: str) -> tuple[Ints, Ints]:
    """Return the readable rows of both sides under each name of a kind."""
    found, one, two = paired(reference, tonight, kind, ACTIONS)
    is_named = np.array([name is not None for (name,) in found], bool)
    return one[is_named, :-1].sum(axis=1), two[is_named, :-1].sum(axis=1)


DISTANCES: Final[Mapping[str, Callable[[Profile, Profile], Distance]]] = {
    "actions": of_actions,
    "scores": of_scores,
    "classes": of_classes,
    "new_hosts": partial(of_new, kinds=("host",), told="host"),
    "new_classes": partial(of_new, kinds=("label", "unknown"), told="label"),
    "changes": of_changes,
}
"""By the key of `gates.max_drift` that bounds it."""
