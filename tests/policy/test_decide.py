import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.policy.decide import decide
from pipeline.policy.rules import Choose, Drop, DropEmpty, Policy, Relabel
from pipeline.schema import CANDIDATES, LEDGER, OPTIONAL

NAMES = ("cat", "dog", "cow")
FAR = Drop(reason="far", column="m.outlier", above=0.5)
ODD = Drop(reason="odd", column="m.caption", above=0.5)
WRONG = Relabel(
    reason="wrong",
    column="m.label",
    above=0.5,
    prediction="m.prediction",
    confidence="m.confidence",
    sure=0.6,
    protected="m.protected",
)
ROW = {
    "uid": b"0" * 16,
    "key": "k",
    "shard": "s.tar",
    "row": 0,
    "extension": "jpg",
    "caption": "a cat",
    "fault": None,
    "label": 0,
    "label.text": "Cat",
    "label.answered": False,
    CANDIDATES: None,
    "m.outlier": 0.0,
    "m.caption": 0.0,
    "m.label": 0.0,
    "m.prediction": 1,
    "m.confidence": 0.9,
    "m.protected": False,
}
TYPES = {
    "uid": pa.binary(16),
    "row": pa.int32(),
    "label": pa.int32(),
    "m.prediction": pa.int32(),
    "m.protected": pa.bool_(),
    "label.answered": pa.bool_(),
    **OPTIONAL,
}
SCHEMA = pa.schema(
    [
        (name, TYPES.get(name, pa.float32() if name.startswith("m.") else pa.string()))
        for name in ROW
    ]
)


def ledger(*rows, rules=(FAR, ODD, WRONG), weight="m.label"):
    given_rows = [ROW | {"row": number, "key": f"k{number}"} | r for number, r in enumerate(rows)]
    table = pa.Table.from_pylist(given_rows, SCHEMA)
    return decide(Policy(name="p", rules=rules, weight=weight), table, NAMES)


def decided(row, **policy):
    (found,) = ledger(row, **policy).to_pylist()
    return found


def test_a_row_without_suspicion_is_kept():
    row = decided({})

    assert (row["action"], row["reasons"], row["new_label"]) == ("keep", [], None)
    assert (row["label"], row["weight"]) == ("cat", 1.0)


def test_all_reasons_are_kept_in_the_order_of_the_rules():
    row = decided({"m.outlier": 0.9, "m.caption": 0.9, "m.label": 0.9})

    assert (row["action"], row["reasons"]) == ("drop", ["far", "odd", "wrong"])


def test_a_drop_outweighs_a_relabel_whatever_the_order():
    suspect = {"m.label": 0.9, "m.outlier": 0.9}

    for rules in ((FAR, WRONG), (WRONG, FAR)):
        row = decided(suspect, rules=rules)
        assert (row["action"], row["new_label"], row["weight"]) == ("drop", None, 0.0)


def test_a_sure_prediction_becomes_the_label():
    row = decided({"m.label": 0.9})

    assert (row["action"], row["label"], row["new_label"]) == ("relabel", "cat", "dog")
    assert (row["weight"], row["reasons"]) == (1.0, ["wrong"])


@pytest.mark.parametrize(
    "doubt",
    [{"m.confidence": 0.5}, {"m.confidence": None}, {"m.prediction": None}, {"m.prediction": 0}],
    ids=["unsure", "no confidence", "no prediction", "same label"],
)
def test_a_suspect_label_without_a_better_one_is_dropped(doubt):
    row = decided({"m.label": 0.9} | doubt)

    assert (row["action"], row["new_label"], row["reasons"]) == ("drop", None, ["wrong"])


def test_the_answer_of_a_person_is_not_doubted_but_its_row_may_be_dropped():
    answered = {"m.label": 0.9, "label.answered": True}

    row = decided(answered)
    assert (row["action"], row["reasons"], row["weight"]) == ("keep", [], 1.0)
    assert decided(answered | {"m.outlier": 0.9})["reasons"] == ["far"]


def test_a_protected_row_is_not_relabelled_but_may_be_dropped():
    assert decided({"m.label": 0.9, "m.protected": True})["action"] == "keep"
    row = decided({"m.label": 0.9, "m.protected": True, "m.outlier": 0.9})
    assert (row["action"], row["reasons"]) == ("drop", ["far"])


def test_the_cleaner_that_abstains_has_no_say():
    scores = dict.fromkeys(name for name in ROW if name.startswith("m."))

    assert decided(scores)["action"] == "keep"
    assert decided(scores)["weight"] == 1.0


def test_quarantine_outweighs_all_and_its_fault_is_the_only_reason():
    row = decided({"fault": "truncated-image", "m.outlier": 0.9, "m.label": 0.9})

    assert (row["action"], row["reasons"]) == ("quarantine", ["truncated-image"])
    assert (row["new_label"], row["weight"]) == (None, 0.0)


def test_a_relabel_of_a_quarantined_row_leaves_no_trace():
    row = decided({"fault": "empty-image", "m.label": 0.9})

    assert (row["action"], row["new_label"]) == ("quarantine", None)


def test_an_empty_caption_is_dropped_with_its_reason():
    row = decided({"caption": " "}, rules=(DropEmpty(), FAR))

    assert (row["action"], row["reasons"]) == ("drop", ["empty-caption"])


def test_a_label_that_is_no_class_stays_as_it_was_crawled():
    assert decided({"label": None, "label.text": "dogg"})["label"] == "dogg"
    assert decided({"label": None, "label.text": None})["label"] is None


