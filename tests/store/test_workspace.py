import json
import pickle
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from pipeline import schema
from pipeline.errors import SchemaError
from pipeline.schema import vector
from pipeline.shards import files
from pipeline.store.states import ARRAYS, DIGESTS, digest
from pipeline.store.workspace import Workspace, from_parquet, key_of, to_parquet

configs = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "workspace"))


@pytest.fixture
def table():
    return pa.table({"key": ["a", "b"], "n": pa.array([1, None], pa.int32())})


@given(st.dictionaries(st.text(max_size=3), configs))
def test_a_key_does_not_depend_on_the_order_of_a_mapping(config):
    backwards = dict(reversed(config.items()))

    assert key_of("step", backwards) == key_of("step", config)


@given(st.lists(configs, max_size=4), st.lists(configs, max_size=4))
def test_different_parts_have_different_keys(one, other):
    is_same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (key_of(*one) == key_of(*other)) == is_same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b"), ("b", "a")),
        (("ab",), ("a", "b")),
        ((1,), ("1",)),
        ((1,), (1.5,)),
        ((None,), ("",)),
        (({"a": {"b": 1}},), ({"a": {"b": 2}},)),
        ((["a", ["b"]],), (["a", "b"],)),
    ],
)
def test_every_part_counts_in_a_key(one, other):
    assert key_of(*one) != key_of(*other)


def test_a_key_changes_with_the_format_of_stored_columns(monkeypatch):
    before = key_of("embed")
    monkeypatch.setattr("pipeline.store.workspace.FORMAT_VERSION", schema.FORMAT_VERSION + 1)

    assert key_of("embed") != before


def test_the_key_of_a_step_depends_on_name_configuration_and_what_it_reads(workspace):
    first, second = workspace.step("first", {}), workspace.step("second", {})
    keys = [
        workspace.step("third", {"a": 1}, [first]).key,
        workspace.step("third", {"a": 2}, [first]).key,
        workspace.step("third", {"a": 1}, [second]).key,
        workspace.step("third", {"a": 1}, [first, second]).key,
        workspace.step("third", {"a": 1}, []).key,
        workspace.step("fourth", {"a": 1}, [first]).key,
    ]

    assert len(set(keys)) == 6


def test_the_key_of_a_step_does_not_depend_on_where_the_workspace_lies(tmp_path):
    one, two = (Workspace(str(tmp_path / name)) for name in ("one", "two"))

    assert one.step("embed", {"a": 1}).key == two.step("embed", {"a": 1}).key


def test_a_fragment_is_done_once_it_is_written(workspace, table):
    step = workspace.step("embed", {})
    before = step.done()

    step.write("f-1", table)

    assert before == set()
    assert step.done() == {"f-1"}
    assert step.read("f-1").equals(table)
    assert step.read("f-1", ["n"]).equals(table.select(["n"]))


def test_a_file_under_a_temporary_name_is_not_done(workspace, table):
    step = workspace.step("embed", {})
    step.write("f-1", table)
    files.write(files.join(step.uri, ".f-2.parquet.tmp"), b"half")
    files.write(files.join(step.uri, ".f-3.parquet"), b"half")

    assert step.done() == {"f-1"}


def test_a_fragment_is_written_the_same_way_every_time(table):
    assert to_parquet(table) == to_parquet(table)


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"no parquet at all"])
def test_a_damaged_file_is_named_with_the_remedy(workspace, table, damage):
    step = workspace.step("embed", {})
    step.write("f-1", table)
    files.write(step.path("f-1"), damage)

    with pytest.raises(SchemaError, match=r"f-1\.parquet cannot be read .*; delete the file and"):
        step.read("f-1")


def test_a_cut_file_is_named_with_the_remedy(workspace, table):
    step = workspace.step("embed", {})
    files.write(step.path("f-1"), to_parquet(table)[:-30])

    with pytest.raises(SchemaError, match="delete the file and run again"):
        step.read("f-1")


