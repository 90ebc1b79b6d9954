import numpy as np
import pytest

from pipeline.numeric.label_model import fit_label_model
from pipeline.numeric.patterns import ABSTAIN, Patterns, candidates
from pipeline.numeric.vote_weight import effective_say


def draw(accuracy, num_rows=4_000, size=4, speaks=0.8, seed=0):
    """Draw true classes, and votes of independent voters."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, size, num_rows)
    vote = []
    for right in accuracy:
        wrong = (true + rng.integers(1, size, num_rows)) % size
        said = np.where(rng.random(num_rows) < right, true, wrong)
        vote.append(np.where(rng.random(num_rows) < speaks, said, ABSTAIN))
    return true, np.column_stack(vote)


def fit(vote, size=4, **options):
    patterns = Patterns.of(10**6, vote)
    return fit_label_model(patterns.vote, patterns.weight, size, **options)


def opinion(model, vote):
    candidate, belief = model.posterior(vote)
    best = belief.argmax(axis=1)
    rows = np.arange(len(vote))
    return candidate[rows, best], belief[rows, best]


def majority(vote, size):
    count = (vote[:, :, None] == np.arange(size)).sum(axis=1)
    return (count + 1e-6 * np.random.default_rng(0).random(count.shape)).argmax(axis=1)


def test_known_accuracies_are_found():
    accuracy = (0.9, 0.75, 0.6, 0.85, 0.5)
    _, vote = draw(accuracy, 8_000)
    model = fit(vote, 4, say=np.ones(5))

    np.testing.assert_allclose(model.accuracy.mean(axis=1), accuracy, atol=0.03)
    np.testing.assert_allclose(model.propensity.mean(axis=1), 0.8, atol=0.02)


@pytest.mark.parametrize("size", [3, 40])
def test_the_posterior_is_that_of_brute_force(size):
    # shared accuracies and even habits: the classes without a vote are truly alike
    _, vote = draw((0.9, 0.7, 0.6), 300, size)
    model = fit(vote, size, num_steps=0, say=np.ones(3))
    candidate, belief = model.posterior(vote)

    for row in range(300):
        joint = np.full(size, 1.0 / size)
        for m, said in enumerate(vote[row]):
            right, speaks = model.accuracy[m, 0], model.propensity[m, 0]
            for k in range(size):
                by_class = right if said == k else (1 - right) / (size - 1)
                joint[k] *= (1 - speaks) if said == ABSTAIN else speaks * by_class
        joint /= joint.sum()
        named = candidate[row] != -1
        expected = np.where(
            named, joint[candidate[row]], 1 - joint[np.unique(candidate[row][named])].sum()
        )
        first = belief[row] > 0
        np.testing.assert_allclose(belief[row][first], expected[first], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [4, 50])
def test_it_beats_the_majority(size):
    true, vote = draw((0.95, 0.55, 0.55, 0.55), 3_000, size)
    model = fit(vote, size)
    spoken = (vote >= 0).any(axis=1)
    ours = np.mean(opinion(model, vote)[0][spoken] == true[spoken])
    floor = np.mean(majority(vote, size)[spoken] == true[spoken])

    assert ours > floor + 0.03


def test_confidence_is_calibrated_without_true_classes():
    true, vote = draw((0.9, 0.8, 0.7, 0.6), 8_000, speaks=0.9)
    best, belief = opinion(fit(vote, 4, say=np.ones(4)), vote)

    assert abs(belief.mean() - (best == true).mean()) < 0.02


def test_a_duplicated_voter_does_not_double_its_say():
    true, vote = draw((0.7, 0.8, 0.8, 0.8), 6_000)
    twice = np.column_stack([vote, vote[:, :1], vote[:, :1]])
    once = fit(vote, 4)
    model = fit(twice, 4)
    naive = fit(twice, 4, say=np.ones(6))
    right = [
        np.mean(opinion(m, v)[0] == true) for m, v in ((once, vote), (model, twice), (naive, twice))
    ]

    assert model.say[[0, 4, 5]].sum() < 1.3 * once.say[0]
    assert abs(right[0] - right[1]) < 0.02
    assert right[1] > right[2] + 0.02


def test_independent_voters_keep_their_say():
    _, vote = draw((0.7, 0.8, 0.8, 0.8), 6_000)

    assert fit(vote, 4).say.min() > 0.8


def test_a_voter_that_knows_one_class_alone_is_believed_there_alone():
    true, vote = draw((0.75, 0.75, 0.75), 8_000)
    rng = np.random.default_rng(5)
    expert = np.where((true == 0) | (rng.random(8_000) < 0.1), true, rng.integers(1, 4, 8_000))
    vote = np.column_stack([vote, np.where(true == 0, 0, expert)])
    model = fit(vote, 4, say=np.ones(4))

    assert model.accuracy[3, 0] > 0.95
    assert model.accuracy[3, 1:].max() < 0.6


def test_patterns_stand_for_their_rows():
    _, vote = draw((0.9, 0.7, 0.6), 3_000)
    patterns = Patterns.of(1_000, vote)
    one = fit_label_model(patterns.vote, patterns.weight, 4)
    other = fit_label_model(vote, np.ones(3_000), 4)

    assert len(patterns.vote) <= 5**3
    np.testing.assert_allclose(one.accuracy, other.accuracy, atol=1e-9)


def test_a_bounded_share_of_patterns_stands_for_all():
    _, vote = draw((0.9, 0.7, 0.6, 0.8), 10_000, 12)
    few, every = Patterns.of(1_000, vote), Patterns.of(10**6, vote)

    assert few.is_cut
    assert len(few.vote) == 1_000 < len(every.vote)
    assert abs(few.weight.sum() / 10_000 - 1) < 0.1
    one, other = (fit_label_model(p.vote, p.weight, 12) for p in (few, every))
    np.testing.assert_allclose(one.accuracy.mean(axis=1), other.accuracy.mean(axis=1), atol=0.06)


def test_nobody_to_believe_is_no_error():
    model = fit_label_model(np.zeros((0, 3), np.int64), np.zeros(0), 5)
    candidate, belief = model.posterior(np.full((2, 3), ABSTAIN))

    np.testing.assert_allclose(belief, 0.2)
    assert candidate.shape == (2, 5)


def test_classes_without_a_vote_are_one_candidate():
    candidate, again = candidates(np.array([[3, 3], [ABSTAIN, 4]]), 100)

    assert candidate.tolist() == [[3, 3, -1], [-1, 4, -1]]
    assert again.tolist() == [[False, True, False], [False, False, True]]


def test_say_is_shared_by_size_and_by_correlation():
    half = np.array([[1.0, 0.5], [0.5, 1.0]])

    np.testing.assert_allclose(effective_say(np.ones((4, 4))), 0.25)
    np.testing.assert_allclose(effective_say(np.eye(3)), 1.0)
    np.testing.assert_allclose(effective_say(half), 1 / 1.5)
    np.testing.assert_allclose(effective_say(-half), 1.0)
