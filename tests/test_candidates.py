"""A crawl whose rows have several labels, from its shards to the ledger."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.errors import RecipeError
from pipeline.ledger import SEVERAL
from pipeline.plan import plan
from pipeline.recipe import parse_recipe
from pipeline.schema import IMAGE
from tests.corpora import plant

ROWS, OUTSIDE = 240, 48
NAMES = [f"class {c}" for c in range(6)]
RULES = [
    {
        "rule": "relabel",
        "reason": "label-mismatch",
        "column": "imprecise.label",
        "above": 0.5,
        "prediction": "imprecise.prediction",
        "confidence": "imprecise.confidence",
        "sure": 0.8,
    }
]


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """Return the folder of a table with sets of labels, and the names of its true classes.

    The first rows' sets are without the true class; every third set is a text.
    """
    folder, corpus = tmp_path_factory.mktemp("crawl"), plant(ROWS, 6, 32, flip=0.0, foreign=0.0)
    rng = np.random.default_rng(0)
    sets = []
    for row, true in enumerate(corpus.true):
        one, two = (true + 1 + rng.permutation(5)[:2]) % 6
        sets.append([NAMES[one if row < OUTSIDE else true], NAMES[two]])
    texts = ["|".join(names) if row % 3 == 0 else None for row, names in enumerate(sets)]
    for suffix, label in (
        ("list", pa.array(sets)),
        ("text", pa.array([text or names[0] for text, names in zip(texts, sets, strict=True)])),
    ):
        table = {
            "key": [f"{row:03d}" for row in range(ROWS)],
            "caption": ["words"] * ROWS,
            "label": label,
            "vec": corpus.table[IMAGE],
        }
        pq.write_table(pa.table(table), folder / f"{suffix}.parquet")
    np.save(folder / "classes.npy", corpus.classes.embedding)
    (folder / "classes.csv").write_text("\n".join(["name", *NAMES]))
    return folder, [NAMES[true] for true in corpus.true], sets


def recipe_of(folder, labels, **changes):
    raw = {
        "source": {"path": str(folder / "list.parquet"), "fragment_rows": 64, "labels": labels},
        "classes": str(folder / "classes.csv"),
        "vectors": {"image": "column:vec", "classes": str(folder / "classes.npy")},
        "cleaners": ["imprecise"],
        "policy": {"name": "sets", "rules": RULES},
    }
    return parse_recipe(raw | changes)


DROP = {"rule": "drop", "reason": "wrong-tag", "column": "tags.label", "above": 0.5}


def ledger_of(recipe, folder, track):
    curate(recipe, str(folder / "w"), str(folder / "o"), LocalEngine(), track)
    table = ds.dataset(str(folder / "o" / "ledger"), format="parquet").to_table()
    return sorted(table.to_pylist(), key=lambda row: row["row"])


def test_the_ledger_shows_every_set_and_one_name_where_it_is_wrong(crawl, tmp_path, track):
    folder, true, sets = crawl
    ledger = ledger_of(recipe_of(folder, "candidates"), tmp_path, track)
    wrong = np.arange(ROWS) < OUTSIDE

    assert [row["label"] for row in ledger] == ["|".join(names) for names in sets]
    assert "label.candidates" not in ledger[0]
    assert np.mean([row["action"] == "relabel" for row in ledger] == wrong) > 0.98
    new = [(row["new_label"], name) for row, name in zip(ledger, true, strict=True)]
    assert np.mean([one == name for one, name in new[:OUTSIDE]]) > 0.95
    classes = [NAMES[row["imprecise.prediction"]] for row in ledger]
    assert np.mean([one == name for one, name in zip(classes, true, strict=True)]) > 0.98


def test_lists_are_refused_before_and_in_a_run_where_a_row_has_one_label(crawl, tmp_path, track):
    recipe = recipe_of(crawl[0], "one")

    with pytest.raises(RecipeError, match=r"source\.labels: candidates"):
        plan(recipe, str(tmp_path / "w"), str(tmp_path / "o"))
    with pytest.raises(RecipeError, match=r"source\.labels: candidates"):
        ledger_of(recipe, tmp_path, track)
    assert plan(recipe_of(crawl[0], "candidates"), str(tmp_path / "w"), str(tmp_path / "o"))


def test_a_step_of_single_labels_serves_a_cleaner_that_reads_candidates(crawl, tmp_path, track):
    folder, _, sets = crawl
    recipe = recipe_of(folder, "one")
    source = recipe.source.model_copy(update={"path": str(folder / "text.parquet")})
    ledger = ledger_of(recipe.model_copy(update={"source": source}), tmp_path, track)

    assert [row["imprecise.label"] is None for row in ledger] == [n % 3 == 0 for n in range(ROWS)]
    assert ledger[1]["label"] == sets[1][0]
    assert ledger[0]["label"] == "|".join(sets[0])


def test_rows_with_a_wrong_one_of_their_labels_are_dropped_and_it_is_named(crawl, tmp_path, track):
    # every set has a class that is wrong: of two claims, the worse is that one
    folder, true, sets = crawl
    recipe = recipe_of(
        folder,
        "all",
        cleaners=["tags"],
        policy={"name": "tags", "rules": [DROP]},
    )
    ledger = ledger_of(recipe, tmp_path, track)
    right = slice(OUTSIDE, ROWS)
    worst = [NAMES[row["tags.worst"]] for row in ledger]

    assert [row["label"] for row in ledger] == ["|".join(names) for names in sets]
    assert np.mean([one != name for one, name in zip(worst[right], true[right], strict=True)]) > 0.9
    dropped = [row["action"] == "drop" for row in ledger]
    assert dropped == [row["tags.label"] >= 0.5 for row in ledger]


@pytest.mark.parametrize("labels", ["candidates", "all"])
def test_the_summary_of_a_run_does_not_hold_every_set(crawl, tmp_path, track, labels):
    recipe = recipe_of(crawl[0], labels, cleaners=[], policy={"name": "none", "rules": []})
    outcome = curate(recipe, str(tmp_path / "w"), str(tmp_path / "o"), LocalEngine(), track)

    assert {label for label, _ in outcome.summary.classes} == {SEVERAL}


def test_a_row_with_candidates_gets_the_one_that_is_sure(crawl, tmp_path, track):
    folder, true, _ = crawl
    rule = {
        "rule": "choose",
        "prediction": "imprecise.prediction",
        "confidence": "imprecise.confidence",
        "sure": 0.9,
    }
    policy = {"name": "sets", "rules": [*RULES, rule]}
    ledger = ledger_of(recipe_of(folder, "candidates", policy=policy), tmp_path, track)
    named = [row for row in ledger if "several-labels" in row["reasons"]]

    assert len(named) > 0.9 * ROWS
    assert {row["action"] for row in named} == {"relabel"}
    assert np.mean([row["new_label"] == true[row["row"]] for row in named]) > 0.98
    left = [row for row in ledger[OUTSIDE:] if "several-labels" not in row["reasons"]]
    assert all(row["imprecise.confidence"] < 0.9 for row in left)
