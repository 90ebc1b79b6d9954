import json

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.cleaners.columns import labels
from pipeline.cleaners.labelling import Hosts, Keywords, hosts_of, words
from pipeline.cleaners.neighbours import Neighbours
from pipeline.cleaners.probe import Probe
from pipeline.cleaners.vote import Vote
from pipeline.contract import Classes
from pipeline.engine.local import TableRows, beside
from pipeline.schema import LABEL
from tests.cleaners.test_imprecise import digits
from tests.corpora import plant


def poll(table, classes, **options):
    cleaner, rows = Vote(**options), TableRows((table,), classes)
    for kind in (Probe, Neighbours):
        before = kind()
        if any(column.startswith(kind.name) for column in cleaner.reads):
            table = beside(table, before.score(before.fit(rows), table))
    rows = TableRows((table.slice(0, 250), table.slice(250)), classes)
    state = cleaner.fit(rows)
    return state, cleaner.score(state, table)


@pytest.mark.parametrize("options", [{"flip": 0.3}, {"flip": 0.4, "asymmetric": True}])
def test_wrong_labels_are_outvoted(options):
    corpus = plant(1500, foreign=0.0, **options)
    state, added = poll(corpus.table, corpus.classes)
    known = added["vote.label"].is_valid().to_numpy()
    wrong = (corpus.fault == "wrong-label")[known]
    score = added["vote.label"].drop_null().to_numpy()

    assert roc_auc_score(wrong, score) > 0.97
    assert abs(state.model.accuracy[0].mean() - (1 - wrong.mean())) < 0.05
    assert np.mean(added["vote.prediction"].to_numpy()[known] == corpus.true[known]) > 0.9


def test_conflict_is_the_say_of_the_minority():
    corpus = plant(800, foreign=0.0)
    _, added = poll(corpus.table, corpus.classes)
    conflict = added["vote.conflict"].to_numpy()
    wrong = corpus.fault == "wrong-label"

    assert np.nanmean(conflict[wrong]) > np.nanmean(conflict[~wrong]) + 0.2


def test_clean_digits_stay_clean():
    table, classes = digits()
    score = poll(table, classes)[1]["vote.label"].drop_null().to_numpy()

    assert len(score) > 0.95 * len(table)
    assert np.mean(score > 0.5) < 0.02


def test_a_function_named_twice_changes_little():
    corpus = plant(800, foreign=0.0, spread=1.0)
    _, once = poll(corpus.table, corpus.classes, functions=("probe", "zero-shot"))
    _, more = poll(corpus.table, corpus.classes, functions=("probe", "probe", "zero-shot"))
    one, other = (t["vote.label"].to_numpy() for t in (once, more))

    assert np.mean((one > 0.5) != (other > 0.5)) < 0.02


def test_names_in_captions_and_hosts_vote_without_vectors():
    corpus, names = (
        plant(900, 6, 16, foreign=0.0),
        ("tiger", "tiger shark", "rose", "bus", "owl", "fig"),
    )
    rng = np.random.default_rng(0)
    shown = np.where(rng.random(900) < 0.9, corpus.true, (corpus.true + 1) % 6)
    captions = [f"a photo of two {names[c]}s" if i % 3 else "nice" for i, c in enumerate(shown)]
    urls = [
        json.dumps({"url": f"https://www.site{c}.org/{i}.jpg"}) for i, c in enumerate(corpus.true)
    ]
    table = corpus.table.drop_columns(
        [c for c in ("caption", "fields") if c in corpus.table.schema.names]
    )
    table = table.append_column("caption", pa.array(captions))
    table = table.append_column("fields", pa.array(urls))
    classes = Classes(name=names, embedding=np.zeros_like(corpus.classes.embedding))
    state, added = poll(table, classes, functions=("keywords", "host"))
    wrong = corpus.fault == "wrong-label"

    assert not state.named.is_telling
    assert roc_auc_score(wrong, added["vote.label"].to_numpy()) > 0.97
    assert state.model.accuracy[2].mean() > state.model.accuracy[0].mean()


def test_rows_that_nobody_but_the_label_speaks_of_get_no_score():
    corpus = plant(300, named=False)
    _, added = poll(corpus.table, corpus.classes, functions=("zero-shot",))

    assert all(column.null_count == 300 for column in added.columns)


def test_rows_without_a_label_are_predicted():
    corpus = plant(600, foreign=0.0)
    given = labels(corpus.table)
    given[::4] = -1
    place = corpus.table.column_names.index(LABEL)
    column = pa.array(given, pa.int32(), mask=given < 0)
    _, added = poll(corpus.table.set_column(place, LABEL, column), corpus.classes)

    assert added["vote.label"].is_null().to_numpy()[::4].all()
    assert np.mean(added["vote.prediction"].to_numpy()[::4] == corpus.true[::4]) > 0.95


def test_a_host_is_judged_without_the_row_itself():
    host, label = np.full(6, 9, np.uint64), np.array([1, 1, 1, 1, 1, 2])
    hosts = Hosts.of(host, label)

    assert hosts.vote(host[:1], np.array([2]), 0.9).tolist() == [1]
    assert hosts.vote(host[:1], np.array([1]), 0.9).tolist() == [-1]


def test_hosts_are_found_in_fields():
    rows = [
        '{"url": "https://www.a.org:80/x"}',
        '{"page_url": "a.org/y"}',
        '{"url": 3}',
        "{}",
        None,
    ]
    one, other, *none = hosts_of(rows).tolist()

    assert one == other > 0
    assert none == [0, 0, 0]


def test_keywords_are_whole_words():
    names = Keywords.of(["cat", "glass", "fire truck"])

    assert names.vote(["category", "glasses", "glass", "FIRE-TRUCKS", "cats & glass"]).tolist() == [
        *(-1, -1, 1, 2, -1)
    ]
    assert words("bus gas cats") == ["bus", "gas", "cat"]


def test_what_it_reads_follows_from_its_functions():
    assert "fields" not in Vote().reads
    assert {"caption", "fields"} < set(Vote(functions=("keywords", "host")).reads)
