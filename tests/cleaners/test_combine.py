import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit, logit
from sklearn.metrics import f1_score, roc_auc_score

from pipeline.cleaners import CLEANERS
from pipeline.cleaners.combine import Combine
from pipeline.contract import Classes
from pipeline.engine.local import TableRows, beside
from tests.cleaners.test_imprecise import digits

CLASSES = Classes(name=("one",), embedding=np.zeros((1, 2), np.float32))


def suspicions(rate, strength=(2.0, 2.5, 1.5), num_rows=10_000, seed=0):
    """Draw wrong labels, and calibrated suspicions that are independent given the truth."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(num_rows) < rate
    signal = [rng.normal(size=num_rows) + d * wrong for d in strength]
    score = [expit(d * (x - d / 2) + logit(rate)) for x, d in zip(signal, strength, strict=True)]
    return wrong, np.column_stack(score)


def warp(score):
    """Return scores that rank alike but are no longer calibrated."""
    return np.column_stack([score[:, 0] ** 2, np.sqrt(score[:, 1]), expit(logit(score[:, 2]) / 2)])


def combine(score, **options):
    names = tuple(f"cleaner{m}.label" for m in range(score.shape[1]))
    columns = [pa.array(c.astype(np.float32), mask=np.isnan(c)) for c in score.T]
    table = pa.table(dict(zip(names, columns, strict=True)))
    cleaner = Combine(scores=names, **options)
    cut = len(table) // 3
    state = cleaner.fit(TableRows((table.slice(0, cut), table.slice(cut)), CLASSES))
    return state, cleaner.score(state, table)


def label(added):
    return added["combine.label"].to_numpy()


def miscalibration(share, wrong):
    place = np.minimum((share * 10).astype(int), 9)
    return sum(abs((share - wrong)[place == b].sum()) for b in range(10)) / len(share)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_warped_scores_are_calibrated_without_truth(rate):
    wrong, score = suspicions(rate)
    score = warp(score)
    share = label(combine(score)[1])

    assert miscalibration(share, wrong) < 0.03
    assert miscalibration(share, wrong) < 0.5 * miscalibration(score.mean(axis=1), wrong)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_cleaners_that_err_apart_are_better_together(rate):
    wrong, score = suspicions(rate)
    together = roc_auc_score(wrong, label(combine(warp(score))[1]))

    assert together > max(roc_auc_score(wrong, column) for column in score.T) + 0.01


def test_a_duplicated_cleaner_changes_nothing():
    wrong, score = suspicions(0.1)
    score = warp(score)
    _, once = combine(score)
    state, more = combine(np.column_stack([score, score[:, 2], score[:, 2]]))
    blind = np.column_stack([score, score[:, [2, 2]]]).mean(axis=1)

    np.testing.assert_allclose(state.say[2:].sum(), 1.0, atol=0.1)
    assert np.abs(label(once) - label(more)).mean() < 0.005
    assert roc_auc_score(wrong, label(more)) > roc_auc_score(wrong, blind) + 0.005


def test_a_useless_cleaner_gets_no_weight():
    _, score = suspicions(0.1)
    noise = np.random.default_rng(1).random(len(score))
    one, _ = combine(score)
    state, _ = combine(np.column_stack([score, noise]))
    reach = np.ptp(state.evidence, axis=1)

    assert reach[3] < 0.1 * reach[:3].min()
    assert abs(state.wrong - one.wrong) < 0.02


def test_the_average_loses_what_the_better_detector_gets_wrong():
    # after Albert et al. 2024: the better detector takes simple clean images for foreign ones
    rng = np.random.default_rng(2)
    wrong, score = suspicions(0.4, (2.2, 3.0, 2.0))
    simple = ~wrong & (rng.random(len(wrong)) < 0.15)
    score[simple, 1] = 0.99
    score[simple, 0] = np.minimum(score[simple, 0], 0.02)
    again = expit(logit(score[:, 1]) + 0.2 * rng.normal(size=len(wrong)))
    score = np.column_stack([score, again])
    blind, share = score.mean(axis=1), label(combine(score)[1])

    assert roc_auc_score(wrong, share) > roc_auc_score(wrong, blind) + 0.01
    assert np.mean(share[simple] < 0.5) > 0.9
    assert np.mean(blind[simple] < 0.5) < 0.5


def shared_errors(num_rows=10_000, seed=4):
    """Draw six cleaners that take hard clean rows for wrong ones, and one that does not."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(num_rows) < 0.15
    hard = ~wrong & (rng.random(num_rows) < 0.2)
    kin = rng.normal(size=(num_rows, 6)) + np.where(wrong, 2.5, np.where(hard, 1.5, -2.5))[:, None]
    alone = rng.normal(size=num_rows) + np.where(wrong, 2.5, -2.5)
    return wrong, hard, expit(1.5 * np.column_stack([alone, kin]))


def test_cleaners_that_err_together_do_not_outvote_the_one_that_knows():
    wrong, hard, score = shared_errors()
    state, added = combine(score)
    share, best = label(added), score[:, 0]
    majority = np.mean(score > 0.5, axis=1) > 0.5

    assert np.mean(majority[hard]) > 0.9
    assert np.mean(share[hard] > 0.5) < 0.03
    assert f1_score(wrong, share > 0.5) > f1_score(wrong, best > 0.5) - 0.005
    assert roc_auc_score(wrong, share) > roc_auc_score(wrong, best) - 0.001
    assert abs(state.wrong - wrong.mean()) < 0.01


def test_abstaining_says_nothing():
    wrong, score = suspicions(0.2)
    silent = np.random.default_rng(3).random(score.shape) < 0.4
    score = np.where(silent, np.nan, score)
    added = combine(score)[1]
    spoken = (~silent).sum(axis=1)

    assert (added["combine.label"].is_null().to_numpy() == (spoken == 0)).all()
    assert (added["combine.spread"].is_null().to_numpy() == (spoken < 2)).all()
    assert miscalibration(label(added)[spoken > 0], wrong[spoken > 0]) < 0.05


def test_spread_is_the_cleaners_disagreement():
    _, score = suspicions(0.3)
    spread = combine(score)[1]["combine.spread"].to_numpy()
    apart = np.ptp(score, axis=1)

    assert spread.min() >= 0.0
    assert np.corrcoef(spread, apart)[0, 1] > 0.8


def test_one_cleaner_alone_is_taken_at_its_word():
    _, score = suspicions(0.2, (2.5,))

    assert np.abs(label(combine(score)[1]) - score[:, 0]).mean() < 0.03


def test_silent_cleaners_give_no_score():
    added = combine(np.full((50, 3), np.nan))[1]

    assert added["combine.label"].null_count == 50


def test_clean_digits_stay_clean():
    table, classes = digits()
    for name in ("match", "probe", "neighbours", "imprecise", "vote"):
        before, rows = CLEANERS[name](), TableRows((table,), classes)
        table = beside(table, before.score(before.fit(rows), table))
    cleaner, rows = Combine(), TableRows((table,), classes)
    share = label(cleaner.score(cleaner.fit(rows), table))

    assert np.mean(share > 0.5) < 0.02


def test_what_it_reads_are_its_scores():
    assert Combine().reads == Combine().scores
    assert Combine(scores=("a.label", "a.label", "b.label")).reads == ("a.label", "b.label")
