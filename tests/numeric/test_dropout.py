import numpy as np

from pipeline.numeric.dropout import dropped

HASH = np.random.default_rng(0).integers(0, 2**63, 4000).astype(np.uint64)


def test_the_masks_of_a_row_do_not_depend_on_other_rows():
    rows = np.random.default_rng(1).normal(size=(4000, 16))
    whole = dropped(rows, HASH, 3, 0.1)

    np.testing.assert_array_equal(dropped(rows[7:9], HASH[7:9], 3, 0.1), whole[:, 7:9])


def test_the_share_that_is_dropped_is_the_rate_everywhere():
    zero = dropped(np.ones((4000, 16)), HASH, 3, 0.1) == 0.0

    np.testing.assert_allclose(zero.mean(axis=1), 0.1, atol=0.025)
    assert abs(np.corrcoef(zero[0].ravel(), zero[1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(zero[0, :, 0], zero[0, :, 1])[0, 1]) < 0.06


def test_without_dropout_the_rows_stay():
    rows = np.random.default_rng(1).normal(size=(5, 4))

    np.testing.assert_array_equal(dropped(rows, HASH[:5], 2, 0.0), np.stack([rows, rows]))
