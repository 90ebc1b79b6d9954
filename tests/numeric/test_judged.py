import numpy as np

from pipeline.numeric.judged import BLOCK_ROWS, Judged


def test_every_row_is_in_one_block():
    name, zero = np.arange(3 * BLOCK_ROWS + 1, dtype=np.uint64), np.zeros(3 * BLOCK_ROWS + 1)
    image = np.zeros((len(name), 1), np.float16)
    rows = Judged(len(name), name, name, zero.astype(int), image, image, zero, zero, zero, zero)

    assert rows.reduce(lambda block: [len(block.hash)], list.__add__) == [BLOCK_ROWS] * 3 + [1]
    assert rows.reduce(lambda block: int(block.hash.sum()), int.__add__) == int(name.sum())
