import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from pipeline.numeric.lda import FoldLda, spreads
from pipeline.numeric.moments import FoldMoments
from pipeline.numeric.tag_moments import TagMoments, tag_discriminants, tag_spreads


def draw(num_rows=400, num_tags=5, num_dims=6, seed=0):
    rng = np.random.default_rng(seed)
    has = rng.random((num_rows, num_tags)) < 0.35
    has[np.arange(num_rows), rng.integers(0, num_tags, num_rows)] = True
    rows = has @ rng.normal(size=(num_tags, num_dims)) + rng.normal(size=(num_rows, num_dims))
    return rows, has, np.where(has, np.arange(num_tags), -1)


def packed(given):
    """Return the tags with the padding at the end."""
    return -np.sort(-given, axis=1)


def test_every_discriminant_is_that_of_sklearn_between_rows_with_the_tag_and_without():
    rows, has, given = draw()
    fold = np.arange(len(rows)) % 2
    moments = TagMoments.of(rows, packed(given), fold, (2, 5))
    prior = has.mean(axis=0)
    found = tag_discriminants(tag_spreads(moments, prior_rows=0.0), prior, 1e-9)
    for f in range(2):
        seen = fold != f
        share = has[seen].mean(axis=0)
        exact = tag_discriminants(tag_spreads(moments, prior_rows=0.0), share, 1e-9)
        for tag in range(5):
            lda = LinearDiscriminantAnalysis(solver="lsqr").fit(rows[seen], has[seen, tag])
            odds = lda.decision_function(rows[~seen]) - np.log(share[tag] / (1 - share[tag]))
            own = exact.evidence(rows[~seen], fold[~seen])[:, tag]
            np.testing.assert_allclose(own, odds, atol=2e-3)
            assert np.corrcoef(found.evidence(rows[~seen], fold[~seen])[:, tag], odds)[0, 1] > 0.999


def test_with_one_tag_a_row_the_means_are_those_of_classes():
    rows, _, given = draw()
    label, fold = given.max(axis=1), np.arange(len(rows)) % 3
    tags = tag_spreads(TagMoments.of(rows, label[:, None], fold, (3, 5)))
    classes = spreads(FoldMoments.of(rows, label, fold, (3, 5)))

    for one, other in zip(tags, classes, strict=True):
        np.testing.assert_allclose(one.mean, other.mean)
        np.testing.assert_allclose(one.offset, other.offset)
        np.testing.assert_allclose(one.overall[0], other.overall[0], atol=1e-12)


@pytest.mark.parametrize("cut", [0, 1, 150, 400])
def test_sums_of_parts_are_those_of_the_whole(cut):
    rows, _, given = draw()
    given, fold = packed(given), np.arange(len(rows)) % 3
    given[::7] = -1
    whole = TagMoments.of(rows, given, fold, (3, 5))
    parts = [
        TagMoments.of(rows[s], given[s], fold[s], (3, 5)) for s in (slice(cut), slice(cut, 400))
    ]
    merged = parts[0].merge(parts[1])

    np.testing.assert_allclose(merged.total, whole.total)
    np.testing.assert_allclose(merged.rows.outer, whole.rows.outer)
    assert whole.rows.count.sum() == (given[:, 0] >= 0).sum()
    assert (whole.count.sum(axis=0) == [(given == tag).sum() for tag in range(5)]).all()


def test_a_tag_that_no_row_or_every_row_has_says_nothing_that_is_not_finite():
    rows, _, given = draw()
    given = np.where(given == 3, -1, given)
    given[:, 0] = 0
    moments = TagMoments.of(rows, packed(given), np.zeros(400, int), (2, 5))
    found = tag_discriminants(tag_spreads(moments), moments.prior, 0.1)
    evidence = found.evidence(rows, np.ones(400, int))

    assert isinstance(found, FoldLda)
    assert np.isfinite(evidence).all()
    np.testing.assert_allclose(evidence[:, 3], 0.0, atol=1e-4)
