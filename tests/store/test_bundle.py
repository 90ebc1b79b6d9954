import pyarrow as pa
import pytest

from pipeline.errors import SchemaError
from pipeline.shards import files
from pipeline.store import bundle as bundles
from pipeline.store.bundle import bundle, forget

NAMES = tuple(f"{'0a' * 8}-{start:09d}-00002" for start in range(0, 8, 2))


@pytest.fixture
def step(run):
    step = run.workspace.step("embed", {})
    for number, name in enumerate(NAMES):
        step.write(name, table(number))
    return step


def table(number):
    return pa.table({"x": [10.0 * number, 1.0], "y": ["a", "b"]})


def test_a_bundled_fragment_is_read_as_before(step):
    assert bundle(step.uri, NAMES[:3]) == 3

    assert step.done() == set(NAMES)
    for number, name in enumerate(NAMES):
        assert step.read(name).equals(table(number))
        assert step.read(name, ["y"]).equals(table(number).select(["y"]))
    assert len([uri for uri in files.list_files(step.uri) if uri.endswith(".parquet")]) == 1


def test_a_process_that_has_looked_before_finds_what_was_bundled_since(step, monkeypatch):
    step.read(NAMES[0])
    monkeypatch.setattr(bundles, "forget", lambda: None)  # the bundling process is another one

    bundle(step.uri, NAMES)

    assert step.read(NAMES[0]).equals(table(0))


def test_a_large_step_makes_several_bundles(step, monkeypatch):
    monkeypatch.setattr(bundles, "MOST_BYTES", 2000)

    bundle(step.uri, NAMES)

    indices = [uri for uri in files.list_files(step.uri) if uri.endswith(".json")]
    assert len(indices) > 1
    assert [step.read(name).equals(table(n)) for n, name in enumerate(NAMES)] == [True] * 4


def test_who_is_killed_before_the_files_are_deleted_leaves_everything_readable(step, monkeypatch):
    monkeypatch.setattr(files, "remove", lambda _uri: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bundle(step.uri, NAMES)
    monkeypatch.undo()
    forget()

    assert step.done() == set(NAMES)
    assert bundle(step.uri, NAMES) == 4
    assert [step.read(name).equals(table(n)) for n, name in enumerate(NAMES)] == [True] * 4


@pytest.mark.parametrize("data", [b"", b"[]", b'{"a": [1]}', b'{"a": "x"}'])
def test_a_damaged_index_is_told(step, data):
    bundle(step.uri, NAMES)
    (index,) = [uri for uri in files.list_files(step.uri) if uri.endswith(".json")]
    files.write(index, data)
    forget()

    with pytest.raises(SchemaError, match=r"\.json is damaged; put it back from a copy"):
        step.done()
    with pytest.raises(SchemaError, match=r"\.json is damaged"):
        step.read(NAMES[0])


def test_a_damaged_bundle_is_told(step):
    bundle(step.uri, NAMES)
    (data,) = [uri for uri in files.list_files(step.uri) if uri.endswith(".bin")]
    whole = files.read_bytes(data)
    told = 0
    for place in range(0, len(whole), 41):
        files.write(data, whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            found = [step.read(name) for name in NAMES]
        except SchemaError:
            told += 1
        else:
            assert found == [table(number) for number in range(len(NAMES))]
    assert told > 20
