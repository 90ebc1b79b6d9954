"""What is different tonight: changes too large and too sure to be chance."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import false_discovery_control

from pipeline.drift.comparisons import Tests, compare
from pipeline.drift.profile import Profile, comparable
from pipeline.drift.proportions import Floats

FALSE_SHARE: Final = 0.05
"""Of the changes that are told, the share that may be chance (Benjamini and Hochberg, 1995)."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that is different tonight."""

    kind: str
    """`action`, `class`, `label` (one that is no class), `host`, `score` or `pair` of tags."""
    name: str | None
    """Of the class, label, host or pair; None = the rows without one, or all rows."""
    what: str
    """An action, a score column, `share of rows`, `new`, `vanished` or `together`."""
    reference: float
    """Share, mean score or Jaccard index before."""
    tonight: float
    effect: float
    """In multiples of what is worth telling, at least 1 or at most -1; above 0 is more tonight."""
    p: float
    """Adjusted for the number of tests."""


def changes(reference: Profile, tonight: Profile) -> list[Change]:
    """Return what is different between two profiles.

    What concerns the whole night comes first, then the largest effect.

    A change is told if it is no chance, with all tests of both profiles weighed together, and if
    it reaches the floor of its kind: of a million rows any difference is significant, so there the
    floors of `comparisons` decide, and of a thousand rows the tests do. Rows count as
    independent; hosts that come and go in bulk are news, not noise.
    """
    tests = [found for found in compare(*comparable(reference, tonight)) if len(found.p)]
    if not tests:
        return []
    p = false_discovery_control(np.concatenate([found.p for found in tests]))
    ends = np.cumsum([len(found.p) for found in tests])[:-1]
    told = [
        change
        for found, adjusted in zip(tests, np.split(p, ends), strict=True)
        for change in _told(found, adjusted)
    ]
    return sorted(told, key=_order)


def _order(change: Change) -> tuple[bool, float, str, str, str]:
    is_part = change.kind not in ("action", "score")
    return is_part, -abs(change.effect), change.kind, change.name or "", change.what


def _told(tests: Tests, adjusted: Floats) -> list[Change]:
    chosen = np.flatnonzero((adjusted <= FALSE_SHARE) & (np.abs(tests.effect) >= 1.0))
    return [
        Change(
            kind=tests.kind,
            name=tests.name[i],
            what=tests.what[i],
            reference=float(tests.reference[i]),
            tonight=float(tests.tonight[i]),
            effect=float(tests.effect[i]),
            p=float(adjusted[i]),
        )
        for i in chosen.tolist()
    ]
