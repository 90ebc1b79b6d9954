"""What is compared between two profiles, test by test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.drift.counting import NUM_CLASS_BINS
from pipeline.drift.profile import Profile
from pipeline.drift.proportions import Floats, Ints, differ, distance, shifted
from pipeline.ledger import NUM_BINS
from pipeline.schema import ACTIONS

VOLUME: Final = log(1.5)
"""Floor of a change of volume: the logarithm of the ratio of two shares."""
RATE: Final = 0.2
"""Floor of a change of rate, Cohen's h: .02 to .06, .10 to .17, .50 to .60 or .90 to .95."""
SCORE: Final = 0.05
"""Floor of a shift of scores: the earth mover's distance, 1 in 20 rows from 0 to 1."""
CLASS_SCORE: Final = 0.1
"""The same within one class, where a handful of rows can be the cause."""
PAIR: Final = 0.1
"""Floor of a change of co-occurrence: the difference of Fisher's z of two Jaccard indices."""
OLD_ROWS: Final = 5.0
"""Rows like the reference that are added to tonight's: one row of a host is no rate."""
LEAST_SHARE: Final = {"host": 0.002}
"""Share of the rows, on either side, below which a change of volume is nobody's concern."""
LEAST_ROWS: Final = 10
"""Rows of both sides together below which a name is not tested: nothing could be found."""
LEAST_PAIR: Final = 20
"""Rows of each side that have one of two tags, for their co-occurrence to be tested."""

NEW, VANISHED, SHARE, TOGETHER = "new", "vanished", "share of rows", "together"
"""What has changed, where it is no rate of an action and no score."""


@dataclass(frozen=True, kw_only=True)
class Tests:
    """Any number `m` of tests of one kind."""

    kind: str
    """`action`, `class`, `label` (one of no class), `host`, `score` or `pair`."""
    name: Sequence[str | None]
    what: Sequence[str]
    reference: Floats
    """`(m,)` shares, mean scores or Jaccard indices."""
    tonight: Floats
    effect: Floats
    """`(m,)` in multiples of the floor; above 0 is more tonight."""
    p: Floats


def compare(reference: Profile, tonight: Profile) -> Iterator[Tests]:
    """Yield every test of two profiles of the same names."""
    whole = [np.array([list(side.actions.values())]) for side in (reference, tonight)]
    yield _rates("action", [None], *whole)
    for kind, told in (("label", "class"), ("unknown", "label"), ("host", "host")):
        found, one, two = paired(reference, tonight, kind, ACTIONS)
        names = [name for (name,) in found]
        yield _volumes(told, names, one, two, whole)
        yield _rates(told, names, one, two)
    found, one, two = paired(reference, tonight, "score", range(NUM_BINS))
    yield _scores("score", [(None, column) for (column,) in found], one, two)
    found, one, two = paired(reference, tonight, "class-score", range(NUM_CLASS_BINS))
    yield _scores("class", found, one, two)
    yield _pairs(reference, tonight)


def paired(
    reference: Profile, tonight: Profile, kind: str, last: Sequence[Any]
) -> tuple[list[Any], Ints, Ints]:
    """Return the counts of one kind, of both sides, with one row per name that either has.

    Parameters
    ----------
    reference, tonight
        The profiles.
    kind
        One of `cells.KINDS`.
    last
        `b` values that the last key of the kind may take.

    Returns
    -------
    `m` sorted tuples of the other keys, and two `(m, b)` arrays of rows.
    """
    sides = [side.counts(kind) for side in (reference, tonight)]
    names = {key[:-1] for side in sides for key in side}
    order = sorted(names, key=lambda name: tuple((part is None, part or "") for part in name))
    row = {name: at for at, name in enumerate(order)}
    place = {value: at for at, value in enumerate(last)}
    rows = np.zeros((2, len(order), len(last)), np.int64)
    for at, side in enumerate(sides):
        for key, num in side.items():
            rows[at, row[key[:-1]], place[key[-1]]] = num
    return order, rows[0], rows[1]


