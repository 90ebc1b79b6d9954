from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest
import yaml

from pipeline.cleaners import CLEANERS
from pipeline.embed.spec import EncoderSpec
from pipeline.errors import RecipeError
from pipeline.policy.presets import PRESETS
from pipeline.recipe import Recipe, load_recipe, parse_recipe
from pipeline.settings import build_cleaner
from pipeline.store.packing import PackSpec

DEFAULT = Path(__file__).parents[1] / "jobs" / "recipes" / "default.yaml"
BARE = {"cleaners": [], "policy": {"name": "none", "rules": []}}
RULE = {"rule": "drop", "reason": "far", "column": "one.score", "above": 0.5}


def cleaner(name, reads=()):
    @dataclass(frozen=True, kw_only=True)
    class Made:
        pass

    Made.name, Made.reads = name, reads
    Made.adds = pa.schema([(f"{name}.score", pa.float32())])
    return Made()


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """A cleaner with settings."""

    depth: int = 3
    shrinkage: float = 0.1
    name: ClassVar[str] = "tuned"
    reads: ClassVar[tuple[str, ...]] = ()
    adds: ClassVar[pa.Schema] = pa.schema([("tuned.score", pa.float32())])


@pytest.fixture
def tuned(monkeypatch):
    monkeypatch.setitem(CLEANERS, "tuned", Tuned)


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, overrides=None):
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return load_recipe(str(path), overrides)

    return write_and_load


def test_an_empty_recipe_takes_all_defaults():
    recipe = parse_recipe({})

    assert recipe.encoder == EncoderSpec()
    assert recipe.pack == PackSpec()
    assert recipe.source.fragment_rows == 1024
    assert (recipe.name, recipe.classes) == ("winnow", None)
    assert [cleaner.name for cleaner in recipe.cleaners] == ["match", "separate"]
    assert recipe.policy is PRESETS["balanced"]


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ({"polcy": 1}, "unknown key 'polcy'; did you mean 'policy'"),
        ({"sources": {}}, "unknown key 'sources'; did you mean 'source'"),
        ({"source": {"pth": "x"}}, "unknown key 'source.pth'; did you mean 'path'"),
        ({"encoder": {"modle": "x"}}, "encoder has no setting 'modle'; did you mean 'model'"),
        ({"pack": {"shard_row": 1}}, "pack has no setting 'shard_row'; did you mean 'shard_rows'"),
        (
            {"vectors": {"images": "x", "classes": "y"}},
            "vectors has no setting 'images'; did you mean 'image'",
        ),
        (
            {"policy": {"name": "p", "rules": [], "wieght": "x"}},
            "unknown key 'policy.wieght'; did you mean 'weight'",
        ),
        ({"policy": "balancd"}, "'balancd' is no preset; did you mean 'balanced'"),
        ({"zzz": 1}, "unknown key 'zzz'"),
    ],
)
def test_unknown_keys_and_names_are_errors_with_the_right_one(raw, complaint):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(BARE | raw)

    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_key_of_a_rule_is_an_error_with_the_right_one():
    rule = {"rule": "drop", "reason": "far", "column": "one.score", "abov": 0.5}

    with pytest.raises(RecipeError, match=r"abov'?.*; did you mean 'above'"):
        parse_recipe({"policy": {"name": "p", "rules": [rule]}})