def test_the_weight_of_a_kept_row_is_the_complement_of_its_score():
    rows = ledger({"m.label": 0.25}, {"m.label": None}, {"m.outlier": 0.9, "m.label": 0.25})

    assert rows["weight"].to_pylist() == [0.75, 1.0, 0.0]


def test_without_a_weight_column_every_emitted_row_weighs_one():
    rows = ledger({"m.label": 0.25}, {"m.label": 0.9}, {"m.outlier": 0.9}, weight=None)

    assert rows["weight"].to_pylist() == [1.0, 1.0, 0.0]


def test_the_ledger_has_the_schema_then_the_scores():
    for rows in ([], [{}], [{"fault": "empty-image"}]):
        found = ledger(*rows)
        scores = [SCHEMA.field(name) for name in SCHEMA.names if name.startswith("m.")]

        assert found.schema.equals(pa.schema([*LEDGER, *scores]))


def test_no_rules_keep_every_readable_row():
    rows = ledger({"m.outlier": 1.0}, {"fault": "empty-image"}, rules=(), weight=None)

    assert rows["action"].to_pylist() == ["keep", "quarantine"]


scores = st.none() | st.floats(0, 1, width=32)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "fault": st.none() | st.just("empty-image"),
            "label": st.none() | st.integers(0, 2),
            "m.outlier": scores,
            "m.caption": scores,
            "m.label": scores,
            "m.prediction": st.none() | st.integers(0, 2),
            "m.confidence": scores,
            "m.protected": st.none() | st.booleans(),
        }
    ),
    max_size=12,
)
thresholds = st.tuples(*[st.floats(0, 1)] * 3)


def with_thresholds(above):
    return tuple(
        rule.model_copy(update={"above": value})
        for rule, value in zip((FAR, ODD, WRONG), above, strict=True)
    )


@given(rows)
def test_one_ledger_row_per_input_row_in_order(rows):
    found = ledger(*rows).to_pylist()

    assert [row["key"] for row in found] == [f"k{number}" for number in range(len(rows))]
    assert [row["row"] for row in found] == list(range(len(rows)))
    for row in found:
        assert (row["weight"] > 0) <= (row["action"] in ("keep", "relabel"))
        assert (row["new_label"] is not None) == (row["action"] == "relabel")
        assert bool(row["reasons"]) or row["action"] == "keep"


@given(rows, thresholds, st.integers(0, 2), st.floats(0, 1))
def test_raising_a_threshold_never_drops_more_rows(rows, above, which, more):
    raised = list(above)
    raised[which] = min(1.0, raised[which] + more)

    before = ledger(*rows, rules=with_thresholds(above))["action"].to_pylist()
    after = ledger(*rows, rules=with_thresholds(raised))["action"].to_pylist()

    for one, other in zip(before, after, strict=True):
        assert not (other == "drop" and one != "drop")


@given(rows, st.floats(0, 1), st.floats(0, 1))
def test_asking_for_more_confidence_never_relabels_more_rows(rows, sure, more):
    def relabelled(least):
        rule = WRONG.model_copy(update={"sure": least})
        actions = ledger(*rows, rules=(rule,))["action"].to_pylist()
        return {number for number, action in enumerate(actions) if action == "relabel"}

    assert relabelled(min(1.0, sure + more)) <= relabelled(sure)


@given(rows, st.permutations([0, 1, 2]))
def test_actions_do_not_depend_on_the_order_of_rules(rows, order):
    shuffled = tuple((FAR, ODD, WRONG)[number] for number in order)

    expected = ledger(*rows)["action"].to_pylist()

    assert expected == ledger(*rows, rules=shuffled)["action"].to_pylist()


@given(rows, st.integers(0, 12))
def test_a_row_is_judged_alone(rows, cut):
    def actions(some):
        return ledger(*some)["action"].to_pylist()

    assert actions(rows) == actions(rows[:cut]) + actions(rows[cut:])


def test_scores_are_not_touched():
    found = ledger({"m.outlier": 0.9, "fault": "empty-image"}, {"m.outlier": None})

    assert found["m.outlier"].to_pylist() == [np.float32(0.9), None]


NAMED = Choose(prediction="m.prediction", confidence="m.confidence", sure=0.8)
SEVERAL = {"label": None, "label.text": "cat|dog", CANDIDATES: [0, 1], "m.label": 0.1}


@pytest.mark.parametrize(
    ("changes", "action", "new_label"),
    [
        ({}, "relabel", "dog"),
        ({"m.confidence": 0.7}, "keep", None),
        ({"m.confidence": None}, "keep", None),
        ({"m.prediction": None}, "keep", None),
        ({CANDIDATES: [0], "label": 0}, "keep", None),
        ({CANDIDATES: None, "label": 0}, "keep", None),
        ({"m.outlier": 0.9}, "drop", None),
        ({"m.label": 0.9}, "relabel", "dog"),
        ({"fault": "empty-image"}, "quarantine", None),
    ],
)
def test_one_of_several_candidates_is_chosen_where_it_is_sure(changes, action, new_label):
    row = decided(SEVERAL | changes, rules=(FAR, WRONG, NAMED))

    assert (row["action"], row["new_label"]) == (action, new_label)


def test_a_row_that_is_unsure_about_its_candidates_is_not_dropped_for_it():
    row = decided(SEVERAL | {"m.confidence": 0.0}, rules=(NAMED,))

    assert (row["action"], row["reasons"], row["label"]) == ("keep", [], "cat|dog")
