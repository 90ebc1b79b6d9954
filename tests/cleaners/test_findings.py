"""What cleaners tell of a corpus is what was planted in it."""

import numpy as np
import pytest

from pipeline.cleaners import CLEANERS
from pipeline.cleaners.columns import labels
from pipeline.cleaners.combine import Combine
from pipeline.cleaners.vote import Vote
from pipeline.engine.local import TableRows, beside
from tests.corpora import plant

CLASSES, FLIP = 5, 0.2


@pytest.fixture(scope="module")
def told():
    """Each fifth label is that of the next class."""
    corpus = plant(3000, CLASSES, 32, flip=FLIP, foreign=0.0, swap=0.1, empty=0.0, asymmetric=True)
    table, found = corpus.table, {}
    for name in ("match", "probe", "neighbours", "similar", "propagate", "confident", "mixture",
                 "imprecise", "vote", "diffuse", "early", "compress"):  # fmt: skip
        cleaner = CLEANERS[name]()
        state = cleaner.fit(TableRows((table,), corpus.classes))
        table = beside(table, cleaner.score(state, table))
        if hasattr(cleaner, "tell"):
            found[name] = cleaner.tell(state)
    combine = Combine(scores=("match.label", "probe.label", "probe.label", "similar.label"))
    found["combine"] = combine.tell(combine.fit(TableRows((table,), corpus.classes)))
    label, wrong = labels(corpus.table), corpus.fault == "wrong-label"
    return found, np.array([wrong[label == c].mean() for c in range(CLASSES)])


@pytest.mark.parametrize(
    "name",
    ["match", "probe", "similar", "confident", "mixture", "imprecise", "compress"],
)
def test_the_noise_of_every_class_is_told(told, name):
    found, truth = told

    np.testing.assert_allclose(found[name].noise.rate, truth, atol=0.06)


@pytest.mark.parametrize("name", ["match", "probe", "similar", "confident", "imprecise"])
def test_the_class_that_labels_should_be_is_told(told, name):
    found, truth = told
    noise = found[name].noise

    np.testing.assert_array_equal(noise.meant, (np.arange(CLASSES) - 1) % CLASSES)
    np.testing.assert_allclose(noise.share, truth, atol=0.06)


@pytest.mark.parametrize(
    "name",
    ["match", "probe", "similar", "confident", "imprecise", "combine", "diffuse"],
)
def test_the_noise_of_the_corpus_is_told(told, name):
    assert told[0][name].shares["wrong labels"] == pytest.approx(FLIP, abs=0.05)


def test_swapped_captions_and_foreign_images_are_told(told):
    shares = told[0]["match"].shares

    assert shares["captions of another row"] == pytest.approx(0.1, abs=0.03)
    assert shares["images of no class"] < 0.03


def test_a_combination_tells_how_alike_its_members_are(told):
    kinship = told[0]["combine"].kinship

    assert kinship.name == ("match.label", "probe.label", "similar.label")
    np.testing.assert_allclose(np.diag(kinship.alike), 1.0)
    assert ((kinship.say > 0.0) & (kinship.say <= 1.0)).all()


def test_a_vote_tells_how_often_the_label_and_its_functions_are_right(told):
    found = told[0]["vote"]

    assert found.kinship.name == ("label", *Vote().functions)
    assert found.shares["votes of label that are right"] == pytest.approx(1.0 - FLIP, abs=0.05)
    assert found.shares["votes of prototypes that are right"] > 0.9
