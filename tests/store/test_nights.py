import json

import pytest

from jobs.fuzz.texts import NIGHTS
from pipeline.errors import RecipeError, SchemaError
from pipeline.store.history import every, learned, published
from pipeline.store.nights import Night, Nights, parse, require_name

WHOLE = json.loads(NIGHTS[0])


def night(name, position=0, state="published", **changes):
    raw = {**json.loads(NIGHTS[1]), "name": name, "state": state, "position": position}
    return Night(**{**raw, **changes})


def names(nights):
    return "".join(night.name for night in nights)


def test_a_record_survives_writing_and_reading(run):
    nights = Nights(run.workspace)
    found = parse("nights/a/night.json", NIGHTS[0])

    nights.save(found)

    assert nights.all() == [found]
    assert nights.find("a") == found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../../a"),
        ("steps", [{"name": "../../secret-0123456789abcdef"}]),
        ("sizes", {"../00001.tar": 3}),
        ("fragment_rows", 0),
        ("shards", [{"uri": "s", "identity": "x/y", "digest": "0b" * 16}]),
        ("unknown", 1),
    ],
)
def test_a_damaged_record_is_told_and_believed_in_nothing(field, value):
    with pytest.raises(SchemaError, match=r"night\.json is damaged; .*put it back from a copy"):
        parse("w/nights/a/night.json", json.dumps(WHOLE | {field: value}).encode())


def test_the_record_of_another_night_is_not_believed():
    with pytest.raises(SchemaError, match="is damaged"):
        parse("w/nights/b/night.json", NIGHTS[0])


def test_a_night_that_is_not_there_is_told_with_the_last_ones(run):
    Nights(run.workspace).save(night("monday", 1))

    with pytest.raises(RecipeError, match=r"night 'sunday' is not in .* \(the last: monday\)"):
        Nights(run.workspace).find("sunday")


def test_nights_stand_in_the_order_in_which_they_were_published():
    nights = [night("a", 3), night("b", 1), night("c", 2, "withdrawn"), night("d", state="held")]

    assert names(published(nights)) == "ba"


def test_a_night_with_new_scores_stands_for_all_before_it():
    nights = [night("a", 1), night("b", 2, replaces="scores"), night("c", 3)]

    assert names(published(nights)) == names(learned(nights)) == "bc"
    assert names(every(nights)) == "abc"


def test_a_night_with_new_decisions_stands_for_all_but_has_learned_nothing():
    nights = [night("a", 1), night("b", 2), night("c", 3, replaces="decisions"), night("d", 4)]

    assert names(published(nights)) == "cd"
    assert names(learned(nights)) == "abd"


@pytest.mark.parametrize("name", ["2026-11-20", "a", "7_x.y"])
def test_dates_and_words_are_names(name):
    require_name(name)
