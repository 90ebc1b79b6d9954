import numpy as np
import pyarrow as pa
import pytest
import yaml

from pipeline.cleaners.match import Match
from pipeline.corpus import Corpus
from pipeline.drift.gates import Gates, MaxDrift, Range, violations
from pipeline.drift.profile import Profile
from pipeline.engine.local import TableRows
from pipeline.errors import RecipeError
from pipeline.policy.decide import decide
from pipeline.policy.presets import PRESETS
from pipeline.recipe import Recipe, parse_recipe
from pipeline.store.answers import NOTHING
from tests.corpora import plant
from tests.drift.nights import CLASSES, FOREIGN, HOSTS, MIX, night

POLICY = PRESETS["balanced"]


@pytest.fixture
def stopped(profiled):
    """Return the gates that stop a night of 500 rows after nights of 3,500."""

    def by(gates=None, **traits):
        found = violations(
            gates or Gates(), profiled(500, seed=2, **traits), profiled(3500, seed=1)
        )
        return [violation.gate for violation in found]

    return by


def usual(num_rows, seed, mix=MIX):
    table = night(num_rows, seed=seed, mix=mix)
    return Profile.of(table, classes=CLASSES, columns=("match.label",))


def stops(num_pairs):
    """Return which of many clean nights of 500 rows are stopped, each after three others."""
    pairs = ((usual(1500, 2 * seed), usual(500, 2 * seed + 1)) for seed in range(num_pairs))
    return [bool(violations(Gates(), tonight, reference)) for reference, tonight in pairs]


def test_a_usual_night_passes(stopped):
    assert stopped() == []


def test_no_clean_night_is_stopped():
    assert sum(stops(20)) == 0


@pytest.mark.slow
def test_of_a_thousand_clean_nights_hardly_one_is_stopped(record_property):
    found = sum(stops(1000))
    record_property("stopped of 1,000", found)

    assert found <= 1


def foreign(share):
    """Return the actions of a night with a share of foreign images, 10 % being usual."""
    usual_rest = [(m - 0.1 * f) / 0.9 for m, f in zip(MIX, FOREIGN, strict=True)]
    return tuple((1 - share) * m + share * f for m, f in zip(usual_rest, FOREIGN, strict=True))


def test_a_night_of_many_foreign_images_is_stopped(stopped):
    assert stopped(mix=foreign(0.1)) == []
    assert "gates.max_drift.actions" in stopped(mix=foreign(0.4))


def refitted(pool, share, random, num_rows=500):
    """Return the profile of a night that is curated by itself: every night fits `match` anew."""
    is_far = pool.fault == "foreign-image"
    chosen = [
        random.choice(np.flatnonzero(mask), num, replace=False)
        for mask, num in ((is_far, int(share * num_rows)), (~is_far, int((1 - share) * num_rows)))
    ]
    table = pool.table.take(pa.array(random.permutation(np.concatenate(chosen))))
    names = pool.classes.name
    label = pa.array([names[k] for k in table["label"].to_pylist()])
    matched = Match().score(Match().fit(TableRows((table,), pool.classes)), table)
    nothing = pa.nulls(num_rows, pa.string())
    given = {"key": nothing, "extension": nothing, "fault": nothing, "label.text": label}
    ledger = decide(POLICY, pa.table({**columns(table), **columns(matched), **given}), names)
    beside = {"host": nothing, "tags": pa.nulls(num_rows, pa.list_(pa.string()))}
    return Profile.of(pa.table({**columns(ledger), **beside}), classes=names)


def columns(table):
    return dict(zip(table.column_names, table.columns, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.6, 1.2])
def test_nights_that_are_curated_for_themselves_pass_unless_they_are_foreign(spread):
    pool, random = plant(6000, foreign=0.3, spread=spread), np.random.default_rng(0)
    reference = Profile.total([refitted(pool, 0.1, random) for _ in range(3)])
    found = {
        share: [violations(Gates(), refitted(pool, share, random), reference) for _ in range(6)]
        for share in (0.1, 0.4)
    }

    assert found[0.1] == [[]] * 6
    assert all(found[0.4])


