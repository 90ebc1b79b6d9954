import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline.policy.presets import PRESETS
from pipeline.policy.rules import Drop, DropEmpty, Policy, Relabel, at_least, flag, numbers

RELABEL = {
    "reason": "label-mismatch",
    "column": "m.label",
    "above": 0.5,
    "prediction": "m.prediction",
    "confidence": "m.confidence",
    "sure": 0.6,
}


def column(values, kind=None):
    return pa.table({"m.score": pa.array(values, kind or pa.float32())})


def test_a_drop_fires_from_its_threshold_on():
    fires = Drop(reason="far", column="m.score", above=0.5).fires(column([0.49, 0.5, 0.51, 1.0]))

    assert fires.tolist() == [False, True, True, True]


@pytest.mark.parametrize("above", [0.0, 0.5, 1.0])
def test_null_never_fires(above):
    fires = Drop(reason="far", column="m.score", above=above).fires(column([None, None]))

    assert fires.tolist() == [False, False]


def test_a_threshold_of_zero_fires_on_every_score():
    fires = Drop(reason="far", column="m.score", above=0.0).fires(column([0.0, None, 1.0]))

    assert fires.tolist() == [True, False, True]


def test_a_caption_without_words_is_dropped_and_a_missing_one_is_not():
    table = pa.table({"caption": ["", " \t\n", "\u3000", "a", None]})

    assert DropEmpty().fires(table).tolist() == [True, True, True, False, False]
    assert DropEmpty().reason == "empty-caption"


def test_a_column_of_no_captions_drops_nothing():
    table = pa.table({"caption": pa.array([None, None], pa.string())})

    assert DropEmpty().fires(table).tolist() == [False, False]


def test_a_relabel_spares_protected_rows():
    table = pa.table(
        {
            "m.label": pa.array([0.9, 0.9, 0.9, 0.1, None], pa.float32()),
            "m.protected": [False, True, None, False, False],
        }
    )

    assert Relabel(**RELABEL).fires(table).tolist() == [True, True, True, False, False]
    spared = Relabel(**RELABEL, protected="m.protected").fires(table)
    assert spared.tolist() == [True, False, True, False, False]


def test_a_relabel_is_sure_from_its_confidence_on():
    table = pa.table({"m.confidence": pa.array([0.59, 0.61, None], pa.float32())})

    assert Relabel(**RELABEL).is_sure(table).tolist() == [False, True, False]


@pytest.mark.parametrize("above", [-0.1, 1.1, float("nan"), "high", None])
def test_a_threshold_is_a_share(above):
    with pytest.raises(ValidationError):
        Drop(reason="far", column="m.score", above=above)
    with pytest.raises(ValidationError):
        Relabel(**{**RELABEL, "sure": above})


@pytest.mark.parametrize("kind", [Drop, Relabel])
def test_unknown_settings_of_a_rule_are_refused(kind):
    with pytest.raises(ValidationError, match="below"):
        kind(**RELABEL, below=0.1)


def test_a_policy_knows_what_it_reads_and_its_thresholds():
    relabel = Relabel(**RELABEL, protected="m.protected")
    policy = Policy(
        name="p",
        rules=(
            Drop(reason="far", column="m.outlier", above=0.4),
            Drop(reason="very far", column="m.outlier", above=0.8),
            DropEmpty(),
            relabel,
        ),
        weight="m.label",
    )

    assert policy.reads == (
        "m.outlier",
        "m.label",
        "m.prediction",
        "m.confidence",
        "m.protected",
    )
    assert policy.thresholds == {
        "m.outlier": [("far", 0.4), ("very far", 0.8)],
        "m.label": [("label-mismatch", 0.5)],
    }


def test_a_policy_reads_its_weight():
    assert Policy(name="p", rules=(), weight="m.label").reads == ("m.label",)
    assert Policy(name="p", rules=()).reads == ()


def test_numbers_are_read_from_any_numeric_column():
    assert numbers(column([1, None], pa.int32()), "m.score", -1.0).tolist() == [1.0, -1.0]
    assert numbers(column([True, None], pa.bool_()), "m.score", 0.0).tolist() == [1.0, 0.0]
    assert numbers(column([], pa.float32()), "m.score", 0.0).tolist() == []


def test_flags_are_false_where_null():
    assert flag(column([True, False, None], pa.bool_()), "m.score").tolist() == [True, False, False]


def test_scores_in_several_chunks_are_read_in_order():
    chunks = pa.chunked_array([pa.array([0.9], pa.float32()), pa.array([0.1], pa.float32())])
    table = pa.table({"m.score": chunks})

    assert at_least(table, "m.score", 0.5).tolist() == [True, False]


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_a_score_of_exactly_the_threshold_fires_although_it_is_stored_in_32_bits(threshold):
    table = column(np.array([threshold], np.float32))

    assert at_least(table, "m.score", threshold).tolist() == [True]


def thresholds_of(policy):
    rules = [rule for rule in policy.rules if not isinstance(rule, DropEmpty)]
    return {rule.reason: rule.above for rule in rules}


def test_presets_are_ordered_by_their_strictness():
    strict, balanced, lenient = (
        thresholds_of(PRESETS[name]) for name in ("strict", "balanced", "lenient")
    )

    assert set(strict) == set(balanced) == set(lenient)
    assert all(strict[reason] < balanced[reason] < lenient[reason] for reason in strict)
    assert [name for name, policy in PRESETS.items() if policy.name != name] == []