def _volumes(
    kind: str, names: Sequence[str | None], one: Ints, two: Ints, all_rows: Sequence[Ints]
) -> Tests:
    """Test the share of the rows of each name: of readable rows, unless it is a host's."""
    seen = slice(None) if kind == "host" else slice(-1)
    hits, hits2 = one[:, seen].sum(axis=1), two[:, seen].sum(axis=1)
    total, total2 = (np.full(len(names), side[0, seen].sum()) for side in all_rows)
    share, share2 = hits / np.maximum(total, 1), hits2 / np.maximum(total2, 1)
    effect = np.log((hits2 + 0.5) / (total2 + 1.0)) - np.log((hits + 0.5) / (total + 1.0))
    effect[np.maximum(share, share2) < LEAST_SHARE.get(kind, 0.0)] = 0.0
    what = np.where(hits == 0, NEW, np.where(hits2 == 0, VANISHED, SHARE)).tolist()
    p = differ(hits, total, hits2, total2)
    made = Tests(
        kind=kind,
        name=names,
        what=what,
        reference=share,
        tonight=share2,
        effect=effect / VOLUME,
        p=p,
    )
    return _where(made, hits + hits2 >= LEAST_ROWS)


def _rates(kind: str, names: Sequence[str | None], one: Ints, two: Ints) -> Tests:
    """Test the share of each action in the rows of each name."""
    total, total2 = (np.repeat(side.sum(axis=1), len(ACTIONS)) for side in (one, two))
    hits, hits2 = one.ravel(), two.ravel()
    share, share2 = hits / np.maximum(total, 1), hits2 / np.maximum(total2, 1)
    shrunk = (hits2 + OLD_ROWS * share) / (total2 + OLD_ROWS)
    effect = 2.0 * (np.arcsin(np.sqrt(shrunk)) - np.arcsin(np.sqrt(share)))
    made = Tests(
        kind=kind,
        name=[name for name in names for _ in ACTIONS],
        what=list(ACTIONS) * len(names),
        reference=share,
        tonight=share2,
        effect=effect / RATE,
        p=differ(hits, total, hits2, total2),
    )
    return _where(made, (total > 0) & (total2 > 0) & (total + total2 >= LEAST_ROWS))


def _scores(kind: str, names: Sequence[tuple[str | None, str]], one: Ints, two: Ints) -> Tests:
    """Test whether the scores of each name and column come from one distribution."""
    middle = (np.arange(one.shape[1]) + 0.5) / one.shape[1]
    total, total2 = one.sum(axis=1), two.sum(axis=1)
    made = Tests(
        kind=kind,
        name=[name for name, _ in names],
        what=[column for _, column in names],
        reference=one @ middle / np.maximum(total, 1),
        tonight=two @ middle / np.maximum(total2, 1),
        effect=distance(one, two) / (SCORE if kind == "score" else CLASS_SCORE),
        p=shifted(one, two),
    )
    return _where(made, (total > 0) & (total2 > 0) & (total + total2 >= LEAST_ROWS))


def _pairs(reference: Profile, tonight: Profile) -> Tests:
    """Test how often two tags stand together in the rows that have either."""
    pairs = sorted(reference.counts("pair").keys() | tonight.counts("pair").keys())
    both, either = zip(*(_jaccard(side, pairs) for side in (reference, tonight)), strict=True)
    share, share2 = (b / np.maximum(e, 1) for b, e in zip(both, either, strict=True))
    z, z2 = (np.arctanh(np.minimum(index, 0.999)) for index in (share, share2))
    made = Tests(
        kind="pair",
        name=[f"{a} + {b}" for a, b in pairs],
        what=[TOGETHER] * len(pairs),
        reference=share,
        tonight=share2,
        effect=(z2 - z) / PAIR,
        p=differ(both[0], either[0], both[1], either[1]),
    )
    return _where(made, np.minimum(*either) >= LEAST_PAIR)


def _jaccard(side: Profile, pairs: Sequence[Any]) -> tuple[Ints, Ints]:
    """Return the rows that have both tags of each pair, and those that have one at least."""
    tag, pair = side.counts("tag"), side.counts("pair")
    both = np.array([pair.get(names, 0) for names in pairs], np.int64)
    single = [tag.get((a,), 0) + tag.get((b,), 0) for a, b in pairs]
    return both, np.maximum(np.array(single, np.int64) - both, both)


def _where(tests: Tests, chosen: NDArray[np.bool_]) -> Tests:
    at = np.flatnonzero(chosen).tolist()
    return Tests(
        kind=tests.kind,
        name=[tests.name[i] for i in at],
        what=[tests.what[i] for i in at],
        reference=tests.reference[at],
        tonight=tests.tonight[at],
        effect=tests.effect[at],
        p=tests.p[at],
    )