@pytest.mark.parametrize("rule", [RULE | {"rule": "drp"}, {"reason": "r"}, "drop", 3, None])
def test_a_rule_of_no_known_kind_is_an_error(rule):
    with pytest.raises(RecipeError, match=r"policy\.rules"):
        parse_recipe({"policy": {"name": "p", "rules": [rule]}})


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ({"source": {"fragment_rows": 0}}, "source.fragment_rows"),
        ({"source": {"fragment_rows": 1.5}}, "source.fragment_rows"),
        ({"source": {"fragment_rows": "many"}}, "source.fragment_rows"),
        ({"source": {"label": "fild:x"}}, "source.label"),
        ({"source": {"label": "field:"}}, "source.label"),
        ({"source": {"labels": "both"}}, "source.labels"),
        ({"source": "a.tar"}, "source"),
        ({"source": None}, "source"),
        ({"classes": 3}, "classes"),
        ({"name": ["x"]}, "name"),
        ({"cleaners": "match"}, "cleaners"),
        ({"cleaners": {"match": {}}}, "cleaners"),
        ({"cleaners": None}, "cleaners"),
        ({"policy": 3}, "policy"),
        ({"policy": {"name": "p", "rules": [RULE | {"above": 2}]}}, "policy.rules.0.drop.above"),
        ({"encoder": {"batch_rows": "many"}}, "encoder"),
        ({"encoder": 3}, "encoder"),
        ({"pack": {"seed": "x"}}, "pack"),
        ({"vectors": {"image": "x.npy"}}, "vectors"),
    ],
)
def test_a_value_of_the_wrong_type_is_an_error_that_names_the_key(raw, key):
    with pytest.raises(RecipeError, match=f"{key}.*, got ") as caught:
        parse_recipe(BARE | raw)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [
        {"encoder": {"batch_rows": 0}},
        {"encoder": {"batch_rows": -1}},
        {"encoder": {"precision": "fp8"}},
        {"pack": {"shard_rows": 0}},
        {"pack": {"window_rows": 0}},
        {"pack": {"seed": 2**63}},
    ],
    ids=lambda raw: str(raw),
)
def test_a_value_that_no_run_could_use_is_an_error(raw):
    with pytest.raises(RecipeError):
        parse_recipe(BARE | raw)


def test_several_mistakes_are_told_at_once():
    with pytest.raises(RecipeError, match=r"'polcy'.*fragment_rows|fragment_rows.*'polcy'"):
        parse_recipe(BARE | {"polcy": 1, "source": {"fragment_rows": 0}})


def test_a_cleaner_is_a_name_or_a_name_with_settings(tuned):
    built = parse_recipe(BARE | {"cleaners": ["tuned"]}).cleaners
    other = parse_recipe(BARE | {"cleaners": [{"tuned": {"depth": 5}}]}).cleaners

    assert built == (Tuned(),)
    assert other == (Tuned(depth=5),)
    assert build_cleaner({"tuned": None}) == Tuned()


@pytest.mark.parametrize(
    ("item", "complaint"),
    [
        ("tund", "'tund' is no cleaner; did you mean 'tuned'"),
        ({"tuned": {"dpth": 1}}, "cleaner tuned has no setting 'dpth'; did you mean 'depth'"),
        ({"tuned": {"name": "x"}}, "cleaner tuned has no setting 'name'"),
        ({"tuned": {"depth": "deep"}}, "depth"),
        ({"tuned": {}, "match": {}}, "one name with its settings"),
        ({}, "one name with its settings"),
    ],
)
def test_a_mistake_in_a_cleaner_is_named(tuned, item, complaint):
    with pytest.raises(RecipeError, match="cleaners") as caught:
        parse_recipe(BARE | {"cleaners": [item]})

    assert complaint in str(caught.value)


@pytest.mark.parametrize("item", [3, None, ["tuned"], {"tuned": 3}, {"tuned": "deep"}, {3: {}}])
def test_what_is_no_cleaner_at_all_is_refused(tuned, item):
    with pytest.raises(RecipeError, match="cleaner"):
        parse_recipe(BARE | {"cleaners": [item]})


def test_a_column_is_added_before_it_is_read():
    one, two = cleaner("one"), cleaner("two", ("embedding.image", "one.score"))

    assert parse_recipe(BARE | {"cleaners": [one, two]}).cleaners == (one, two)
    with pytest.raises(RecipeError, match=r"cleaner two reads column 'one\.score', which nothing"):
        parse_recipe(BARE | {"cleaners": [two, one]})


def test_a_missing_cleaner_of_ours_is_named_as_the_remedy():
    with pytest.raises(RecipeError, match=r"'match\.label', .*; put cleaner match before it"):
        parse_recipe(BARE | {"cleaners": [cleaner("two", ("match.label",))]})


