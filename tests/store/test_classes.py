import numpy as np
import pytest

from pipeline.embed.spec import EncoderSpec
from pipeline.errors import RecipeError
from pipeline.store.classes import ClassEntry, embed_classes, load_entries

YAML = """
- name: red panda
  synonyms: [firefox, lesser panda]
  definition: a small mammal
  parents: [mammal]
  examples: [a red panda in a tree]
- name: oak
- snow goose
"""
ENTRIES = (
    ClassEntry(
        name="red panda",
        synonyms=("firefox", "lesser panda"),
        definition="a small mammal",
        parents=("mammal",),
        examples=("a red panda in a tree",),
    ),
    ClassEntry(name="oak"),
    ClassEntry(name="snow goose"),
)
CSV = """name,synonyms,definition,parents,examples
red panda,firefox; lesser panda ;,a small mammal,mammal,a red panda in a tree
oak,,,,
snow goose
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, name="classes.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return load_entries(str(path))

    return write_and_load


def test_csv_and_yaml_say_the_same(load):
    assert load(CSV) == ENTRIES
    assert load(YAML, "classes.yaml") == ENTRIES
    assert load(YAML, "classes.yml") == ENTRIES


def test_a_csv_of_names_alone_will_do(load):
    assert [entry.name for entry in load("name\ncat\n dog \n")] == ["cat", "dog"]


def test_quoted_cells_may_hold_commas_and_line_ends(load):
    (entry,) = load('name,definition\n"crane, bird","long\nlegs"\n')

    assert (entry.name, entry.definition) == ("crane, bird", "long\nlegs")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_header(load, encoding):
    assert load("name\ngröße\n", encoding=encoding)[0].name == "größe"


def test_a_file_in_another_encoding_is_refused(load):
    with pytest.raises(RecipeError, match=r"classes\.csv.*(?i:utf-8)"):
        load("name\ngröße\n", encoding="latin-1")


def test_numbers_in_yaml_are_names(load):
    assert [entry.name for entry in load("- name: 7\n- name: '8'\n", "c.yaml")] == ["7", "8"]


def test_one_synonym_in_yaml_need_not_be_a_list(load):
    (entry,) = load("- name: oak\n  synonyms: quercus\n", "c.yaml")

    assert entry.synonyms == ("quercus",)


def test_an_unknown_column_is_refused_with_the_right_name(load):
    with pytest.raises(RecipeError, match="unknown column 'synonym'; did you mean 'synonyms'"):
        load("name,synonym\ncat,kitty\n")
    with pytest.raises(RecipeError, match="unknown column 'definitoin'; did you mean 'definition'"):
        load("- {name: cat, definitoin: x}\n", "c.yaml")


@pytest.mark.parametrize("text", ["name\ncat\ndog\ncat\n", "name\nRed_Fox\nred  fox\n"])
def test_a_class_that_is_named_twice_is_refused(load, text):
    with pytest.raises(RecipeError, match=r"has the class '(cat|red  fox)' twice"):
        load(text)


@pytest.mark.parametrize("text", ["", "name\n"])
def test_an_empty_csv_is_refused(load, text):
    with pytest.raises(RecipeError, match="must hold a list of classes"):
        load(text)


@pytest.mark.parametrize("text", ["", "[]", "name: cat", "cat", "3"])
def test_yaml_that_is_no_list_is_refused(load, text):
    with pytest.raises(RecipeError, match="must hold a list of classes"):
        load(text, "c.yaml")


@pytest.mark.parametrize("text", ["- [", "- !!python/object/apply:os.getcwd []"])
def test_yaml_that_cannot_be_parsed_is_refused(load, text):
    with pytest.raises(RecipeError, match=r"c\.yaml cannot be parsed"):
        load(text, "c.yaml")


@pytest.mark.parametrize("item", ["{}", "{definition: x}", "{name: ' '}", "[a]", "{name: null}"])
def test_a_class_without_a_name_is_refused_by_its_position(load, item):
    with pytest.raises(RecipeError, match="entry 2 has no name"):
        load(f"- cat\n- {item}\n", "c.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere\.csv does not exist; set `classes`"):
        load_entries(str(tmp_path / "nowhere.csv"))


def test_prototypes_are_unit_vectors_one_per_class(run, spec):
    classes = embed_classes(run, ENTRIES, spec)

    assert classes.name == ("red panda", "oak", "snow goose")
    assert classes.embedding.shape == (3, 32)
    assert classes.embedding.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(classes.embedding, axis=1), 1, atol=1e-6)


@pytest.mark.slow
def test_prototypes_are_found_again_in_the_workspace(run, spec, tmp_path):
    first = embed_classes(run, ENTRIES, spec)
    states = {p: p.stat().st_mtime_ns for p in (tmp_path / "workspace").rglob("*.safetensors")}

    again = embed_classes(run, ENTRIES, spec)

    np.testing.assert_array_equal(again.embedding, first.embedding)
    assert {p: p.stat().st_mtime_ns for p in states} == states


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        ClassEntry(name="oak", synonyms=("quercus",)),
        ClassEntry(name="oak", definition="a tree"),
        ClassEntry(name="oak", parents=("tree",)),
        ClassEntry(name="oak", examples=("an old oak",)),
    ],
)
def test_all_that_is_said_of_a_class_moves_its_prototype(run, spec, other):
    plain = embed_classes(run, (ClassEntry(name="oak"),), spec)
    described = embed_classes(run, (other,), spec)

    assert float(plain.embedding[0] @ described.embedding[0]) < 1 - 1e-5


@pytest.mark.slow
def test_a_prototype_does_not_depend_on_the_other_classes(run, spec):
    alone = embed_classes(run, ENTRIES[:1], spec)
    among = embed_classes(run, ENTRIES[::-1], spec)

    np.testing.assert_allclose(among.embedding[2], alone.embedding[0], atol=1e-3)


def test_an_encoder_without_weights_is_refused(run):
    with pytest.raises(RecipeError, match=r"'RN50' has no weights: set encoder\.pretrained"):
        embed_classes(run, ENTRIES, EncoderSpec(model="RN50"))
