"""A recipe says what to do: it runs nothing, writes nowhere, and costs no more than its size."""

import time
import tracemalloc

import pytest
import yaml

from pipeline import strict_yaml
from pipeline.errors import RecipeError, ShardError
from pipeline.options import yaml_value
from pipeline.recipe import load_recipe
from pipeline.shards import files

LAUGHS = "a0: &a0 [lol]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
BOMBS = {
    "billion laughs": LAUGHS,
    "lists": "[" * 100_000,
    "mappings": "{a: " * 100_000,
    "blocks": "\n".join(" " * depth + "a:" for depth in range(1000)),
    "dashes": "- " * 200_000,
    "an endless number": "name: " + "9" * 1_000_000,
    "a number in base 60": "name: 1" + ":10" * 100_000,
    "a large document": "name: " + "x" * 5_000_000,
    "keys": "".join(f"k{n}: 1\n" for n in range(20_000)),
    "questions": "[" + "? " * 100_000,
    "colons": ":" * 100_000,
}


@pytest.fixture
def load(tmp_path):
    def make(text):
        path = tmp_path / "recipe.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_recipe(str(path))

    return make


@pytest.mark.slow
@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_in_bounded_time_and_memory(load, text):
    tracemalloc.start()
    started = time.process_time()

    with pytest.raises(RecipeError) as caught:
        load(text)

    seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 10
    assert peak < 200e6
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name: a\nsource: {}\nname: b\n", r"key 'name' stands there twice\n.*line 3"),
        ("pack:\n  seed: 1\n  seed: 2\n", r"key 'seed' stands there twice\n.*line 3"),
        ('name: a\n"name": b\n', "'name' stands there twice"),
        ("name: &x a\nclasses: *x\n", r"alias \*x is not allowed.*\n.*line 2"),
        ("<<: {name: a}\n", "a key must be a word"),
        ("? [a]\n: b\n", "a key must be a word"),
        ("name: !!str a\n", "tag tag:yaml.org,2002:str is not allowed"),
        ("%TAG ! tag:evil,1:\n---\nname: !x a\n", "tag tag:evil,1:x is not allowed"),
        ("name: 2001-99-99\n", "cannot be understood: month must be in 1..12"),
        ("name: =\n", "is no YAML"),
        ("name: a\n---\nname: b\n", "expected a single document"),
        (b"\xff\xfen\x00", "is no YAML"),
        ("name: \x00", "is no YAML"),
        ('name: "\\ud800"\n', "is no YAML"),
    ],
)
def test_what_no_recipe_needs_is_refused_with_its_place(load, text, complaint):
    with pytest.raises(RecipeError, match=complaint):
        load(text)


def test_an_endless_file_is_no_recipe():
    with pytest.raises(RecipeError, match="is no YAML"):
        load_recipe("/dev/zero")


def test_a_byte_order_mark_is_no_part_of_a_recipe(load):
    assert load("\ufeffname: web\n").name == "web"


def test_a_wrong_value_is_quoted_and_cut(load):
    with pytest.raises(RecipeError) as caught:
        load(f"policy: {'x' * 100_000}\n")

    assert len(str(caught.value)) < 2000
    assert "(100,002 characters)" in str(caught.value)


@pytest.mark.parametrize("text", ["!!python/name:os.system", "[" * 5000, "&a [*a]"])
def test_an_option_is_read_as_strictly(text):
    with pytest.raises(RecipeError, match="must be YAML"):
        yaml_value("name", text)


@pytest.mark.parametrize(
    "uri",
    [
        "simplecache::s3://bucket/a.tar",
        "zip://a.csv::https://example.org/x.zip",
        "filecache::file:///etc/passwd",
        "reference://x",
        "github://main/a.csv",
        "git:///tmp/x",
        "jupyter://localhost/a",
        "ssh://host/etc/passwd",
        "sftp://host/x",
        "ftp://host/x",
        "tar://a",
        "zip://a",
        "libarchive://a",
        "dask://x",
        "generic://x",
        "data:text/csv,name",
        "data://text/csv,name",
        "smb://host/x",
        "pyscript://x",
    ],
)
def test_a_path_that_runs_unpacks_or_chains_is_refused(uri, monkeypatch):
    monkeypatch.setattr("fsspec.core.url_to_fs", None)  # nothing may get as far as this

    with pytest.raises(ShardError, match=r"must (lie on one of the stores|be without '::')"):
        files.read_bytes(uri)


@pytest.mark.parametrize("uri", ["memory://x/a", "file:///tmp/a", "/tmp/a", "rel/a:b"])
def test_a_plain_path_is_allowed(uri):
    assert files.exists(uri) in (True, False)


def test_a_protocol_that_the_program_registers_is_its_own_affair(tmp_path):
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem

    class Own(MemoryFileSystem):
        protocol = "ownstore"

    fsspec.register_implementation("ownstore", Own, clobber=True)

    assert not files.exists("ownstore://nothing")


def test_a_recipe_has_no_key_for_where_to_write(load):
    for key in ("workspace", "output"):
        with pytest.raises(RecipeError, match=f"unknown key '{key}'"):
            load(f"{key}: /etc\n")


def test_strict_yaml_reads_what_plain_yaml_reads():
    text = "a: [1, 0x10, 1.5, .inf, true, ~, '2', 2024-01-31, {b: |\n  x\n  y\n}]\nc: ''\n"
    flow = "a: [1, 0x10, 1.5, true, ~, '2', 2024-01-31, {b: c}]\nd: |\n  x\n  y\n"

    with pytest.raises(yaml.YAMLError):
        strict_yaml.load(text)
    assert strict_yaml.load(flow) == yaml.safe_load(flow)
