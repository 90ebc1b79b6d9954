import numpy as np
import pytest

from pipeline.numeric.calibration import Calibration, wrong_rate


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_the_rate_of_wrong_labels_is_found(noise):
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, 6000)
    label = np.where(rng.random(6000) < noise, (true + rng.integers(1, 4, 6000)) % 4, true)
    evidence = 2.5 * (np.eye(4)[true] + rng.normal(size=(6000, 4)) * 0.4)
    fitted = Calibration.of(evidence, label, np.full(4, 0.25))

    assert fitted.rate == pytest.approx(noise, abs=0.08)


def test_rows_that_lie_badly_are_not_wrong_where_no_row_is():
    own = np.r_[np.full(970, 0.999), np.full(30, 0.2)]

    assert wrong_rate(own) < 0.001
    assert np.mean(1 - own > 0.5) == 0.03


def test_a_rate_is_half_at_most():
    assert wrong_rate(np.full(10, 0.01)) == 0.5
    assert wrong_rate(np.zeros(0)) == 0.5