def test_a_policy_reads_columns_of_cleaners_only():
    policy = {"name": "p", "rules": [RULE]}

    assert parse_recipe({"cleaners": [cleaner("one")], "policy": policy}).policy.name == "p"
    with pytest.raises(RecipeError, match=r"policy p reads column 'one\.score', which nothing"):
        parse_recipe({"policy": policy})
    with pytest.raises(RecipeError, match="policy p reads column 'caption'"):
        parse_recipe({"policy": {"name": "p", "rules": [RULE | {"column": "caption"}]}})


def test_a_misspelt_column_is_told_the_right_one():
    rule = RULE | {"column": "one.scor"}

    with pytest.raises(RecipeError, match=r"did you mean 'one\.score'"):
        parse_recipe({"cleaners": [cleaner("one")], "policy": {"name": "p", "rules": [rule]}})


def test_a_cleaner_that_is_named_twice_is_refused():
    with pytest.raises(RecipeError, match="one"):
        parse_recipe(BARE | {"cleaners": [cleaner("one"), cleaner("one")]})


def test_the_weight_of_a_policy_is_a_column_too():
    with pytest.raises(RecipeError, match=r"'one\.score', which nothing adds"):
        parse_recipe({"policy": {"name": "p", "rules": [], "weight": "one.score"}})


def test_a_file_is_read_as_yaml(load):
    recipe = load("name: größe\npolicy: {name: none, rules: []}\nsource:\n  caption: null\n")

    assert (recipe.name, recipe.source.caption) == ("größe", None)


def test_overrides_go_before_the_file(load):
    text = "policy: {name: none, rules: []}\nsource: {path: a.tar, label: none}\n"
    overrides = {
        "source.path": "b.tar",
        "encoder.model": "RN50",
        "pack.shard_rows": 7,
        "name": "other",
    }

    recipe = load(text, overrides)

    assert (recipe.source.path, recipe.source.label) == ("b.tar", "none")
    assert (recipe.encoder.model, recipe.pack.shard_rows, recipe.name) == ("RN50", 7, "other")


@pytest.mark.parametrize(
    "key", ["sourc.path", "source.pth", "encoder.modle", "pack.shards", "nonsense", "a.b.c"]
)
def test_a_misspelt_override_is_an_error(load, key):
    with pytest.raises(RecipeError, match=r"sourc|pth|modle|shards|nonsense|'a'"):
        load("policy: {name: none, rules: []}", {key: "x"})


@pytest.mark.parametrize("key", ["name.x", "cleaners.tuned.depth", "policy.name.x", "classes.x"])
def test_an_override_inside_of_what_has_no_keys_is_an_error(load, key):
    text = "name: n\nclasses: c.csv\ncleaners: []\npolicy: {name: none, rules: []}\n"

    with pytest.raises(RecipeError, match=key.split(".", maxsplit=1)[0]):
        load(text, {key: "x"})


def test_an_override_of_an_empty_section_fills_it(load):
    recipe = load("policy: {name: none, rules: []}\nsource:\n", {"source.path": "a.tar"})

    assert recipe.source.path == "a.tar"


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere\.yaml cannot be read: No such file"):
        load_recipe(str(tmp_path / "nowhere.yaml"))


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        load_recipe(str(tmp_path))


@pytest.mark.parametrize("text", ["- a\n- b\n", "name", "3"])
def test_what_is_no_mapping_is_refused(load, text):
    with pytest.raises(RecipeError, match=r"recipe\.yaml must be a mapping, got (list|str|int)"):
        load(text)


