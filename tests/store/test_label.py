import json

import pyarrow as pa
import pytest

from pipeline.errors import RecipeError
from pipeline.schema import CANDIDATES, CLAIMED, MAX_LABELS
from pipeline.shards.find import Shard
from pipeline.store.answers import Answers
from pipeline.store.catalog import Catalog, Fragment
from pipeline.store.classes import ClassEntry
from pipeline.store.label import Labeller, label_step
from pipeline.store.several import MAX_NAMES

ENTRIES = (
    ClassEntry(name="cat", synonyms=("kitty", "tiger")),
    ClassEntry(name="Tiger"),
    ClassEntry(name="sea lion", synonyms=("eared seal",)),
    ClassEntry(name="lion"),
)


def labeller(source="auto", entries=ENTRIES, labels="one"):
    return Labeller(source, entries, labels)


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


def labels(run, embedded, fields, faults=None, **options):
    step, catalog = embedded(fields, faults)
    labelled = label_step(run, catalog, step, labeller(**options))
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

    bare = label_step(run, catalog, step, labeller())
    found = label_step(run, catalog, step, labeller(), told)
    rows = found.read(catalog.identity[0]).to_pylist()

    assert found.key != bare.key
    assert [row["label"] for row in rows] == [3, 3, 3, 3]
    assert [row["label.text"] for row in rows] == ["cat", "cow", None, "lion"]
    assert [row["label.answered"] for row in rows] == [True, True, True, False]


def test_a_changed_class_file_labels_anew(run, embedded):
    step, catalog = embedded([{"label": "cat"}, {"label": "puss"}])
    renamed = (*ENTRIES[1:], ClassEntry(name="cat", synonyms=("puss",)))

    first = label_step(run, catalog, step, labeller())
    second = label_step(run, catalog, step, labeller(entries=renamed))

    name = catalog.identity[0]
    assert first.read(name)["label"].to_pylist() == [0, None]
    assert second.read(name)["label"].to_pylist() == [3, 3]


@pytest.mark.parametrize(
    ("value", "candidates", "text"),
    [
        (["lion", "cat"], [0, 3], "lion|cat"),
        (["cat", "kitty", "Cat"], [0], "cat|kitty|Cat"),
        ("lion | Tiger|", [1, 3], "lion | Tiger|"),
        (["a tag", "cat", None, "", "b tag"], [0], "a tag|cat||b tag"),
        ([3, 1, 99], [1, 3], "3|1|99"),
        (3, [3], "3"),
        (["lion"], [3], "lion"),
        (["dog", "cow"], None, "dog|cow"),
        ([["cat"], {"name": "cat"}, True, 1.0], None, "['cat']|{'name': 'cat'}|True|1.0"),
        ([], None, None),
        ([None], None, None),
        ("|", None, "|"),
        (None, None, None),
    ],
)
def test_candidates_are_the_classes_that_a_list_or_a_text_names(
    run, embedded, value, candidates, text
):
    fields = [{"label": value}, {"label": "cat"}, {"label": "cat"}]
    row, *_ = labels(run, embedded, fields, labels="candidates")

    assert (row[CANDIDATES], row["label.text"]) == (candidates, text)
    assert row["label"] == (candidates[0] if candidates and len(candidates) == 1 else None)


@pytest.mark.parametrize(
    ("value", "label"),
    [(["lion"], 3), ([3], 3), (["lion", "cat"], None), (["cat", "cat"], None), ("lion|cat", None)],
)
def test_where_a_row_has_one_label_only_a_list_of_one_name_is_one(run, embedded, value, label):
    row, *_ = labels(run, embedded, [{"label": value}, {"label": "cat"}])

    assert row["label"] == label
    assert CANDIDATES not in row


def test_a_name_with_a_bar_is_a_name_where_a_row_has_one_label():
    found = labeller(entries=(ClassEntry(name="cat|dog"),))

    assert found.classes(found.named_by({"label": "cat|dog"}, None)) == [0]
    assert found.classes(found.named_by({"label": ["cat", "dog"]}, None)) is None


@pytest.mark.parametrize("value", [["cat"] * 10_000, "cat|" * 10_000])
def test_endless_lists_are_no_label(value):
    named = labeller(labels="candidates").named_by({"label": value}, None)

    assert named.names == ()
    assert named.text.startswith("cat|cat|")
    if isinstance(value, list):
        assert len(named.text) == 4 * MAX_NAMES + 3


def test_more_classes_than_candidates_may_be_are_no_label():
    many = tuple(ClassEntry(name=f"class {n}") for n in range(MAX_LABELS + 1))
    found = labeller(entries=many, labels="candidates")
    names = [entry.name for entry in many]

    most = found.classes(found.named_by({"label": names[1:]}, None))
    assert most == list(range(1, MAX_LABELS + 1))
    assert found.classes(found.named_by({"label": names}, None)) is None


def test_lists_are_refused_with_the_key_that_makes_them_candidates(run, embedded):
    fields = [{"label": ["cat", "lion"]}, {"label": "cat|lion"}, {"label": "cat"}]

    with pytest.raises(RecipeError, match=r"'cat\|lion'; .* source.labels: candidates, if"):
        labels(run, embedded, fields)
    found = labels(run, embedded, fields, labels="candidates")
    assert [row[CANDIDATES] for row in found] == [[0, 3], [0, 3], [0]]


def test_only_rows_without_a_class_among_their_candidates_count_as_unknown(run, embedded):
    fields = [{"label": ["cat", "lion"]}, {"label": ["dog"]}, {"label": "cow"}]

    with pytest.raises(RecipeError, match="2 of 3 labels are in no class"):
        labels(run, embedded, fields, labels="candidates")


def test_an_answer_is_the_only_candidate(run, embedded):
    step, catalog = embedded([{"label": ["cat", "lion"]}, {"label": "cat"}])
    told = Answers({bytes(16): 1}, "a digest")
    labelled = label_step(run, catalog, step, labeller(labels="candidates"), told)
    row = labelled.read(catalog.identity[0]).to_pylist()[0]

    assert (row["label"], row[CANDIDATES], row["label.answered"]) == (1, [1], True)


def test_the_step_of_single_labels_keeps_its_name(run, embedded):
    step, catalog = embedded([{"label": "cat"}])
    one, *several = (
        label_step(run, catalog, step, labeller(labels=labels)).key
        for labels in ("one", "candidates", "all")
    )
    config = ["auto", [(entry.name, entry.synonyms) for entry in ENTRIES], ""]

    assert one == run.workspace.step("label", config, [step]).key
    assert len({one, *several}) == 3


def test_labels_that_are_all_claimed_stand_in_a_column_of_their_own(run, embedded):
    fields = [{"label": "cat|lion|dog"}, {"label": ["lion"]}, {"label": []}]

    assert labels(run, embedded, fields, labels="all") == [
        {"label": None, "label.text": "cat|lion|dog", "label.answered": False, CLAIMED: [0, 3]},
        {"label": 3, "label.text": "lion", "label.answered": False, CLAIMED: [3]},
        {"label": None, "label.text": None, "label.answered": False, CLAIMED: None},
    ]


@pytest.mark.parametrize("value", ["\ud800", ["\ud800", "cat"]])
def test_half_characters_in_labels_do_not_stop_the_run(run, embedded, value):
    fields = [{"label": value}, {"label": "cat"}]
    row, *_ = labels(run, embedded, fields, labels="candidates")

    assert row["label.text"].startswith("?")
    assert row["label"] == (0 if isinstance(value, list) else None)
