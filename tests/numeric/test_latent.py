from dataclasses import replace

import numpy as np
from scipy.special import expit, logit

from pipeline.numeric.latent import Latent, fit_latent
from pipeline.numeric.patterns import Patterns


def binned(num_rows=12_000, rate=0.25, num_bins=5, seed=0):
    """Draw wrong labels and bins of three scores whose chances are known."""
    rng = np.random.default_rng(seed)
    rising = np.array([0.05, 0.1, 0.15, 0.3, 0.4])
    wrong = rng.random(num_rows) < rate
    drawn = [
        np.where(
            wrong, rng.choice(num_bins, num_rows, p=rising), 4 - rng.choice(5, num_rows, p=rising)
        )
        for _ in range(3)
    ]
    return wrong, np.column_stack(drawn), np.tile([0.1, 0.3, 0.45, 0.7, 0.9], (3, 1)), rising


def fit(place, claim):
    patterns = Patterns.of(10_000, place)
    return fit_latent(patterns.vote, patterns.weight, claim)


def test_the_posterior_is_bayes_rule():
    rng = np.random.default_rng(1)
    share, chance = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), (3, 2))
    model = Latent(share, chance, np.ones(2), np.eye(2))
    for place in np.ndindex(3, 3):
        joint = [share[c] * chance[c, 0, place[0]] * chance[c, 1, place[1]] for c in range(3)]
        assert np.isclose(model.posterior(np.array([place]))[0], joint[2] / sum(joint))


def test_bins_mean_what_they_mean():
    wrong, place, claim, rising = binned()
    model = fit(place, claim)
    truth = expit(np.log(rising) - np.log(rising[::-1]) + logit(0.25))

    assert abs(model.wrong - wrong.mean()) < 0.05
    assert np.abs(model.calibrated - truth).mean() < 0.06
    assert (np.diff(model.evidence, axis=1) >= -1e-9).all()


def test_claims_that_are_far_off_are_put_right():
    _, place, _, rising = binned()
    flat = np.tile([0.44, 0.46, 0.48, 0.6, 0.62], (3, 1))
    truth = expit(np.log(rising) - np.log(rising[::-1]) + logit(0.25))
    error = np.abs(fit(place, flat).calibrated - truth).mean()

    assert error < 0.4 * np.abs(flat - truth).mean()


def test_a_cluster_of_copies_has_one_vote():
    _, place, claim, _ = binned()
    model = fit(place[:, [0, 1, 2, 2]], claim[[0, 1, 2, 2]])

    assert abs(model.say[2:].sum() - model.say[:2].mean()) < 0.1
    assert model.correlation[2, 3] > 0.999


def test_hard_rows_are_told_from_wrong_ones():
    rng = np.random.default_rng(2)
    kind = rng.choice(3, 12_000, p=[0.6, 0.25, 0.15])
    kin = np.array([[0.8, 0.15, 0.05], [0.1, 0.6, 0.3], [0.02, 0.18, 0.8]])
    apart = np.array([[0.95, 0.04, 0.01], [0.95, 0.04, 0.01], [0.05, 0.15, 0.8]])
    truth = np.stack([kin, kin, kin, kin, apart], axis=1)
    above = truth.cumsum(axis=2)[kind]
    place = (rng.random((12_000, 5, 1)) > above).sum(axis=2)
    model = fit(place, np.tile([0.05, 0.5, 0.95], (5, 1)))

    np.testing.assert_allclose(model.share, [0.6, 0.25, 0.15], atol=0.03)
    np.testing.assert_allclose(model.chance, truth, atol=0.05)


def test_a_higher_bin_never_speaks_for_a_lower_class():
    rng = np.random.default_rng(3)
    place = rng.integers(0, 6, (2_000, 4))
    model = fit(place, np.tile(np.linspace(0.05, 0.95, 6), (4, 1)))
    ratio = np.diff(np.log(model.chance), axis=0)

    assert (np.diff(ratio, axis=2) >= -1e-9).all()
    assert (np.diff(model.evidence, axis=1) >= -1e-9).all()


def test_scores_that_are_silent_add_nothing():
    _, place, claim, _ = binned(2_000)
    model = fit(place, claim)
    some = place.copy()
    some[:, 1] = -1
    without = replace(model, chance=model.chance[:, [0, 2]], say=model.say[[0, 2]])

    np.testing.assert_allclose(model.belief(some), without.belief(place[:, [0, 2]]))


def test_no_rows_are_no_error():
    model = fit_latent(np.zeros((0, 2), np.int64), np.zeros(0), np.full((2, 3), 0.5))

    assert np.isfinite(model.posterior(np.array([[0, 2], [-1, -1]]))).all()
