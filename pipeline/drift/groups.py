"""Tags that stand together: groups by co-occurrence."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import squareform

from pipeline.drift.partitions import Group
from pipeline.drift.profile import Profile
from pipeline.drift.proportions import Ints

CUT: Final = 0.8
"""Mean distance, 1 minus the Jaccard index, from which two groups are no longer one."""
LEAST_ROWS: Final = 20
"""Rows that a tag needs to be put into a group."""
MAX_TAGS: Final = 4000
"""Tags of one component that are clustered, the most frequent; the others stay alone."""


def groups(profile: Profile, *, least_rows: int = LEAST_ROWS, cut: float = CUT) -> list[Group]:
    """Return the tags in groups that stand together, by average linkage of 1 minus Jaccard.

    The idea of iHOMER (2025), whose released statistic takes similar tags for distant ones. Groups
    of a mean index of `1 - cut` hold one pair at least with that index, so each component of the
    graph of such pairs is clustered by itself, and many tags cost no square.

    Parameters
    ----------
    profile
        Whose rows show the tags.
    least_rows
        Tags of fewer rows are left out.
    cut
        Largest mean distance inside a group, in [0, 1).
    """
    rows = {str(tag): num for (tag,), num in profile.counts("tag").items() if num >= least_rows}
    tags = sorted(rows, key=lambda tag: (-rows[tag], tag))
    near = _jaccard(profile, tags, rows)
    found = [
        tuple(sorted(tags[at] for at in members))
        for component in _components(near >= 1.0 - cut)
        for members in _clusters(near, component, cut)
    ]
    return sorted(found, key=lambda group: (-len(group), group))


def _jaccard(profile: Profile, tags: Sequence[str], rows: Mapping[str, int]) -> csr_array:
    """Return the `(m, m)` Jaccard indices of tags, symmetric; 0 is not stored."""
    place = {tag: at for at, tag in enumerate(tags)}
    pairs = [
        (place[a], place[b], num / (rows[a] + rows[b] - num))
        for (a, b), num in profile.counts("pair").items()
        if a in place and b in place
    ]
    one, two, index = np.array(pairs, np.float64).reshape(-1, 3).T
    half = coo_array((index, (one.astype(int), two.astype(int))), shape=(len(tags), len(tags)))
    return (half + half.T).tocsr()


def _components(linked: csr_array) -> list[Ints]:
    """Return the members of each component of a graph, in rising order."""
    num, member_of = connected_components(linked, directed=False)
    order = np.argsort(member_of, kind="stable")
    return np.split(order, np.searchsorted(member_of[order], np.arange(1, num))) if num else []


def _clusters(near: csr_array, members: Ints, cut: float) -> Iterator[Ints]:
    """Yield the groups of one component; its members come the most frequent first."""
    yield from members[MAX_TAGS:, None]
    members = members[:MAX_TAGS]
    if len(members) == 1:
        yield members
        return
    distance = 1.0 - near[members][:, members].toarray()
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average")
    group_of = fcluster(tree, cut, "distance")
    yield from (members[group_of == group] for group in range(1, group_of.max() + 1))
