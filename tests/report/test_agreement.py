import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.agreement import Overlap, matrix, overlaps

suspicion = st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.52, 1.0])


def table_of(one, two):
    columns = {"b.label": one, "a.label": two, "a.other": two}
    return pa.table({name: pa.array(value, pa.float32()) for name, value in columns.items()})


@given(rows=st.lists(st.tuples(suspicion, suspicion), min_size=1))
def test_correlation_is_that_of_the_rows_that_both_have_judged(rows):
    judged = np.array([row for row in rows if None not in row]).reshape(-1, 2) > 0.5

    (pair,) = overlaps(table_of(*zip(*rows, strict=True))).items()

    assert pair[0] == ("a.label", "b.label")
    assert sum(pair[1]) == len(judged)
    if len(judged) and (judged.min(axis=0) < judged.max(axis=0)).all():
        assert pair[1].correlation == pytest.approx(np.corrcoef(judged.T)[0, 1])
    else:
        assert pair[1].correlation is None


def test_a_cleaner_alone_has_nobody_to_agree_with():
    assert overlaps(table_of([0.1], [0.2]).drop_columns("a.label")) == {}


def test_the_matrix_is_symmetric_and_names_every_column_once():
    found = {("a", "b"): Overlap(4, 1, 1, 4), ("a", "c"): Overlap(0, 5, 0, 0)}

    names, table = matrix(found)

    assert names == ["a", "b", "c"]
    assert table[0][1] == table[1][0] == pytest.approx(0.6)
    assert table[0][2] is None
    assert [table[n][n] for n in range(3)] == [1.0, 1.0, 1.0]
