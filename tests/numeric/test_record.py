from dataclasses import dataclass

import numpy as np

from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.numeric.witness import Odds


@dataclass(frozen=True)
class Outer:
    inner: Odds
    number: float
    flag: bool


def test_a_nested_record_survives():
    record = Outer(Odds(np.arange(2.0), np.ones(2)), 0.5, flag=True)
    named = to_arrays(record)
    again = from_arrays(Outer, named | {"index.faiss": np.zeros(1)})

    assert all(isinstance(value, np.ndarray) for value in named.values())
    assert (again.number, again.flag) == (0.5, True)
    np.testing.assert_array_equal(again.inner.place, record.inner.place)
