from braceexpand import braceexpand
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shards.manifest import tar_name
from pipeline.store.generations import patterns
from pipeline.store.nights import Night


def night(sizes):
    return Night(name="n", recipe="", space="", fragment_rows=1, shards=(), sizes=sizes)


@given(st.integers(0, 100_010), st.integers(1, 30), st.integers(0, 30))
def test_the_patterns_of_a_night_name_its_shards_and_no_others(first, num_clean, num_relabelled):
    tars = [tar_name(number) for number in range(first, first + num_clean + num_relabelled)]
    paths = [f"clean/{tar}" for tar in tars[:num_clean]]
    paths += [f"relabelled/{tar}" for tar in tars[num_clean:]]

    found = patterns(night(dict.fromkeys(paths, 1)))

    expanded = [path for pattern in found.values() for path in braceexpand(pattern)]
    assert expanded == [f"n/{path}" for path in paths]


@given(st.integers(99_990, 100_010), st.integers(1, 30))
def test_without_tiers_there_is_one_pattern(first, count):
    tars = [tar_name(number) for number in range(first, first + count)]

    (pattern,) = patterns(night(dict.fromkeys(tars, 1))).values()

    assert [*braceexpand(pattern)] == [f"n/{tar}" for tar in tars]
