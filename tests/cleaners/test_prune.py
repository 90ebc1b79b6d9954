import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from pipeline.cleaners.columns import labels
from pipeline.cleaners.match import Match
from pipeline.cleaners.probe import Probe
from pipeline.cleaners.prune import Prune, difficulty, teacher_weight
from pipeline.contract import Classes
from pipeline.engine.local import TableRows, beside
from pipeline.errors import RecipeError
from pipeline.recipe import parse_recipe
from tests.corpora import Corpus, plant, tabulate, unit


def scored(corpus, *, believes_all=False):
    """Return the corpus with the columns of match and probe."""
    table = corpus.table
    for cleaner in (Match(), Probe()):
        table = beside(
            table, cleaner.score(cleaner.fit(TableRows((table,), corpus.classes)), table)
        )
    if believes_all:
        place = table.column_names.index("match.label")
        nothing = pa.array(np.zeros(len(table), np.float32))
        table = table.set_column(place, table.field(place), nothing)
    return table


def prune(table, classes, **options):
    cleaner = Prune(**options)
    return cleaner.score(cleaner.fit(TableRows((table,), classes)), table)


@pytest.fixture(scope="module")
def planted():
    corpus = plant(2000, 6, 24, flip=0.2, foreign=0.0)
    return corpus, scored(corpus)


@pytest.mark.parametrize("by", ["random", "hard", "easy"])
@pytest.mark.parametrize("keep", [0.1, 0.3, 0.5])
def test_every_class_keeps_its_share_of_the_rows_that_are_believed(planted, by, keep):
    corpus, table = planted
    out = prune(table, corpus.classes, by=by, keep=keep)["prune.out"]
    known, label = out.is_valid().to_numpy(), labels(table)

    for k in range(6):
        kept = out.to_numpy()[known & (label == k)] == 0
        assert kept.mean() == pytest.approx(keep, abs=0.08)


def test_rows_that_are_held_to_be_wrong_take_no_part(planted):
    corpus, table = planted
    out = prune(table, corpus.classes)["prune.out"]

    wrong = table["match.label"].to_numpy() >= 0.5
    assert (out.is_null().to_numpy() == wrong).all()
    assert wrong[corpus.fault == "wrong-label"].mean() > 0.9


def test_a_recipe_without_a_noise_cleaner_is_refused():
    with pytest.raises(RecipeError, match=r"prune reads column 'match.label'.*put cleaner match"):
        parse_recipe({"cleaners": ["probe", "prune"], "policy": {"name": "none", "rules": []}})


def test_columns_to_attach_must_be_there():
    raw = {"cleaners": ["match", "probe", "prune"], "pack": {"attach": ["prune.teacher"]}}

    assert parse_recipe(raw).pack.attach == ("prune.teacher",)
    with pytest.raises(RecipeError, match=r"pack\.attach reads column 'prune.teecher'"):
        parse_recipe(raw | {"pack": {"attach": ["prune.teecher"]}})


def test_a_copy_shares_the_fate_of_its_picture(planted):
    corpus, table = planted
    hashed = table["image_hash"].to_numpy().copy()
    hashed[1::2] = hashed[::2]
    place = table.column_names.index("image_hash")
    table = table.set_column(place, "image_hash", pa.array(hashed))
    label = labels(table)
    out = prune(table, corpus.classes)["prune.out"].to_numpy()
    both = ~np.isnan(out[::2]) & ~np.isnan(out[1::2]) & (label[::2] == label[1::2])

    assert np.mean(out[::2][both] == out[1::2][both]) > 0.99


def test_difficulty_is_the_distance_of_all_probabilities(planted):
    corpus, table = planted
    state = Probe().fit(corpus.rows())
    image = np.stack(corpus.table["embedding.image"].to_numpy()).astype(np.float32)
    share = state.probability(image, corpus.table["image_hash"].to_numpy() % 5)
    exact = np.linalg.norm(share - np.eye(6)[labels(table)], axis=1) / np.sqrt(2)

    np.testing.assert_allclose(difficulty(table), exact, atol=1e-4)