def test_a_column_that_is_not_there_is_a_schema_error(workspace, table):
    step = workspace.step("embed", {})
    step.write("f-1", table)

    with pytest.raises(SchemaError, match="nowhere"):
        step.read("f-1", ["key", "nowhere"])


def test_vectors_with_nulls_come_back_as_they_were(tmp_path):
    flat = np.arange(12, dtype=np.float16)
    column = pa.FixedSizeListArray.from_arrays(
        pa.array(flat), type=vector(4), mask=pa.array([False, True, False])
    )
    table = pa.table({"uid": pa.array([b"x" * 16] * 3, pa.binary(16)), "embedding.image": column})

    files.write(str(tmp_path / "t.parquet"), to_parquet(table))
    found = from_parquet(str(tmp_path / "t.parquet"))

    assert found.schema.equals(table.schema)
    assert found.equals(table)
    assert found["embedding.image"].to_pylist()[1] is None


@pytest.mark.parametrize("num_rows", [0, 3])
def test_a_column_of_null_vectors_comes_back(tmp_path, num_rows):
    table = pa.table({"embedding.text": pa.array([None] * num_rows, vector(4))})

    files.write(str(tmp_path / "t.parquet"), to_parquet(table))

    assert from_parquet(str(tmp_path / "t.parquet")).equals(table)


def test_a_state_comes_back_with_its_dtypes_and_shapes(workspace):
    arrays = {
        "mean": np.arange(6, dtype=np.float32).reshape(2, 3),
        "total": np.array([1.5]),
        "count": np.array([[1, 2]], np.int64),
        "hash": np.array([2**63 + 1], np.uint64),
        "half": np.array([0.5], np.float16),
        "flag": np.array([True, False]),
        "none": np.zeros((0, 4), np.float32),
        "turned": np.arange(6.0).reshape(2, 3).T,
        "single": np.array(1.5),
    }

    workspace.save_state("match", "key", arrays)
    found = workspace.load_state("match", "key")

    assert sorted(found) == sorted(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def test_an_index_is_a_file_of_its_own(workspace):
    index = np.frombuffer(b"\x00faiss\xff" * 9, np.uint8)

    workspace.save_state("match", "key", {"near.faiss": index, "mean": np.ones(2)})
    found = workspace.load_state("match", "key")

    folder = workspace.state_folder("match", "key")
    assert files.read_bytes(files.join(folder, "near.faiss")) == index.tobytes()
    np.testing.assert_array_equal(found["near.faiss"], index)
    np.testing.assert_array_equal(found["mean"], np.ones(2))


def test_a_state_of_indices_alone_comes_back(workspace):
    workspace.save_state("match", "key", {"near.faiss": np.arange(3, dtype=np.uint8)})

    assert list(workspace.load_state("match", "key")) == ["near.faiss"]


def test_an_empty_state_is_a_state(workspace):
    workspace.save_state("match", "key", {})

    assert workspace.load_state("match", "key") == {}


def test_there_is_no_state_under_another_key_or_name(workspace):
    workspace.save_state("match", "key", {"mean": np.ones(2)})

    assert workspace.load_state("match", "other") is None
    assert workspace.load_state("separate", "key") is None


def test_a_state_that_was_half_written_is_none(workspace):
    workspace.save_state("match", "key", {"near.faiss": np.zeros(3, np.uint8), "m": np.ones(2)})
    files.remove(files.join(workspace.state_folder("match", "key"), DIGESTS))

    assert workspace.load_state("match", "key") is None


def test_the_digests_are_written_last(workspace, monkeypatch):
    written = []
    write = files.write
    monkeypatch.setattr(files, "write", lambda uri, data: (written.append(uri), write(uri, data)))

    workspace.save_state("match", "key", {"m": np.ones(2), "near.faiss": np.zeros(3, np.uint8)})

    names = [uri.rsplit("/", 1)[-1] for uri in written]
    assert sorted(names[:-1]) == ["near.faiss", ARRAYS]
    assert names[-1] == DIGESTS


def damaged(data, damage):
    """Return a content as a failing disk or a broken copy would leave it."""
    middle = len(data) // 2
    flipped = bytes([data[middle] ^ 4])
    return {
        "empty": b"",
        "cut": data[:middle],
        "one bit": data[:middle] + flipped + data[middle + 1 :],
        "longer": data + b"\0",
        "foreign": b'["not", {"what": 1}]',
        "deep": b"[" * 100_000,
    }[damage]


@pytest.mark.parametrize("damage", ["empty", "cut", "one bit", "longer", "foreign", "deep"])
@pytest.mark.parametrize("name", [ARRAYS, DIGESTS, "near.faiss"])
def test_a_damaged_state_is_named_with_the_remedy(workspace, name, damage):
    arrays = {"mean": np.arange(99.0), "near.faiss": np.arange(200, dtype=np.uint8)}
    workspace.save_state("match", "key", arrays)
    uri = files.join(workspace.state_folder("match", "key"), name)
    files.write(uri, damaged(files.read_bytes(uri), damage))

    with pytest.raises(SchemaError, match=r"states/match-key is damaged .*; delete the folder"):
        workspace.load_state("match", "key")


def test_a_state_that_has_lost_an_index_is_damaged(workspace):
    workspace.save_state("match", "key", {"near.faiss": np.zeros(3, np.uint8), "m": np.ones(2)})
    files.remove(files.join(workspace.state_folder("match", "key"), "near.faiss"))

    with pytest.raises(SchemaError, match=r"near\.faiss is missing"):
        workspace.load_state("match", "key")


def test_an_index_that_is_no_part_of_the_state_is_left_out(workspace):
    workspace.save_state("match", "key", {"m": np.ones(2)})
    folder = workspace.state_folder("match", "key")
    files.write(files.join(folder, "older.faiss"), b"of an attempt with other settings")

    assert list(workspace.load_state("match", "key")) == ["m"]


@pytest.mark.slow
@settings(max_examples=400)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_changed_bit_of_a_table_passes_for_a_value(tmp_path_factory, place, bit):
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(640.0)), 64)
    table = pa.table({"n": pa.array(range(10), pa.int32()), "embedding.image": vectors})
    data = bytearray(to_parquet(table))
    data[int(place * len(data))] ^= 1 << bit
    uri = str(tmp_path_factory.mktemp("bits") / "t.parquet")
    files.write(uri, bytes(data))

    for columns in (None, ["n", "embedding.image"]):
        with suppress(SchemaError):
            found = from_parquet(uri, columns)

            assert found.schema == table.schema
            assert found.equals(table)


