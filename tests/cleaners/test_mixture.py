import numpy as np
import pyarrow as pa
from sklearn.metrics import f1_score, roc_auc_score

from pipeline.cleaners.mixture import Mixture, log_odds
from pipeline.contract import Classes
from pipeline.engine.local import TableRows
from pipeline.numeric.class_histogram import ClassHistogram
from pipeline.numeric.mixture import fit_mixture
from tests.corpora import tabulate, unit
from tests.noisy_digits import digits


def planted(middle, noise, num_rows=300, gap=4.0, seed=0):
    """Plant classes with these means of clean log-odds and noise rates, beside image clusters."""
    rng = np.random.default_rng(seed)
    num_classes = len(middle)
    label = np.repeat(np.arange(num_classes), num_rows)
    wrong = rng.random(len(label)) < np.asarray(noise)[label]
    true = np.where(wrong, (label + rng.integers(1, num_classes, len(label))) % num_classes, label)
    image = unit(np.eye(num_classes, 12)[true] + rng.normal(size=(len(label), 12)) / 6)
    odds = np.asarray(middle)[label] + gap * wrong + rng.normal(size=len(label))
    table = tabulate(image, image, np.ones(len(label), bool), label, seed=seed)
    loss = pa.array(1.0 / (1.0 + np.exp(-odds)), pa.float32())
    names = tuple(str(c) for c in range(num_classes))
    classes = Classes(name=names, embedding=np.eye(num_classes, 12, dtype=np.float32))
    return table.append_column("probe.doubt", loss), classes, label, wrong


def mix(table, classes, **options):
    cleaner = Mixture(**options)
    added = cleaner.score(cleaner.fit(TableRows((table,), classes)), table)
    return {c: added[c].to_numpy(zero_copy_only=False) for c in added.column_names}


def test_classes_of_different_difficulty_need_a_mixture_each():
    table, classes, label, wrong = planted([-5.0, 1.0] * 2, [0.3] * 4, gap=6.0)
    histogram = ClassHistogram.of(log_odds(table), label, 4, (-16.0, 16.0))
    corpus = fit_mixture(histogram.whole()).high(log_odds(table)) > 0.5
    scores = mix(table, classes)

    assert f1_score(wrong, corpus) < 0.85
    assert f1_score(wrong, scores["mixture.loss"] > 0.5) > 0.95
    assert f1_score(wrong, scores["mixture.label"] > 0.5) > 0.98


def test_prototypes_verify_what_the_losses_leave_open():
    table, classes, _, wrong = planted([-2.0] * 4, [0.25] * 4)
    scores = mix(table, classes)
    area = {column: roc_auc_score(wrong, score) for column, score in scores.items()}

    assert area["mixture.label"] > area["mixture.loss"]
    assert area["mixture.label"] > 0.995


def test_classes_that_are_all_right_or_all_wrong_are_seen():
    table, classes, label, wrong = planted([-2.0] * 6, [0.3, 0.3, 0.3, 0.2, 0.0, 1.0])
    judged = mix(table, classes)["mixture.label"] > 0.5

    assert np.mean(judged[label == 4]) < 0.01
    assert np.mean(judged[label == 5]) > 0.95
    assert f1_score(wrong, judged) > 0.95


def test_one_wild_loss_changes_nothing():
    table, classes, _, wrong = planted([-1.5] * 4, [0.2] * 4)
    loss = table["probe.doubt"].to_numpy().copy()
    loss[0] = 1.0
    place = table.column_names.index("probe.doubt")
    wild = table.set_column(place, "probe.doubt", pa.array(loss))
    one, other = (mix(t, classes)["mixture.label"] > 0.5 for t in (table, wild))

    assert np.mean(one == other) > 0.995
    assert f1_score(wrong, other) > 0.9


def test_noisy_digits_are_found_better_than_by_the_likeliest_class():
    corpus = digits("symmetric", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.0, 0.1, 0.2))
    scores, probe = corpus.scores(Mixture()), corpus.table["probe.doubt"].to_numpy()

    assert f1_score(corpus.wrong, scores["label"] > 0.5) > 0.94
    assert f1_score(corpus.wrong, scores["label"] > 0.5) > f1_score(corpus.wrong, probe > 0.5)
    assert abs(scores["label"].mean() - corpus.wrong.mean()) < 0.02


def test_clean_digits_are_one_group():
    label = digits().scores(Mixture())["label"]

    assert np.isnan(label).all() or np.mean(label > 0.5) < 0.02


def test_labels_of_a_neighbouring_class_are_found_better_than_by_the_likeliest_class():
    corpus = digits("pair", 0.3)
    scores, probe = corpus.scores(Mixture()), corpus.table["probe.doubt"].to_numpy()

    assert roc_auc_score(corpus.wrong, scores["label"]) > roc_auc_score(corpus.wrong, probe) + 0.02
    assert f1_score(corpus.wrong, scores["label"] > 0.5) > 0.85


def test_one_noisy_class_does_not_taint_the_clean_ones():
    table, classes, label, wrong = planted([-3.0] * 4, [0.3, 0.0, 0.0, 0.0])
    judged = mix(table, classes)["mixture.label"] > 0.5

    assert np.mean(judged[label > 0]) < 0.01
    assert np.mean(judged[wrong]) > 0.95
