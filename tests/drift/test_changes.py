import numpy as np
import pytest

from pipeline.drift.changes import changes
from pipeline.drift.profile import Profile
from tests.drift.nights import CLASSES, FOREIGN, HOSTS, MIX, night


@pytest.fixture
def found(profiled):
    """Return the changes of a night of 500 rows against 3,500 usual ones."""
    return lambda **traits: changes(profiled(3500, seed=1), profiled(500, seed=2, **traits))


def told(changes):
    return {(change.kind, change.name, change.what) for change in changes}


def swap(old, new, share=1.0):
    """Return a draw in which one index gives way to another."""

    def draw(rng, num):
        index = rng.integers(0, 20, num)
        return np.where((index == old) & (rng.random(num) < share), new, index)

    return draw


def test_a_night_is_no_different_from_itself(profiled):
    assert changes(profiled(500), profiled(500)) == []


def test_nothing_is_different_from_nothing():
    assert changes(Profile.total([]), Profile.total([])) == []


def test_nothing_can_be_said_without_rows(profiled):
    assert changes(profiled(3500, seed=1), Profile.total([])) == []


def alarms(num_nights, num_rows=500):
    """Return the changes of clean nights, each against seven others."""
    made = [
        (usual(7 * num_rows, 2 * seed), usual(num_rows, 2 * seed + 1)) for seed in range(num_nights)
    ]
    return [len(changes(reference, tonight)) for reference, tonight in made]


def usual(num_rows, seed):
    return Profile.of(night(num_rows, seed=seed), classes=CLASSES, columns=("match.label",))


def test_clean_nights_raise_almost_no_alarm():
    assert sum(num > 0 for num in alarms(20)) <= 2


@pytest.mark.slow
@pytest.mark.parametrize(("num_nights", "num_rows"), [(300, 50), (300, 500), (40, 5000)])
def test_of_many_clean_nights_few_raise_an_alarm(num_nights, num_rows, record_property):
    found = alarms(num_nights, num_rows)
    record_property("nights with a false alarm", sum(num > 0 for num in found))

    expected = 0.05 * num_nights
    assert sum(num > 0 for num in found) <= expected + 2 * np.sqrt(expected)


@pytest.mark.slow
def test_of_very_many_rows_only_large_differences_are_told(profiled):
    one = profiled(100_000, seed=1)
    slight = profiled(100_000, seed=2, mix=(0.68, 0.12, 0.15, 0.05), lift=0.01)

    assert changes(one, slight) == []


def test_a_step_of_a_rate_is_found(found):
    made = found(mix=FOREIGN)

    assert {("action", None, "drop"), ("action", None, "keep")} <= told(made)
    (drop,) = (c for c in made if (c.kind, c.what) == ("action", "drop"))
    assert drop.reference == pytest.approx(MIX[2], abs=0.03)
    assert drop.tonight == pytest.approx(FOREIGN[2], abs=0.06)
    assert drop.effect > 1
    assert drop.p < 1e-6


def test_shifted_scores_are_found(found):
    made = found(lift=0.15)

    assert ("score", None, "match.label") in told(made)
    assert any(change.kind == "class" and change.what == "match.label" for change in made)
    assert not any(change.kind == "action" for change in made)
    (score,) = (c for c in made if c.kind == "score")
    assert score.tonight - score.reference == pytest.approx(0.15, abs=0.03)
    assert score.effect > 0


def test_tags_that_swap_their_partners_are_found(found):
    made = [change for change in found(partner=3) if change.kind == "pair"]
    fresh = {change.name for change in made if change.effect > 0}
    gone = {change.name for change in made if change.effect < 0}

    assert len(fresh) >= 15
    assert len(gone) >= 10
    assert "class 00 + class 03" in fresh
    assert "class 00 + class 01" not in fresh


def test_a_new_and_a_vanished_host_are_found(profiled):
    busy = profiled(500, seed=2, host=lambda rng, n: rng.integers(0, 30, n) + 10)
    reference = profiled(3500, seed=1, host=lambda rng, n: rng.integers(0, 30, n))
    made = told(changes(reference, busy))

    assert {("host", HOSTS[at], "vanished") for at in range(10)} <= made
    assert {("host", HOSTS[at], "new") for at in range(30, 40)} <= made


def test_a_host_too_small_to_be_missed_does_not_vanish(profiled):
    rare = profiled(3500, seed=1, host=lambda _, n: np.where(np.arange(n) < 12, 39, 0))
    without = profiled(500, seed=2, host=lambda _, n: np.zeros(n, int))

    assert not [change for change in changes(rare, without) if change.kind == "host"]


def test_a_class_that_gives_way_to_another_is_found(found):
    made = found(label=swap(3, 7))

    assert {("class", "class 03", "vanished"), ("class", "class 07", "share of rows")} <= told(made)
    (less,) = (change for change in made if change.what == "vanished")
    assert (less.tonight, less.effect < -1) == (0.0, True)


def test_labels_of_no_class_are_told_apart(profiled):
    tonight = Profile.of(night(500, seed=2), classes=CLASSES[1:], columns=("match.label",))

    assert ("label", "class 00", "new") in told(changes(profiled(3500, seed=1), tonight))


def test_a_night_of_quarantined_rows_does_not_change_the_volume_of_classes(found):
    made = found(mix=(0.35, 0.06, 0.065, 0.525))

    assert ("action", None, "quarantine") in told(made)
    assert not [change for change in made if change.what in ("share of rows", "new", "vanished")]


def test_what_concerns_the_whole_night_comes_first_then_the_largest_effect(found):
    made = found(mix=FOREIGN)
    is_part = [change.kind not in ("action", "score") for change in made]
    effects = [abs(change.effect) for change, part in zip(made, is_part, strict=True) if part]

    assert is_part == sorted(is_part)
    assert effects == sorted(effects, reverse=True)
    assert len(effects) > 10
