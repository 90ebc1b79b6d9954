import json

import pyarrow as pa
import pytest

from pipeline.errors import RecipeError
from pipeline.shards.find import Shard
from pipeline.store.answers import Answers
from pipeline.store.catalog import Catalog, Fragment
from pipeline.store.classes import ClassEntry
from pipeline.store.label import Labeller, label_step

ENTRIES = (
    ClassEntry(name="cat", synonyms=("kitty", "tiger")),
    ClassEntry(name="Tiger"),
    ClassEntry(name="sea lion", synonyms=("eared seal",)),
    ClassEntry(name="lion"),
)


def labeller(source="auto", entries=ENTRIES):
    return Labeller(source, entries)


@pytest.mark.parametrize("field", ["label", "cls", "class", "class_name", "category"])
def test_auto_takes_the_usual_fields(field):
    assert labeller().raw({"url": "u", field: "cat"}, "a tiger") == "cat"


def test_auto_takes_the_first_usual_field_that_has_a_value():
    assert labeller().raw({"category": "lion", "label": None, "cls": 0}, None) == "0"


def test_auto_finds_nothing_without_a_field():
    assert labeller().raw({"url": "u"}, "a cat") is None


def test_a_field_is_taken_by_its_name_alone():
    chosen = labeller("field:kind")

    assert chosen.raw({"label": "cat", "kind": "lion"}, None) == "lion"
    assert chosen.raw({"label": "cat"}, None) is None


def test_none_gives_no_label():
    assert labeller("none").raw({"label": "cat"}, "a cat") is None


@pytest.mark.parametrize("label", ["sea lion", "Sea_Lion", "  SEA   LION ", "eared seal"])
def test_names_and_synonyms_are_compared_without_case_and_spacing(label):
    assert labeller().find(label) == 2


def test_a_name_goes_before_the_synonym_of_another_class():
    assert labeller().find("tiger") == 1
    assert labeller(entries=ENTRIES[::-1]).find("tiger") == 2


@pytest.mark.parametrize(("label", "index"), [("0", 0), ("3", 3), ("4", None), ("-1", None)])
def test_a_number_is_an_index(label, index):
    assert labeller().find(label) == index


def test_a_number_that_is_a_name_is_the_name():
    entries = (ClassEntry(name="zero"), ClassEntry(name="0"))

    assert labeller(entries=entries).find("0") == 1


@pytest.mark.parametrize("label", ["", "dog", "²", "1.0", "cats"])
def test_what_is_in_no_class_has_no_index(label):
    assert labeller().find(label) is None


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("A Cat on a mat", "cat"),
        ("the sea_lion swims", "sea lion"),
        ("my kitty!", "kitty"),
        ("a lion, a sea lion", "sea lion"),
        ("cat-like", "cat"),
        ("concatenate", None),
        ("cats and lions", None),
        ("Löwe", None),
        ("", None),
        (None, None),
    ],
)
def test_captions_are_searched_for_whole_words_and_the_longest_wins(caption, found):
    assert labeller("caption").raw({"label": "lion"}, caption) == found


def test_the_longest_name_wins_where_names_overlap():
    entries = (ClassEntry(name="hot dog"), ClassEntry(name="dog house keeper"))

    assert labeller("caption", entries).raw({}, "hot dog house keeper") == "dog house keeper"


def test_names_are_no_patterns():
    entries = (ClassEntry(name="c.t"), ClassEntry(name="a+b (x)"))
    found = labeller("caption", entries)

    assert found.raw({}, "a cat") is None
    assert found.raw({}, "the a+b (x) thing") == "a+b (x)"


def test_a_blank_synonym_names_nothing():
    entries = (ClassEntry(name="cat", synonyms=("",)),)

    assert labeller(entries=entries).find("  ") is None
    assert labeller("caption", entries).raw({}, "a dog") is None


@pytest.fixture
def embedded(run):
    def write(fields, faults=None):
        step = run.workspace.step("embed", {})
        faults = faults or [None] * len(fields)
        step.write(
            f"s-000000000-{len(fields):05d}",
            pa.table(
                {
                    "uid": pa.array([bytes([n] * 16) for n in range(len(fields))], pa.binary(16)),
                    "fields": [json.dumps(f) for f in fields],
                    "caption": pa.array([None] * len(fields), pa.string()),
                    "fault": pa.array(faults, pa.string()),
                }
            ),
        )
        shard = Shard("s.tar", "webdataset", 1, "s")
        return step, Catalog((Fragment(shard, "", 0, len(fields)),), len(fields), ())

    return write


def labels(run, embedded, fields, faults=None):
    step, catalog = embedded(fields, faults)
    labelled = label_step(run, catalog, step, "auto", ENTRIES)
    return labelled.read(catalog.identity[0]).to_pylist()


def test_the_step_holds_the_index_and_the_crawled_text(run, embedded):
    found = labels(run, embedded, [{"label": "Kitty"}, {"cls": 3}, {"label": "dog"}, {}])

    assert found == [
        {"label": 0, "label.text": "Kitty", "label.answered": False},
        {"label": 3, "label.text": "3", "label.answered": False},
        {"label": None, "label.text": "dog", "label.answered": False},
        {"label": None, "label.text": None, "label.answered": False},
    ]


def test_a_corpus_of_other_classes_is_refused_every_time(run, embedded):
    fields = [{"label": "lino"}, {"label": "lino"}, {"label": "dog"}, {"label": "cat"}]

    for _ in range(2):
        with pytest.raises(
            RecipeError,
            match=r"3 of 4 labels are in no class .* most often 'lino', 'dog'; did you mean 'lion'",
        ):
            labels(run, embedded, fields)


def test_half_of_the_labels_may_be_unknown(run, embedded):
    fields = [{"label": "dog"}, {"label": "cow"}, {"label": "cat"}, {"label": "lion"}]

    assert len(labels(run, embedded, fields)) == 4


def test_rows_without_a_label_and_broken_rows_do_not_count(run, embedded):
    fields = [{}, {}, {}, {"label": "dog"}, {"label": "cat"}]

    found = labels(run, embedded, fields, [None, None, None, "empty-image", None])

    assert [row["label"] for row in found] == [None, None, None, None, 0]


def test_answers_go_before_web_labels_and_change_the_step(run, embedded):
    step, catalog = embedded([{"label": "cat"}, {"label": "cow"}, {}, {"label": "lion"}])
    told = Answers({bytes([n] * 16): 3 for n in (0, 1, 2)}, "a digest")

    bare = label_step(run, catalog, step, "auto", ENTRIES)
    found = label_step(run, catalog, step, "auto", ENTRIES, told)
    rows = found.read(catalog.identity[0]).to_pylist()

    assert found.key != bare.key
    assert [row["label"] for row in rows] == [3, 3, 3, 3]
    assert [row["label.text"] for row in rows] == ["cat", "cow", None, "lion"]
    assert [row["label.answered"] for row in rows] == [True, True, True, False]


def test_a_changed_class_file_labels_anew(run, embedded):
    step, catalog = embedded([{"label": "cat"}, {"label": "puss"}])
    renamed = (*ENTRIES[1:], ClassEntry(name="cat", synonyms=("puss",)))

    first = label_step(run, catalog, step, "auto", ENTRIES)
    second = label_step(run, catalog, step, "auto", renamed)

    name = catalog.identity[0]
    assert first.read(name)["label"].to_pylist() == [0, None]
    assert second.read(name)["label"].to_pylist() == [3, 3]