@pytest.mark.parametrize("text", ["name: [", "a: b: c", "\tname: x", "name: '\\x"])
def test_what_is_no_yaml_is_refused(load, text):
    with pytest.raises(RecipeError, match=r"recipe\.yaml is no YAML"):
        load(text)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "r.yaml").write_bytes(b"name: \xff\xfe")

    with pytest.raises(RecipeError, match="is no YAML"):
        load_recipe(str(tmp_path / "r.yaml"))


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:pathlib.Path.touch [{path}]",
        "!!python/object/new:pathlib.PosixPath [{path}]",
        "!!python/name:os.system",
        "!!python/tuple [1, 2]",
        "!custom x",
    ],
)
def test_tags_of_yaml_that_make_objects_are_refused(load, tmp_path, tag):
    marker = tmp_path / "ran"

    with pytest.raises(RecipeError, match="is no YAML"):
        load(f"name: {tag.format(path=marker)}")

    assert not marker.exists()


def test_a_recipe_written_out_is_the_same_recipe(tuned):
    raw = {
        "name": "größe",
        "source": {"path": ["a.tar", "b.tar"], "caption": None, "label": "field:kind"},
        "classes": "c.csv",
        "encoder": {"model": "RN50", "pretrained": "openai", "early": "layer2"},
        "cleaners": [{"tuned": {"depth": 5, "shrinkage": 0.2}}],
        "policy": {
            "name": "p",
            "rules": [RULE | {"column": "tuned.score"}, {"rule": "drop-empty"}],
            "weight": "tuned.score",
        },
        "pack": {"shard_rows": 5, "seed": -1},
    }
    recipe = parse_recipe(raw)

    again = parse_recipe(yaml.safe_load(recipe.to_yaml()))

    assert again == recipe
    assert again.to_yaml() == recipe.to_yaml()


def test_a_recipe_of_defaults_written_out_is_the_same_recipe():
    recipe = parse_recipe(BARE)

    assert parse_recipe(yaml.safe_load(recipe.to_yaml())) == recipe


def test_a_recipe_that_is_written_out_has_every_key():
    written = yaml.safe_load(parse_recipe(BARE).to_yaml())

    assert set(written) == set(Recipe.model_fields)
    assert written["encoder"] == asdict(EncoderSpec())


def flattened(raw, prefix=""):
    for key, value in raw.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def test_what_the_default_recipe_says_is_what_is_done_without_it():
    raw = yaml.safe_load(DEFAULT.read_text())
    cleaners = tuple(build_cleaner(item) for item in raw.pop("cleaners"))
    said = dict(flattened(raw))
    defaults = dict(flattened(parse_recipe(BARE).model_dump(mode="json")))

    assert said.pop("name") == "default"
    assert PRESETS[said.pop("policy")] == Recipe.model_fields["policy"].default
    assert said == {key: defaults[key] for key in said}
    assert cleaners == parse_recipe({}).cleaners


def test_the_default_recipe_is_valid():
    assert load_recipe(str(DEFAULT)).policy == PRESETS["balanced"]


@pytest.mark.parametrize(
    ("cleaner", "complaint"),
    [
        ({"prune": {"keep": 3}}, "keep.*less than or equal to 1"),
        ({"prune": {"keep": 0}}, "keep.*greater than 0"),
        ({"ask": {"budget": 0}}, "budget.*greater than or equal to 1"),
        ({"dedup": {"distance": 65}}, "distance.*less than or equal to 64"),
    ],
)
def test_a_setting_out_of_its_range_is_refused(cleaner, complaint):
    with pytest.raises(RecipeError, match=f"(?s){complaint}"):
        parse_recipe({"cleaners": ["match", "probe", cleaner]})


NUMBERS = [
    (name, field.name)
    for name, cleaner in CLEANERS.items()
    for field in fields(cleaner)
    if isinstance(field.default, int | float) and not isinstance(field.default, bool)
]


@pytest.mark.parametrize(("cleaner", "setting"), NUMBERS)
@pytest.mark.parametrize("value", [-1e9, float("nan"), float("-inf")])
def test_a_number_that_no_cleaner_can_work_with_is_refused(cleaner, setting, value):
    with pytest.raises(RecipeError, match=rf"cleaners.*{setting}"):
        parse_recipe({"cleaners": [{cleaner: {setting: value}}]})
