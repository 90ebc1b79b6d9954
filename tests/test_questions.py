"""Questions to a teacher, its answers, and what goes into the json of a sample."""

import csv
import json

import pyarrow.dataset as ds
import pytest

from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.recipe import parse_recipe

CLEANERS = ["match", "probe", "prune", {"ask": {"budget": 5, "low": 0.0, "high": 1.0}}]
ATTACHED = ["prune.teacher", "prune.share", "prune.confidence"]


@pytest.fixture
def run_with(tmp_path, raw_recipe, crawl, track):
    """Run the recipe with some changes of its source, in one workspace."""

    def run(**source):
        output = tmp_path / "output"
        raw = raw_recipe(cleaners=CLEANERS)
        raw["source"] |= source
        raw["pack"] |= {"attach": ATTACHED}
        curate(parse_recipe(raw), str(tmp_path / "workspace"), str(output), LocalEngine(), track)
        return output, ds.dataset(str(output / "ledger"), format="parquet").to_table().to_pylist()

    return run


@pytest.mark.slow
def test_what_is_asked_comes_back_as_labels_and_is_not_asked_again(
    run_with, tmp_path, output_samples
):
    output, ledger = run_with()
    with (output / "queries.csv").open() as file:
        questions = list(csv.DictReader(file))

    assert len(questions) == 5
    chosen = {row["uid"].hex(): row for row in ledger if row["ask.chosen"]}
    assert {each["uid"] for each in questions} == set(chosen)
    assert {each["label"] for each in questions} == {""}
    assert all(each["web_label"] == chosen[each["uid"]]["label"] for each in questions)
    said = [json.loads(m["json"])["winnow"] for m in output_samples(output).values()]
    assert all(each["prune.confidence"] == pytest.approx(0.786, abs=1e-3) for each in said)
    assert all(len(each["prune.teacher"]) == len(each["prune.share"]) == 3 for each in said)
    assert {name for each in said for name in each["prune.teacher"]} == {
        *("red panda", "snow goose", "oak"),
    }

    answers = tmp_path / "answers.csv"
    with answers.open("w", newline="") as file:
        writer = csv.DictWriter(file, questions[0])
        writer.writeheader()
        writer.writerows({**each, "label": "Quercus"} for each in questions)
    output, ledger = run_with(answers=str(answers))

    again = {row["uid"].hex(): row for row in ledger}
    assert {again[uid]["label"] for uid in chosen} == {"oak"}
    assert not any(again[uid]["ask.chosen"] for uid in chosen)
    assert sum(bool(row["ask.chosen"]) for row in ledger) == 5
