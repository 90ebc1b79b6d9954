import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.numeric.asking import Gains, Smallest
from pipeline.numeric.bottom import Bottom
from pipeline.numeric.class_histogram import ClassHistogram
from pipeline.numeric.class_ranks import ClassRanks
from pipeline.numeric.class_sums import ClassSums
from pipeline.numeric.clues import Clue
from pipeline.numeric.coding_rate import ClassOuter
from pipeline.numeric.confident import Joint, SelfConfidence
from pipeline.numeric.consensus import Consensus
from pipeline.numeric.counter import Counter
from pipeline.numeric.heap import Heap
from pipeline.numeric.histogram import Histogram
from pipeline.numeric.irls import Newton
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.patterns import Patterns
from pipeline.numeric.prints import Prints
from pipeline.numeric.rescaler import CellStats
from pipeline.numeric.sample import Sample
from pipeline.numeric.select import Search
from pipeline.numeric.temperature import NoisyFit
from pipeline.numeric.transition import Transition
from pipeline.numeric.verifier import ArrowNewton, CellSums, Verifier
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
PLACE = KEY.astype(np.uint32)
PRIOR = np.full(NUM_CLASSES, 1 / NUM_CLASSES)
VERIFIER = Verifier(np.zeros(4), np.zeros((1, NUM_CLASSES, 4)), np.ones(4), np.ones(NUM_CLASSES))
CLUE = Clue(
    np.tile(np.arange(NUM_CLASSES), (NUM_ROWS, 1)),
    RNG.dirichlet(np.ones(NUM_CLASSES), NUM_ROWS),
    LABEL[:, None],
    RNG.integers(0, 4, NUM_ROWS),
)

STATISTICS = {
    "moments": lambda s: FoldMoments.of(ROWS[s], LABEL[s], FOLD[s], (2, NUM_CLASSES), WEIGHT[s]),
    "histogram": lambda s: Histogram.of(SCORE[s], 0.0, 1.0, 8, WEIGHT[s]),
    "heap": lambda s: Heap.of(4, LABEL[s], SCORE[s], (KEY[s], GROUP[s]), ROWS[s]),
    "sample": lambda s: Sample.of(5, LABEL[s], GROUP[s], KEY[s], ROWS[s].astype(np.float16)),
    "bottom": lambda s: Bottom.of(5, GROUP[s], KEY[s], {"score": SCORE[s]}),
    "class outer": lambda s: ClassOuter.of(ROWS[s], LABEL[s], NUM_CLASSES),
    "consensus": lambda s: Consensus.of(LABEL[s], np.c_[FOLD[s], LABEL[s]], NUM_CLASSES),
    "class ranks": lambda s: ClassRanks.of(LABEL[s], SCORE[s], NUM_CLASSES, 8),
    "prints": lambda s: Prints.of(
        *(GROUP[s], KEY[s], (GROUP[s], PLACE[s])),
        *(GROUP[s], KEY[s].repeat(4).reshape(-1, 4), LABEL[s]),
    ),
    "class histogram": lambda s: ClassHistogram.of(SCORE[s], LABEL[s], NUM_CLASSES, (0.0, 1.0), 8),
    "cell sums": lambda s: CellSums.of(ROWS[s], LABEL[s], FOLD[s], WEIGHT[s], (2, NUM_CLASSES)),
    "cell stats": lambda s: CellStats.of(ROWS[s], LABEL[s] % NUM_CLASSES, FOLD[s] > 0, NUM_CLASSES),
    "arrow newton": lambda s: ArrowNewton.of(ROWS[s], LABEL[s] % NUM_CLASSES, WEIGHT[s], VERIFIER),
    "counter": lambda s: Counter.of(GROUP[s]),
    "digits": lambda s: Search.of(np.arange(3), np.array([4, 1, 0])).count(LABEL[s], KEY[s] << 56),
    "self-confidence": lambda s: SelfConfidence.of(FOLD[s], WEIGHT[s], NUM_CLASSES),
    "joint": lambda s: Joint.of(FOLD[s], LABEL[s], NUM_CLASSES),
    "gains": lambda s: Gains.of(SCORE[s], 16),
    "smallest": lambda s: Smallest.of(5, WEIGHT[s]),
    "newton": lambda s: Newton.of(ROWS[s], SCORE[s], WEIGHT[s], np.ones(5)),
    "noisy fit": lambda s: NoisyFit.of(ROWS[s, :3], np.maximum(LABEL[s], 0), PRIOR),
    "class sums": lambda s: ClassSums.of(ROWS[s], LABEL[s], FOLD[s], (2, NUM_CLASSES)),
    "patterns": lambda s: Patterns.of(5, np.c_[LABEL[s], FOLD[s], GROUP[s].astype(int) % 3]),
    "transition": lambda s: Transition.start(np.arange(0, 9, 2), 3, 4).counts(CLUE.take(s)),
}


@pytest.mark.parametrize("name", STATISTICS)
@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, NUM_ROWS), max_size=5))
def test_any_parts_in_any_order_give_the_whole(name, cuts):
    assert_merges(STATISTICS[name], NUM_ROWS, cuts)


@pytest.mark.parametrize("name", STATISTICS)
def test_a_single_row_is_a_statistic(name):
    assert_merges(STATISTICS[name], 1, [])
