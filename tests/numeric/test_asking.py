from functools import reduce

import numpy as np
import pytest
from scipy.optimize import linprog

from pipeline.numeric.asking import FLOOR, Gains, Smallest


def game(gain, num_wrong, cost):
    """Return the value of the game and a best answer, by linear programming.

    The adversary takes the `k` largest of `p (g + l)`: `min k t + sum u` with `t + u >= p (g + l)`.
    """
    n = len(gain)
    objective = np.r_[-gain, num_wrong, np.ones(n)]
    above = np.c_[np.diag(cost * gain), -np.ones(n), -np.eye(n)]
    equal = np.r_[np.ones(n), 0.0, np.zeros(n)][None]
    bounds = [(0, None)] * n + [(None, None)] + [(0, None)] * n
    found = linprog(objective, above, np.zeros(n), equal, [1.0], bounds=bounds)
    return -found.fun, found.x[:n]


def exact(gain, num_wrong, cost):
    """Return the value and the probabilities of the closed form, from sorted gains."""
    order = np.argsort(-gain)
    total = np.cumsum(1.0 / gain[order])
    value = (np.arange(1, len(gain) + 1) - cost * num_wrong) / total
    best = int(np.argmax(value))
    share = np.zeros(len(gain))
    share[order[: best + 1]] = 1.0 / gain[order[: best + 1]] / total[best]
    return value[best], share


def certain(gain, share, num_wrong, cost):
    """Return what probabilities gain against the worst adversary."""
    return (gain * share).sum() - cost * np.sort(gain * share)[::-1][:num_wrong].sum()


@pytest.mark.parametrize("cost", [1, 2])
@pytest.mark.parametrize("seed", range(15))
def test_the_closed_form_is_the_solution_of_the_game(cost, seed):
    rng = np.random.default_rng(seed)
    gain = rng.uniform(0.05, 1.0, rng.integers(5, 30)) ** rng.integers(1, 4)
    gain = np.maximum(gain, FLOOR)
    num_wrong = int(rng.integers(0, len(gain) // (2 * cost)))
    value, _ = game(gain, num_wrong, cost)
    asking = Gains.of(gain, 200_000).solve(num_wrong, cost)

    assert asking.value == pytest.approx(value, rel=1e-6)
    share = asking.probability(gain)
    assert share.sum() == pytest.approx(1.0)
    assert certain(gain, share, num_wrong, cost) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("cost", [1, 2])
def test_many_shards_find_the_exact_solution(cost):
    gain = np.maximum(np.random.default_rng(0).beta(1, 3, 20_000), FLOOR)
    asking = reduce(Gains.merge, map(Gains.of, np.array_split(gain, 7))).solve(1500, cost)
    value, share = exact(gain, 1500, cost)

    assert asking.value == pytest.approx(value, rel=1e-4)
    assert asking.probability(gain).sum() == pytest.approx(1.0)
    assert np.abs(asking.probability(gain) - share).sum() < 0.005


@pytest.mark.parametrize("num_wrong", [5, 10])
def test_where_no_gain_is_certain_all_rows_are_asked_alike(num_wrong):
    gain = np.linspace(0.1, 1.0, 10)
    asking = Gains.of(gain).solve(num_wrong, cost=2)

    assert asking.is_uniform
    assert asking.value == 0.0
    assert asking.probability(gain) == pytest.approx(np.full(10, 0.1))


def test_gains_of_nothing_do_not_take_all_questions():
    gain = np.r_[np.zeros(5), np.full(95, 0.5)]
    share = Gains.of(gain).solve(10, 1).probability(gain)

    assert np.isfinite(share).all()
    assert share[:5].sum() == 0.0


def test_no_rows_are_no_questions():
    asking = Gains.of(np.empty(0)).solve(0, 1)

    assert asking.is_uniform
    assert len(asking.probability(np.empty(0))) == 0
    assert len(Smallest.of(3, np.empty(0)).value) == 0
