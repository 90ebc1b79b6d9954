import numpy as np

from pipeline.numeric.class_ranks import ClassRanks
from pipeline.numeric.votes import Votes


def test_votes_are_those_of_a_table_of_classes():
    rng = np.random.default_rng(0)
    label, weight, own = rng.integers(-1, 6, (50, 9)), rng.random((50, 9)), rng.integers(0, 6, 50)
    label[0] = -1
    votes = Votes.of(label, weight)
    table = np.zeros((50, 6))
    for row, column in zip(*np.nonzero(label >= 0), strict=True):
        table[row, label[row, column]] += weight[row, column]

    picked = table[np.arange(50), own]
    length = np.linalg.norm(table, axis=1)
    np.testing.assert_allclose(votes.votes_for(own), picked)
    np.testing.assert_allclose(votes.total, table.sum(axis=1))
    np.testing.assert_allclose(votes.share(own)[1:], picked[1:] / table[1:].sum(axis=1))
    np.testing.assert_allclose(votes.cosine(own)[1:], picked[1:] / length[1:])
    assert (votes.winner[1:] == table.argmax(axis=1)[1:]).all()
    assert votes.winner[0] == -1


def test_no_neighbours_are_no_votes():
    votes = Votes.of(np.zeros((3, 0), np.int64), np.zeros((3, 0)))

    assert (votes.winner == -1).all()
    assert (votes.cosine(np.zeros(3, np.int64)) == 0).all()


def test_of_equal_votes_the_nearer_wins():
    votes = Votes.of(np.array([[4, 1, 1, 4]]), np.ones((1, 4)))

    assert votes.winner[0] == 4


def test_cosines_of_votes_are_no_probabilities():
    votes = Votes.of(np.array([[0, 1, 2, 3]]), np.ones((1, 4)))
    classes = [np.array([c]) for c in range(4)]

    assert sum(votes.cosine(c)[0] for c in classes) == 2.0
    assert sum(votes.share(c)[0] for c in classes) == 1.0


def test_ranks_are_mid_ranks_within_the_class():
    rng = np.random.default_rng(1)
    label, value = rng.integers(0, 3, 600), rng.integers(0, 16, 600) / 16
    ranks = ClassRanks.of(label, value, 3, 16)
    of_class = [value[label == c] for c in label]
    slow = [
        ((o < v).sum() + (o == v).sum() / 2) / len(o) for o, v in zip(of_class, value, strict=True)
    ]

    np.testing.assert_allclose(ranks.below(label, value), slow)
