import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.numeric.bottom import Bottom
from pipeline.numeric.heap import Heap
from pipeline.numeric.histogram import Histogram
from pipeline.numeric.irls import Newton
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.sample import Sample
from pipeline.numeric.temperature import NoisyFit
from tests.numeric.merging import assert_merges

NUM_ROWS, NUM_CLASSES = 40, 3
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(NUM_ROWS, 4))
LABEL = RNG.integers(-1, NUM_CLASSES, NUM_ROWS)
FOLD = RNG.integers(0, 2, NUM_ROWS)
WEIGHT = RNG.random(NUM_ROWS)
SCORE = RNG.integers(0, 4, NUM_ROWS) / 4
KEY = RNG.permutation(NUM_ROWS).astype(np.uint64)
GROUP = RNG.integers(0, 12, NUM_ROWS).astype(np.uint64)
PRIOR = np.full(NUM_CLASSES, 1 / NUM_CLASSES)

STATISTICS = {
    "moments": lambda s: FoldMoments.of(ROWS[s], LABEL[s], FOLD[s], (2, NUM_CLASSES), WEIGHT[s]),
    "histogram": lambda s: Histogram.of(SCORE[s], 0.0, 1.0, 8, WEIGHT[s]),
    "heap": lambda s: Heap.of(4, LABEL[s], SCORE[s], (KEY[s], GROUP[s]), ROWS[s]),
    "sample": lambda s: Sample.of(5, LABEL[s], GROUP[s], KEY[s], ROWS[s].astype(np.float16)),
    "bottom": lambda s: Bottom.of(5, GROUP[s], KEY[s], {"score": SCORE[s]}),
    "newton": lambda s: Newton.of(ROWS[s], SCORE[s], WEIGHT[s], np.ones(5)),
    "noisy fit": lambda s: NoisyFit.of(ROWS[s, :3], np.maximum(LABEL[s], 0), PRIOR),
}


@pytest.mark.parametrize("name", STATISTICS)
@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, NUM_ROWS), max_size=5))
def test_any_parts_in_any_order_give_the_whole(name, cuts):
    assert_merges(STATISTICS[name], NUM_ROWS, cuts)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_single_row_is_a_statistic(name):
    assert_merges(STATISTICS[name], 1, [])
