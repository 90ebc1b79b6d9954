import numpy as np
import pytest
from scipy.stats import kstest

from pipeline.numeric.class_ranks import ClassRanks
from pipeline.numeric.quota import Quota, uniform

HASH = np.arange(30_000, dtype=np.uint64)


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.37, 0.9, 1.0])
def test_every_class_keeps_its_share_whatever_its_values(keep):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, len(HASH))
    value = np.choose(label, [rng.random(len(HASH)), rng.random(len(HASH)) ** 9, 0.25])
    ranks = ClassRanks.of(label, value, 3, 64)
    held = Quota.of(ranks.count, keep, least=0).holds(label, value, uniform(HASH, 1))

    for k in range(3):
        assert held[label == k].mean() == pytest.approx(keep, abs=0.015)
    wanted = np.quantile(value[label == 1], keep)
    assert value[(label == 1) & held].max(initial=0) <= wanted + 1 / 64


def test_a_rare_class_keeps_its_least_rows():
    label = np.r_[np.zeros(1000, int), np.ones(7, int), np.full(30, 2)]
    value = uniform(np.arange(len(label), dtype=np.uint64), 0)
    quota = Quota.of(ClassRanks.of(label, value, 4, 1024).count, 0.1, least=10)
    held = quota.holds(label, value, np.zeros(len(label)))

    assert held[label == 1].all()
    assert held[label == 2].sum() >= 10


def test_numbers_drawn_by_hash_are_uniform_and_independent_between_salts():
    one, other = uniform(HASH, 0), uniform(HASH, 1)

    assert kstest(one, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
