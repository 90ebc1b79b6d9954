import numpy as np
import pytest

from pipeline.numeric.pairing import fit_apart, gap, unmatched_share


def pairs(num_rows=2000, share=0.0, noise=1.0, seed=0):
    """Unit images and captions of one thing each, a share of the captions moved to other rows."""
    rng = np.random.default_rng(seed)
    thing = rng.standard_normal((num_rows, 32))
    towers = 3.0 * rng.standard_normal((2, 32))  # CLIP's two towers point apart
    image, text = (thing + noise * rng.standard_normal(thing.shape) + t for t in towers)
    moved = rng.permutation(num_rows)[: round(share * num_rows)]
    text[moved] = text[np.roll(moved, 1)]
    image, text = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (image, text))
    return image, text, np.isin(np.arange(num_rows), moved)


def means(image, text):
    return np.stack([image.mean(axis=0), text.mean(axis=0)])


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_the_share_of_moved_captions_is_found_and_hardly_overstated(share, noise):
    image, text, _ = pairs(share=share, noise=noise)

    _, found = fit_apart(image, text, means(image, text), np.ones(len(image)))

    assert 0.8 * share <= found <= share + 0.02


def test_no_share_is_found_where_every_caption_is_its_own():
    image, text, _ = pairs(share=0.0, noise=0.5)

    odds, found = fit_apart(image, text, means(image, text), np.ones(len(image)))

    assert found < 0.01
    assert odds.at(gap(image, text, means(image, text))).max() < 60.0


def test_odds_rise_with_the_gap_and_tell_moved_captions():
    image, text, moved = pairs(share=0.2, noise=0.5)

    odds, share = fit_apart(image, text, means(image, text), np.ones(len(image)))
    found = odds.at(gap(image, text, means(image, text)))

    assert (np.diff(odds.log) >= 0).all()
    flagged = share * found > 1.0 - share
    assert (flagged == moved).mean() > 0.97


def test_weights_count_as_rows():
    image, text, moved = pairs(share=0.2, noise=0.5)
    weight = np.where(moved, 3.0, 1.0)

    _, found = fit_apart(image, text, means(image, text), weight)

    assert found == pytest.approx(0.6 / 1.4, abs=0.05)


def test_the_gap_does_not_see_where_the_towers_point():
    image, text, _ = pairs(noise=0.3)

    raw = np.einsum("nd,nd->n", image, text)
    centred = 1.0 - 2.0 * gap(image, text, means(image, text))

    assert centred.mean() > raw.mean() + 0.1


@pytest.mark.parametrize("num_rows", [0, 1, 39])
def test_a_handful_of_pairs_says_nothing(num_rows):
    image, text, _ = pairs(num_rows=max(num_rows, 2))

    odds, share = fit_apart(image[:num_rows], text[:num_rows], np.zeros((2, 32)), np.ones(num_rows))

    assert share == 0.0
    np.testing.assert_array_equal(odds.at(np.linspace(0, 1, 5)), np.ones(5))


def test_equal_gaps_leave_no_room():
    one = np.ones(50)

    assert unmatched_share((np.full(50, 0.1), one), (np.full(50, 0.5), one)) == 0.0


def test_rows_in_the_order_of_their_classes_find_the_same_share():
    image, text, _ = pairs(share=0.2, noise=0.5)
    copies = [np.repeat(rows, 2, axis=0) for rows in (image, text)]

    _, found = fit_apart(*copies, means(*copies), np.ones(2 * len(image)))
    _, alone = fit_apart(image, text, means(image, text), np.ones(len(image)))

    assert found == pytest.approx(alone, abs=0.01)
