from collections import Counter
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from pipeline.drift import groups as module
from pipeline.drift.groups import groups
from pipeline.drift.partitions import adjusted_rand, regrouped
from pipeline.drift.profile import Profile
from tests.drift.nights import night

PLANTED = [tuple(f"{name}{at}" for at in range(4)) for name in "abcde"]
TAGS = [tag for group in PLANTED for tag in group]


def draw(planted=PLANTED, num_rows=500, seed=0):
    """Return tags of rows: most of one planted group, and now and then a stray one."""
    rng = np.random.default_rng(seed)
    every = [tag for group in planted for tag in group]
    return [
        [tag for tag in planted[rng.integers(len(planted))] if rng.random() < 0.6]
        + ([every[rng.integers(len(every))]] if rng.random() < 0.2 else [])
        for _ in range(num_rows)
    ]


def profile(rows):
    tags = pa.array(rows, pa.list_(pa.string()))
    table = night(len(rows))
    return Profile.of(table.set_column(table.schema.get_field_index("tags"), "tags", tags))


def pearson(rows):
    """Return the correlation of every two tags: the statistic of the release."""
    shown = np.array([[tag in row for tag in TAGS] for row in rows], float)
    return np.corrcoef(shown.T)


def clustered(distance, num):
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average")
    label = fcluster(tree, num, "maxclust")
    return [tuple(np.array(TAGS)[label == group].tolist()) for group in set(label)]


@pytest.mark.parametrize("seed", range(3))
def test_planted_groups_are_found_from_five_hundred_rows(seed):
    found = groups(profile(draw(seed=seed)))

    assert found == PLANTED
    assert adjusted_rand(found, PLANTED) == 1.0


def test_similarity_taken_for_a_distance_finds_no_planted_group():
    similar = pearson(draw())
    naive, right = clustered(similar - similar.min(), 5), clustered(1 - similar, 5)

    assert adjusted_rand(right, PLANTED) == 1.0
    assert adjusted_rand(naive, PLANTED) < 0.1


def test_groups_are_those_of_all_tags_clustered_at_once():
    rows = draw(seed=5) + draw([tuple(TAGS[::5]), tuple(TAGS[1::5])], 120, seed=6)
    count = Counter(tag for row in rows for tag in set(row))
    both = Counter(pair for row in rows for pair in combinations(sorted(set(row)), 2))
    distance = np.ones((len(TAGS), len(TAGS)))
    for (a, b), num in both.items():
        i, j = TAGS.index(a), TAGS.index(b)
        distance[i, j] = distance[j, i] = 1 - num / (count[a] + count[b] - num)
    np.fill_diagonal(distance, 0.0)
    label = fcluster(linkage(squareform(distance), "average"), 0.7, "distance")
    whole = {tuple(tag for tag, k in zip(TAGS, label, strict=True) if k == g) for g in set(label)}

    assert set(groups(profile(rows), cut=0.7)) == whole
    assert len(whole) > 1


def test_parts_of_a_corpus_give_the_groups_of_the_whole():
    rows = draw()
    merged = profile(rows[:123]).merge(profile(rows[123:]))

    assert groups(merged) == groups(profile(rows))


def test_rare_tags_are_left_out():
    rows = [["a", "b"]] * 30 + [["c", "d"]] * 19

    assert groups(profile(rows)) == [("a", "b")]
    assert groups(profile(rows), least_rows=19) == [("a", "b"), ("c", "d")]


def test_a_tag_alone_is_a_group():
    assert groups(profile([["a"]] * 30 + [["b"]] * 30)) == [("a",), ("b",)]


def test_no_tags_are_no_groups():
    assert groups(Profile.total([])) == []
    assert groups(profile([[]])) == []


def test_of_too_many_tags_the_rarest_stay_alone(monkeypatch):
    monkeypatch.setattr(module, "MAX_TAGS", 2)
    rows = [["a", "b", "c"]] * 30 + [["a", "b"]] * 5

    assert groups(profile(rows)) == [("a", "b"), ("c",)]


label = st.integers(0, 4)
partitions = st.lists(st.tuples(label, label), min_size=2, max_size=30)


def grouped(labels):
    return [
        tuple(f"t{at:02d}" for at, label in enumerate(labels) if label == group)
        for group in sorted(set(labels))
    ]


@given(partitions)
def test_the_adjusted_rand_index_is_that_of_scikit_learn(labels):
    one, other = zip(*labels, strict=True)
    found = adjusted_rand(grouped(one), grouped(other))
    assert found == pytest.approx(adjusted_rand_score(one, other), abs=1e-12)


def test_groupings_are_compared_on_the_tags_that_both_have():
    assert adjusted_rand([("a", "b"), ("c", "x")], [("a", "b", "y"), ("c",)]) == 1.0
    assert adjusted_rand([("a", "b")], [("a",), ("z",)]) is None


def test_tags_that_change_their_group_are_told_with_both_groupings():
    before = [("a", "b"), ("c", "d"), ("e", "f"), ("g", "gone")]
    now = [("a", "c"), ("b", "d"), ("e", "f"), ("g", "new")]
    (made,) = regrouped(before, now)

    assert made.before == (("a", "b"), ("c", "d"))
    assert made.now == (("a", "c"), ("b", "d"))
    assert regrouped(before, before) == regrouped([], now) == []