@pytest.mark.parametrize(
    ("mix", "gate"),
    [
        ((0.1, 0.2, 0.7, 0.0), "gates.keep"),
        ((0.3, 0.6, 0.1, 0.0), "gates.relabel"),
        ((0.05, 0.05, 0.9, 0.0), "gates.drop"),
        ((0.3, 0.0, 0.0, 0.7), "gates.quarantine"),
    ],
)
def test_a_share_out_of_its_range_stops_the_first_night_too(profiled, mix, gate):
    found = violations(Gates(), profiled(500, mix=mix), None)

    assert gate in {violation.gate for violation in found}


def test_a_violation_says_the_value_the_bound_and_the_remedy(profiled):
    (found,) = violations(Gates(keep=0.5), profiled(500, mix=(0.8, 0.1, 0.1, 0.0)), None)

    assert (found.gate, found.bound) == ("gates.keep", 0.5)
    assert found.value == pytest.approx(0.8, abs=0.06)
    assert "gates.keep allows at most 0.5; look at the report" in found.message
    assert "\n" not in found.message


def test_too_few_rows_stop_a_night(profiled):
    (found,) = violations(Gates(min_rows=501), profiled(500), None)

    assert (found.gate, found.value, found.bound) == ("gates.min_rows", 500, 501)
    assert "500 rows, gates.min_rows asks for 501" in found.message


def test_a_night_without_rows_is_stopped_for_that_alone():
    found = violations(Gates(), Profile.total([]), usual(2000, 0))

    assert [violation.gate for violation in found] == ["gates.min_rows"]
    assert violations(Gates(min_rows=0), Profile.total([]), usual(2000, 0)) == []


@pytest.mark.parametrize(("least", "is_silent"), [(3501, True), (3500, False)])
def test_drift_is_looked_at_from_enough_rows_on(stopped, least, is_silent):
    gates = Gates(min_reference_rows=least)

    assert (stopped(gates, mix=foreign(0.5)) == []) == is_silent


def test_a_handful_of_odd_rows_is_chance(profiled):
    few = profiled(6, seed=5, mix=(0.5, 0.0, 0.5, 0.0))

    assert violations(Gates(), few, profiled(3500, seed=1)) == []


def test_shifted_scores_stop_a_night(stopped):
    assert stopped(lift=0.05) == []
    assert stopped(lift=0.3) == ["gates.max_drift.scores"]


def test_classes_that_grow_and_vanish_stop_a_night(stopped):
    def label(rng, num):
        return rng.integers(0, 6, num)

    assert stopped(label=label) == ["gates.max_drift.classes"]
    assert stopped(Gates(max_drift=MaxDrift(classes=None)), label=label) == []


def test_labels_never_seen_stop_a_night(profiled):
    reference = profiled(3500, seed=1, label=lambda rng, n: rng.integers(0, 14, n))
    found = violations(Gates(max_drift=MaxDrift(classes=None)), profiled(500, seed=2), reference)

    assert [violation.gate for violation in found] == ["gates.max_drift.new_classes"]
    assert found[0].value == pytest.approx(0.3, abs=0.06)


def unique(share, start):
    """Return a draw in which a share of the rows has a label of its own."""

    def draw(rng, num):
        fresh = rng.random(num) < share
        return np.where(fresh, start + np.arange(num), rng.integers(0, 20, num))

    return draw


def test_a_handful_of_new_labels_is_chance_where_many_are_rare(profiled):
    reference = profiled(3500, seed=1, label=unique(0.5, 1000))
    tonight = profiled(5, seed=2, label=unique(1.0, 10_000), mix=(1, 0, 0, 0))

    assert violations(Gates(), tonight, reference) == []


def test_of_new_labels_only_those_that_were_not_to_be_expected_count(profiled):
    reference = profiled(3500, seed=1, label=unique(0.3, 1000))
    tonight = profiled(500, seed=2, label=unique(0.45, 10_000))
    (found,) = violations(Gates(max_drift=MaxDrift(new_classes=0.05)), tonight, reference)

    assert found.gate == "gates.max_drift.new_classes"
    assert found.value == pytest.approx(0.15, abs=0.05)
    assert violations(Gates(), tonight, reference) == []