def test_the_teacher_names_classes(planted):
    corpus, table = planted
    added = prune(table, corpus.classes, teacher_classes=3)
    names, share = added["prune.teacher"].to_pylist(), added["prune.share"].to_pylist()
    best = table["probe.prediction"].to_pylist()

    assert {len(each) for each in names} == {3}
    assert [each[0] for each in names] == [f"class {k}" for k in best]
    assert [each[0] for each in share] == table["probe.confidence"].to_pylist()


def test_the_teacher_counts_the_more_the_fewer_rows_are_kept():
    weight = [teacher_weight(keep) for keep in np.linspace(0, 1, 50)]

    assert weight == sorted(weight, reverse=True)
    assert [teacher_weight(keep) for keep in (0.1, 0.3, 1.0)] == [1.0, 0.9, 0.5]


def test_without_labels_rows_are_drawn():
    corpus = plant(400, 4, 16)
    place = corpus.table.column_names.index("label")
    table = corpus.table.set_column(place, "label", pa.nulls(400, pa.int32()))
    table = scored(Corpus(table, corpus.classes, corpus.fault, corpus.true))
    added = prune(table, corpus.classes, by="hard", keep=0.25)
    out = added["prune.out"].drop_null().to_numpy()

    assert added["prune.difficulty"].null_count == 400
    assert len(out) == 0 or np.mean(out == 0) == pytest.approx(0.25, abs=0.08)


def digits(noise=0.2):
    """Return noisy digits for training, and clean ones to test on."""
    data, rng = load_digits(), np.random.default_rng(0)
    image, true = unit(data.data), data.target
    label = np.where(
        rng.random(len(true)) < noise, (true + rng.integers(1, 10, len(true))) % 10, true
    )
    train = rng.random(len(true)) < 0.7
    shown = np.ones(train.sum(), bool)
    table = tabulate(image[train], image[train], shown, label[train])
    names = tuple(f"digit {k}" for k in range(10))
    classes = Classes(name=names, embedding=unit(rng.normal(size=(10, 64))).astype(np.float32))
    corpus = Corpus(table, classes, np.where(label == true, "clean", "wrong")[train], true[train])
    return corpus, image[train], (image[~train], true[~train])


@pytest.fixture(scope="module")
def noisy():
    corpus, image, test = digits()
    return corpus, scored(corpus, believes_all=True), image, test


def kept_by(noisy, by, keep):
    corpus, table, *_ = noisy
    return prune(table, corpus.classes, by=by, keep=keep)["prune.out"].to_numpy() == 0


@pytest.mark.parametrize("keep", [0.1, 0.3, 0.5])
def test_hard_rows_are_wrong_rows_unless_a_noise_cleaner_goes_before(noisy, keep):
    wrong = noisy[0].fault == "wrong"
    rate = {by: wrong[kept_by(noisy, by, keep)].mean() for by in ("random", "hard", "easy")}

    assert rate["hard"] > 1.8 * rate["random"]
    assert rate["easy"] < 0.05
    assert rate["random"] == pytest.approx(wrong.mean(), abs=0.07)


def student(noisy, kept, weight):
    """Return the accuracy of a student that hears its labels and, by `weight`, the teacher."""
    _, table, image, (test_image, test_label) = noisy
    top = np.stack(table["probe.top"].to_numpy())[kept][:, :10]
    share = np.stack(table["probe.share"].to_numpy())[kept][:, :10]
    target = (1 - weight) * np.eye(10)[labels(table)[kept]]
    np.add.at(target, (np.arange(len(top))[:, None], top), weight * share)
    row, label = np.nonzero(target > 1e-4)
    model = LogisticRegression(C=10.0, max_iter=3000)
    model.fit(image[kept][row] * 4, label, sample_weight=target[row, label])
    return model.score(test_image * 4, test_label)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [0.1, 0.3, 0.5])
def test_a_teacher_helps_and_with_one_random_rows_do_as_well_as_hard_ones(noisy, keep):
    found = {}
    for by in ("random", "hard"):
        kept = kept_by(noisy, by, keep)
        found[by] = student(noisy, kept, 0.0), student(noisy, kept, teacher_weight(keep))

    assert found["random"][1] > found["random"][0]
    assert found["hard"][1] > found["hard"][0]
    assert found["random"][1] >= found["hard"][1] - 0.01
