import numpy as np

from pipeline.numeric.bank import Bank
from pipeline.numeric.prototypes import unit

RNG = np.random.default_rng(0)
CLASS = np.repeat(np.arange(4), 25)
IMAGE = unit(np.eye(4, 16)[CLASS] + 0.1 * RNG.normal(size=(100, 16)))
TEXT = unit(np.eye(4, 16)[CLASS] + 0.1 * RNG.normal(size=(100, 16)))
NAME = np.arange(100, dtype=np.uint64)


def test_neighbours_vote_for_their_class():
    votes = Bank.of(IMAGE, NAME, TEXT).predicted(CLASS, np.ones(100)).votes(IMAGE, NAME, 5, 4)

    np.testing.assert_array_equal(votes.argmax(axis=1), CLASS)
    np.testing.assert_allclose(votes.sum(axis=1), 1.0, atol=1e-6)


def test_a_row_does_not_vote_for_itself():
    prediction = np.where(NAME == 3, 2, CLASS)
    votes = Bank.of(IMAGE, NAME, TEXT).predicted(prediction, np.ones(100)).votes(IMAGE, NAME, 5, 4)

    assert votes[3, 2] == 0.0


def test_a_row_without_caption_gets_that_of_its_neighbours():
    text = TEXT.copy()
    text[7] = 0.0
    enhanced = Bank.of(IMAGE, NAME, text).enhance(IMAGE, text, NAME, 5)

    assert enhanced[7] @ np.eye(16)[CLASS[7]] > 0.9


def test_neighbours_without_caption_lend_none():
    enhanced = Bank.of(IMAGE, NAME, np.zeros_like(TEXT)).enhance(IMAGE, TEXT, NAME, 5)

    np.testing.assert_allclose(enhanced, TEXT, atol=1e-6)


def test_only_captioned_neighbours_share_the_weight():
    text = np.zeros_like(TEXT)
    text[1] = TEXT[1]
    enhanced = Bank.of(IMAGE, NAME, text).enhance(IMAGE[:1], TEXT[:1], NAME[:1], 99)

    np.testing.assert_allclose(enhanced[0], unit(TEXT[0] + TEXT[1]), atol=1e-3)


def test_copies_of_one_picture_have_no_neighbours_and_no_say_in_the_bandwidth():
    image = np.vstack([IMAGE, np.repeat(IMAGE[:1], 30, axis=0)])
    name = np.r_[NAME, np.zeros(30, np.uint64)]  # copies of row 0
    text = np.vstack([TEXT, np.repeat(TEXT[:1], 30, axis=0)])

    alone = Bank.of(image, np.zeros_like(name), text)
    mixed = Bank.of(image, name, text)

    assert alone.bandwidth == 1.0
    assert 0.0 < mixed.bandwidth < 1.0