def test_labels_of_very_many_classes_are_mostly_new_and_stop_no_night():
    def crawl(num_rows, seed):
        return Profile.of(night(num_rows, seed=seed, num=5000))

    assert violations(Gates(), crawl(500, 2), crawl(1000, 1)) == []


def test_new_hosts_stop_a_night_where_that_is_asked(profiled, stopped):
    def fresh(rng, num):
        return rng.integers(0, len(HOSTS), num) + 50 * (rng.random(num) < 0.6)

    asked = Gates(max_drift=MaxDrift(new_hosts=0.5))
    assert stopped(host=fresh) == []
    assert stopped(asked, host=fresh) == ["gates.max_drift.new_hosts"]
    assert stopped(asked) == []


def test_the_number_of_changes_can_be_bounded(stopped):
    gates = Gates(max_drift=MaxDrift(actions=None, scores=None, changes=5))

    assert stopped(gates) == []
    assert stopped(gates, mix=foreign(0.4)) == ["gates.max_drift.changes"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.4, Range(high=0.4)), ([0.1, 0.4], Range(low=0.1, high=0.4)), ({"low": 1}, Range(low=1.0))],
)
def test_a_range_is_written_as_a_list_or_as_one_number(value, expected):
    assert parse_recipe({"gates": {"drop": value}}).gates.drop == expected


@pytest.mark.parametrize(
    ("gates", "complaint"),
    [
        ({"kep": 0.2}, "unknown key 'gates.kep'; did you mean 'keep'"),
        ({"max_drift": {"action": 0.2}}, "'gates.max_drift.action'; did you mean 'actions'"),
        ({"keep": [0.5, 0.2]}, "gates.keep: low 0.5 must be at most high 0.2"),
        ({"keep": [0.5]}, "gates.keep: must be [low, high], or one number"),
        ({"keep": "x"}, "gates.keep: must be [low, high], or one number"),
        ({"keep": True}, "gates.keep: must be [low, high], or one number"),
        ({"keep": [0.1, 1.5]}, "gates.keep.high"),
        ({"min_rows": -1}, "gates.min_rows"),
        ({"reference_nights": 0}, "gates.reference_nights"),
        (None, "gates"),
    ],
)
def test_gates_that_are_wrong_are_errors_that_name_the_key(gates, complaint):
    with pytest.raises(RecipeError) as caught:
        parse_recipe({"gates": gates})

    assert complaint in str(caught.value)


def test_gates_come_back_from_the_yaml_of_their_recipe():
    recipe = parse_recipe({"gates": {"drop": [0.1, 0.4], "max_drift": {"scores": None}}})
    written = yaml.safe_load(recipe.to_yaml())

    assert parse_recipe({"gates": written["gates"]}).gates == recipe.gates


def test_gates_do_not_name_the_run():
    corpus = Corpus("x", (), (), NOTHING)
    strict = Recipe(gates=Gates(min_rows=7))

    assert corpus.key(strict) == corpus.key(Recipe())
    assert corpus.key(Recipe(name="other")) != corpus.key(Recipe())


@pytest.mark.parametrize("num_broken", [0, 40])
def test_a_crawl_that_comes_again_is_not_stopped(num_broken):
    left = usual(num_broken, 3, mix=(0, 0, 0, 1))

    assert violations(Gates(min_rows=1500), left, usual(3500, 1), 2000) == []
    assert [v.gate for v in violations(Gates(min_rows=3000), left, None, 2000)] == [
        "gates.min_rows"
    ]


def test_a_night_that_is_half_copies_is_judged_by_the_rest():
    rest = usual(1000, 2, mix=foreign(0.4))

    found = violations(Gates(), rest, usual(3500, 1), 1000)

    assert "gates.max_drift.actions" in [violation.gate for violation in found]