@pytest.mark.parametrize("num_rows", [0, 2, 4])
def test_a_fragment_with_other_rows_than_its_name_says_is_neither_written_nor_read(
    workspace, num_rows
):
    step = workspace.step("embed", {})
    fragment = "0123456789abcdef-000000007-00003"
    table = pa.table({"n": range(num_rows)})

    with pytest.raises(SchemaError, match=f"must have 3 rows, got {num_rows}"):
        step.write(fragment, table)
    assert step.done() == set()

    files.write(step.path(fragment), to_parquet(table))
    with pytest.raises(SchemaError, match=f"must have 3 rows, got {num_rows}"):
        step.read(fragment)


def test_no_object_is_pickled_into_a_state(workspace):
    with pytest.raises(SafetensorError, match="object"):
        workspace.save_state("match", "key", {"objects": np.array([{}, []], dtype=object)})

    assert workspace.load_state("match", "key") is None


def test_a_pickle_in_the_place_of_a_state_is_not_loaded(workspace, tmp_path):
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    folder = workspace.state_folder("match", "key")
    data = pickle.dumps(Bomb())
    files.write(files.join(folder, ARRAYS), data)
    files.write(files.join(folder, DIGESTS), json.dumps({ARRAYS: digest(data)}).encode())

    with pytest.raises(SchemaError, match="is damaged"):
        workspace.load_state("match", "key")

    assert not marker.exists()
