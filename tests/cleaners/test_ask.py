import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits

from pipeline.cleaners.ask import Ask, gain
from pipeline.cleaners.match import Match
from pipeline.cleaners.probe import Probe
from pipeline.contract import Classes
from pipeline.engine.local import TableRows, beside
from pipeline.errors import RecipeError
from pipeline.recipe import parse_recipe
from pipeline.schema import ANSWERED
from tests.corpora import plant, tabulate, unit


def scored(table, classes):
    for cleaner in (Match(), Probe()):
        table = beside(table, cleaner.score(cleaner.fit(TableRows((table,), classes)), table))
    return table


def ask(table, classes, **options):
    cleaner = Ask(**options)
    half = len(table) // 2
    rows = TableRows((table.slice(0, half), table.slice(half)), classes)
    added = cleaner.score(cleaner.fit(rows), table)
    return {name.removeprefix("ask."): added[name].to_numpy() for name in added.column_names}


@pytest.fixture(scope="module")
def doubtful():
    """A corpus most rows of which are in doubt."""
    corpus = plant(1500, 6, 24, flip=0.3, spread=2.0)
    return scored(corpus.table, corpus.classes), corpus.classes


@pytest.mark.parametrize("wrong_answer", ["useless", "harmful"])
@pytest.mark.parametrize("budget", [1, 100, 300])
def test_as_many_rows_are_asked_as_the_budget_allows(doubtful, budget, wrong_answer):
    found = ask(*doubtful, budget=budget, wrong_answer=wrong_answer)

    assert found["chosen"].sum() == budget
    assert (found["inclusion"][found["chosen"]] > 0).all()
    assert found["inclusion"].sum() == pytest.approx(budget, rel=0.01)


def test_rows_are_asked_as_often_as_their_inclusion_says(doubtful):
    table, classes = doubtful
    uid = table.column_names.index("uid")
    times, inclusion = np.zeros(len(table)), None
    for seed in range(30):
        rng = np.random.default_rng(seed)
        names = pa.array([rng.bytes(16) for _ in range(len(table))], pa.binary(16))
        found = ask(table.set_column(uid, "uid", names), classes, budget=200)
        times, inclusion = times + found["chosen"], found["inclusion"]
    often = inclusion > np.median(inclusion[inclusion > 0])

    assert times[often].mean() / 30 == pytest.approx(inclusion[often].mean(), rel=0.06)
    rest = (inclusion > 0) & ~often
    assert times[rest].mean() / 30 == pytest.approx(inclusion[rest].mean(), rel=0.06)
    assert not times[inclusion == 0].any()


def test_with_more_budget_than_doubt_every_doubt_is_asked_alone(doubtful):
    found = ask(*doubtful, budget=10_000, teacher_error=0.0)
    pool = ~np.isnan(found["gain"])

    assert (found["chosen"] <= pool).all()
    assert found["chosen"].sum() == (found["inclusion"] > 0).sum()


def test_rows_in_doubt_are_unsure_or_at_odds():
    corpus = plant(8, 2, 8)
    table = scored(corpus.table, corpus.classes)
    said = {"match.label": [0.0, 0.5, 0.9, 0.9, None, 0.1, None, 0.31]}
    said["probe.label"] = [0.1, 0.1, 0.1, 0.8, 0.5, 0.29, 0.9, 0.71]
    for name, value in said.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(value, pa.float32()))
    table = table.set_column(
        table.column_names.index(ANSWERED), ANSWERED, pa.array([False] * 7 + [True])
    )
    found = ask(table, corpus.classes)

    assert (~np.isnan(found["gain"])).tolist() == [
        *(False, True, True, False),
        *(True, False, False, False),  # the last was answered before
    ]


def test_the_gain_is_large_where_two_classes_are_alike(doubtful):
    share = np.stack(doubtful[0]["probe.share"].to_numpy())

    np.testing.assert_allclose(gain(doubtful[0]), 1 - (share[:, 0] - share[:, 1]), atol=1e-6)


def test_a_recipe_may_name_its_own_doubts():
    policy = {"name": "none", "rules": []}
    cleaners = ["match", "probe", {"ask": {"doubt": ["match.outlier"]}}]
    built = parse_recipe({"cleaners": cleaners, "policy": policy}).cleaners[-1]

    assert "match.outlier" in built.reads
    assert "match.label" not in built.reads
    cleaners[-1] = {"ask": {"doubt": ["match.outlyer"]}}
    with pytest.raises(RecipeError, match=r"ask reads column 'match.outlyer'"):
        parse_recipe({"cleaners": cleaners, "policy": policy})


def test_of_clean_digits_hardly_one_is_asked():
    data, rng = load_digits(), np.random.default_rng(0)
    image = unit(data.data)
    names = tuple(f"digit {k}" for k in range(10))
    mean = unit(np.stack([image[data.target == k].mean(axis=0) for k in range(10)]))
    classes = Classes(name=names, embedding=mean.astype(np.float32))
    table = tabulate(image, image, rng.random(len(image)) < 0, data.target)
    found = ask(scored(table, classes), classes)

    assert np.mean(~np.isnan(found["gain"])) < 0.12
    assert np.mean(found["inclusion"] > 0.5) < 0.12
