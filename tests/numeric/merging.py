"""What every mergeable statistic must hold to."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import reduce
from itertools import pairwise

import numpy as np


def assert_same(one, other):
    """Compare two records, number by number."""
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if is_dataclass(a):
            assert_same(a, b)
        elif isinstance(a, Mapping):
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_allclose(a[name], b[name], rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=field.name)


def assert_merges(make, num_rows, cuts):
    """Compare the statistic of all rows with that of any parts, in any order."""
    edges = [0, *sorted(c % (num_rows + 1) for c in cuts), num_rows]
    parts = [make(slice(a, b)) for a, b in pairwise(edges)]
    whole = make(slice(0, num_rows))
    merge = type(whole).merge

    assert_same(reduce(merge, parts), whole)
    assert_same(reduce(merge, parts[::-1]), whole)
    assert_same(merge(parts[0], reduce(merge, parts[1:], make(slice(0, 0)))), whole)
    assert_same(merge(make(slice(0, 0)), whole), whole)
