import numpy as np

from pipeline.cleaners.columns import read_pairs
from pipeline.cleaners.match import Match
from pipeline.numeric import revision
from pipeline.numeric.revision import Revision
from tests.corpora import plant


def test_a_revision_does_not_depend_on_how_many_rows_are_judged_at_once(monkeypatch):
    corpus = plant(400, 4)
    evidence, pairs = Match().fit(corpus.rows()).evidence, read_pairs(corpus.table)
    expected = Revision.of(evidence, pairs)

    monkeypatch.setattr(revision, "BLOCK_ROWS", 90)
    found = Revision.of(evidence, pairs)

    np.testing.assert_allclose(found.foreign, expected.foreign, atol=1e-4)
    np.testing.assert_allclose(found.distance, expected.distance, atol=1e-5)
    np.testing.assert_array_equal(found.fits, expected.fits)
    np.testing.assert_array_equal(found.label, expected.label)
