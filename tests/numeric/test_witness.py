import numpy as np
import pytest

from pipeline.numeric.witness import Rates, Witnesses, fit_odds, fit_rates, judge

NUM_CLASSES, NUM_ROWS = 6, 4000
PRIOR = np.full(NUM_CLASSES, 1 / NUM_CLASSES)


def witnesses(seed, wrong, swapped, foreign):
    """Draw rows from the model itself, with evidence that is right nine times in ten."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, NUM_CLASSES, NUM_ROWS)
    draw = rng.random((3, NUM_ROWS)) < np.array([[wrong], [swapped], [foreign]])
    other = (true + rng.integers(1, NUM_CLASSES, NUM_ROWS)) % NUM_CLASSES
    any_class = rng.integers(0, NUM_CLASSES, (2, NUM_ROWS))
    label = np.where(draw[0], other, true)
    caption = evidence(rng, np.where(draw[1], any_class[0], true))
    image = evidence(rng, np.where(draw[2], any_class[1], true))
    distance = rng.normal(size=NUM_ROWS) + 3.0 * draw[2]
    ones = np.ones(NUM_ROWS)
    return Witnesses(image, caption, label, np.exp(distance.clip(-2, 2)), ones), distance, draw


def evidence(rng, shown, right=0.9):
    seen = np.where(rng.random(NUM_ROWS) < right, shown, rng.integers(0, NUM_CLASSES, NUM_ROWS))
    ratio = np.full((NUM_ROWS, NUM_CLASSES), 1 - right)
    ratio[np.arange(NUM_ROWS), seen] = 1 - right + right * NUM_CLASSES
    return ratio


@pytest.mark.parametrize(("wrong", "swapped", "foreign"), [(0.15, 0.1, 0.1), (0.3, 0.2, 0.05)])
def test_the_rates_of_all_faults_are_found(wrong, swapped, foreign):
    said, distance, _ = witnesses(0, wrong, swapped, foreign)
    rates, _ = fit_rates(said, distance, Rates.start(PRIOR), np.ones(NUM_ROWS))

    assert abs(1 - np.mean(np.diag(rates.given)) - wrong) < 0.03
    assert abs(rates.swapped - swapped) < 0.03
    assert abs(rates.foreign - foreign) < 0.04


def test_probabilities_are_calibrated():
    said, distance, draw = witnesses(1, 0.2, 0.1, 0.1)
    rates, odds = fit_rates(said, distance, Rates.start(PRIOR), np.ones(NUM_ROWS))
    said = Witnesses(said.image, said.caption, said.label, odds.at(distance), said.apart)
    verdict = judge(said, rates)

    wrong = 1 - verdict.posterior[np.arange(NUM_ROWS), said.label]
    for chance, fault in ((wrong, draw[0]), (verdict.swapped, draw[1]), (verdict.foreign, draw[2])):
        high = chance > 0.4
        assert high.sum() > 100
        assert abs(fault[high].mean() - chance[high].mean()) < 0.1
        assert abs(fault[~high].mean() - chance[~high].mean()) < 0.03


def test_a_clean_corpus_has_small_rates():
    said, distance, _ = witnesses(2, 0.0, 0.0, 0.0)
    rates, _ = fit_rates(said, distance, Rates.start(PRIOR), np.ones(NUM_ROWS))

    assert max(rates.foreign, rates.swapped, 1 - np.mean(np.diag(rates.given))) < 0.02


def test_the_posterior_agrees_with_a_sum_over_all_states():
    said, _, _ = witnesses(3, 0.2, 0.1, 0.1)
    rates = Rates.start(PRIOR, 0.2)
    row, total, foreign, swapped = 5, 0.0, 0.0, 0.0
    for c in range(NUM_CLASSES):
        for is_foreign in (False, True):
            for is_swapped in (False, True):
                image = said.strange[row] if is_foreign else said.image[row, c]
                caption = 1.0 if is_swapped else said.caption[row, c]
                share = rates.foreign if is_foreign else 1 - rates.foreign
                share *= rates.swapped if is_swapped else 1 - rates.swapped
                chance = PRIOR[c] * rates.given[c, said.label[row]] * share * image * caption
                total += chance
                foreign += chance * is_foreign
                swapped += chance * is_swapped

    verdict = judge(said, rates)
    np.testing.assert_allclose(verdict.foreign[row], foreign / total)
    np.testing.assert_allclose(verdict.swapped[row], swapped / total)
    np.testing.assert_allclose(verdict.posterior.sum(axis=1), 1.0)


def test_odds_rise_and_are_bounded():
    rng = np.random.default_rng(0)
    value = np.r_[rng.normal(0, 1, 900), rng.normal(6, 1, 100)]
    fault = np.r_[np.zeros(900), np.ones(100)]
    odds = fit_odds(value, fault, 1 - fault)

    assert (np.diff(odds.log) >= 0).all()
    assert odds.at(np.array([-100.0]))[0] < 0.1
    assert 10 < odds.at(np.array([100.0]))[0] <= np.exp(6)
    assert fit_odds(value[:0], fault[:0], fault[:0]).at(np.zeros(1))[0] == 1.0


def test_a_favourite_confusion_is_learned():
    said, distance, _ = witnesses(4, 0.0, 0.1, 0.0)
    wrong = np.random.default_rng(5).random(NUM_ROWS) < 0.3
    label = np.where(wrong, (said.label + 1) % NUM_CLASSES, said.label)
    said = Witnesses(said.image, said.caption, label, said.strange, said.apart)
    rates, _ = fit_rates(said, distance, Rates.start(PRIOR), np.ones(NUM_ROWS))

    nexts = rates.given[np.arange(NUM_CLASSES), (np.arange(NUM_CLASSES) + 1) % NUM_CLASSES]
    assert (nexts > 0.2).all()
