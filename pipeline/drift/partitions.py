"""How two groupings of tags differ."""

from collections import Counter
from collections.abc import Collection, Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Group = tuple[str, ...]
"""Tags in the order of the alphabet."""


class Regrouping(NamedTuple):
    """Tags that were grouped in one way and are in another."""

    before: tuple[Group, ...]
    now: tuple[Group, ...]


def adjusted_rand(one: Collection[Group], other: Collection[Group]) -> float | None:
    """Return how far two groupings agree on the tags that both have (Hubert and Arabie, 1985).

    Returns
    -------
    1 where they are the same, 0 as of chance; None if they share fewer than two tags.

    Examples
    --------
    >>> adjusted_rand([("a", "b"), ("c", "d")], [("c", "d"), ("a", "b", "e")])
    1.0
    """
    of, of2 = _group_of(one), _group_of(other)
    shared = of.keys() & of2.keys()
    if len(shared) < 2:  # noqa: PLR2004  (a pair)
        return None
    cells = Counter((of[tag], of2[tag]) for tag in shared)
    sides = (Counter(of[tag] for tag in shared), Counter(of2[tag] for tag in shared))
    together, alone, alone2 = (sum(comb(n, 2) for n in c.values()) for c in (cells, *sides))
    chance = alone * alone2 / comb(len(shared), 2)
    most = (alone + alone2) / 2
    return 1.0 if most == chance else (together - chance) / (most - chance)


def regrouped(before: Collection[Group], now: Collection[Group]) -> list[Regrouping]:
    """Return the smallest sets of tags that are grouped in another way now, the largest first.

    Tags that only one of the two has are left out: that a tag comes or goes is another change.

    Examples
    --------
    >>> regrouped([("a", "b"), ("c",), ("d", "e")], [("a",), ("b", "c"), ("d", "e")])
    [Regrouping(before=(('a', 'b'), ('c',)), now=(('a',), ('b', 'c')))]
    """
    of, of2 = _group_of(before), _group_of(now)
    tags = sorted(of.keys() & of2.keys())
    found = []
    for members in _joined([of[tag] for tag in tags], [of2[tag] for tag in tags]):
        names = [tags[at] for at in members]
        made = Regrouping(_blocks(names, of), _blocks(names, of2))
        if made.before != made.now:
            found.append(made)
    return sorted(found, key=lambda made: (-sum(map(len, made.now)), made))


def _joined(old: Sequence[int], new: Sequence[int]) -> list[list[int]]:
    """Return the positions that are linked by a group of either partition."""
    if not old:
        return []
    at, size = np.arange(len(old)), (len(old), 1 + max(*old, *new))
    sides = [coo_array((np.ones(len(old)), (at, side)), shape=size).tocsr() for side in (old, new)]
    linked = sum(side @ side.T for side in sides)
    num, member_of = connected_components(linked, directed=False)
    return [np.flatnonzero(member_of == component).tolist() for component in range(num)]


def _blocks(tags: Sequence[str], of: dict[str, int]) -> tuple[Group, ...]:
    groups: dict[int, list[str]] = {}
    for tag in tags:
        groups.setdefault(of[tag], []).append(tag)
    return tuple(sorted(map(tuple, groups.values())))


def _group_of(groups: Collection[Group]) -> dict[str, int]:
    return {tag: at for at, group in enumerate(groups) for tag in group}
