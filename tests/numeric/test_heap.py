import numpy as np

from pipeline.numeric.heap import Heap

KEY = np.arange(100, dtype=np.uint64)
VECTOR = np.zeros((100, 1))


def keep(score, group, size=10):
    return Heap.of(size, np.zeros(100, int), score, (KEY, group), VECTOR)


def test_the_smallest_scores_stay_and_ties_go_to_the_smaller_key():
    heap = keep(np.repeat(np.arange(20.0), 5)[::-1], KEY)

    assert set(range(90, 100)) == set(heap.key.tolist())
    assert keep(np.zeros(100), KEY).key.tolist() == list(range(10))


def test_a_repeated_caption_does_not_fill_a_class():
    group = np.where(KEY < 60, np.uint64(7), KEY)
    heap = keep(np.where(KEY < 60, 0.0, 1.0), group)

    assert (heap.group == 7).sum() == 1


def test_a_repeated_caption_stays_where_there_is_nothing_else():
    assert len(keep(np.zeros(100), np.zeros(100, np.uint64)).key) == 10
