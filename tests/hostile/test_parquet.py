import io
import os
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ShardError
from pipeline.shards import files
from pipeline.shards.find import Shard, find_shards
from pipeline.shards.index import index, read
from pipeline.shards.sample import FAULTS, MAX_NAME_CHARS, SHARD_FAULTS
from pipeline.shards.table import MAX_COLUMNS, MAX_ROWS
from tests.hostile.confined import read_confined
from tests.hostile.parquets import (
    MAGIC,
    chunk,
    group,
    leaf,
    one_column,
    page,
    parent,
    parquet,
    plain,
)
from tests.hostile.tars import END, picture, sample

MIB = 2**20


def written(table, **options):
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def told(memory, data):
    """Return the fault of a shard, and its samples."""
    files.write(f"{memory}/t.parquet", data)
    shard = find_shards(f"{memory}/t.parquet")[0]
    found = index(shard)
    samples = list(read(shard, found.table))
    assert found.table["key"].to_pylist() == [s.key for s in samples]
    assert {s.fault for s in samples} <= {None, *FAULTS}
    assert found.fault in {None, *SHARD_FAULTS}
    return found.fault, samples


def test_hand_made_files_are_sound_where_they_do_not_lie(memory):
    fault, samples = told(memory, one_column(page(plain(picture(), b"x"), 2), 2))

    assert (fault, [s.image for s in samples]) == (None, [picture(), b"x"])


SOUND = page(plain(picture()), 1)
FAR = 2**60
LIES = {
    "more rows than the groups": parquet(
        [parent("schema"), leaf("jpg")], [group([chunk(["jpg"], 1, len(SOUND))], 1)], FAR, SOUND
    ),
    "a quadrillion rows": one_column(SOUND, 10**15),
    "negative rows": one_column(SOUND, -1),
    "more rows than are taken": one_column(SOUND, MAX_ROWS + 1),
    "no schema": parquet([], [], 1),
    "children that are not there": parquet([parent("schema", 2**30), leaf("jpg")], [], 0),
    "negative children": parquet([parent("schema", -1), leaf("jpg")], [], 0),
    "10,000 levels": parquet([*map(parent, ["a"] * 10_000), leaf("jpg")], [], 0),
    "too many columns": parquet(
        [parent("s", MAX_COLUMNS + 1), *(leaf(f"c{n}") for n in range(MAX_COLUMNS + 1))], [], 0
    ),
    "a list of 2**60 elements": MAGIC
    + b"\x15\x04\x19\xfc"
    + b"\xff" * 8
    + b"\x7f\x0d\0\0\0"
    + MAGIC,
    "garbage": MAGIC + b"\xff" * 999 + b"\xe7\x03\0\0" + MAGIC,
    "nested structs without end": MAGIC + b"\x1c" * 99_999 + (99_999).to_bytes(4, "little") + MAGIC,
    "longer than the file": MAGIC + b"\xff\xff\xff\x7f" + MAGIC,
    "encrypted": MAGIC + bytes(99) + b"\x08\0\0\0PARE",
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES)
def test_footers_that_cannot_be_are_no_parquet(data, memory):
    fault, samples = told(memory, data)

    assert (fault, samples) in [("unreadable-shard", []), ("no-image-column", [])]


ROTTEN = {
    "offset behind the end": one_column(SOUND, 1, offset=FAR),
    "negative offset": one_column(SOUND, 1, offset=-FAR),
    "offset into the footer": one_column(SOUND, 1, offset=len(SOUND)),
    "more values than rows": one_column(page(plain(picture()), 2**31 - 1), 1),
    "a page that says 2 GiB": one_column(page(b"", 1, whole=2**31 - 1), 1),
    "a page that packs 2 GiB": one_column(page(b"", 1, packed=2**31 - 1), 1),
    "a page of negative size": one_column(page(b"", 1, whole=-5, packed=-5), 1),
    "a value longer than its page": one_column(page(b"\xff\xff\xff\x7f" + b"x", 1), 1),
    "a codec that fails": one_column(page(plain(picture()), 1), 1, "zstd"),
    "pages that end early": one_column(SOUND[:30], 1),
    "more rows than values": one_column(SOUND, 3),
}


@pytest.mark.parametrize("data", ROTTEN.values(), ids=ROTTEN)
def test_chunks_that_lie_are_faults_of_their_rows(data, memory):
    fault, samples = told(memory, data)

    assert fault is None
    assert {s.fault for s in samples} <= {"unreadable", None}
    assert [s.fault for s in samples[1:]] == ["unreadable"] * (len(samples) - 1)


def test_a_row_group_that_lies_costs_its_own_rows_only(memory):
    good = chunk(["jpg"], 1, len(SOUND))
    groups = [group([good], 1), group([chunk(["jpg"], 1, 9, offset=FAR)], 1), group([good], 1)]

    _, samples = told(memory, parquet([parent("s"), leaf("jpg")], groups, 3, SOUND))

    assert [s.fault for s in samples] == [None, "unreadable", None]


def test_a_file_that_became_garbage_since_its_index_never_crashes(memory):
    files.write(f"{memory}/t.parquet", written(pa.table({"jpg": [picture()] * 3})))
    shard = find_shards(f"{memory}/t.parquet")[0]
    table = index(shard).table
    other = written(pa.table({"n": [1]}))
    for data in (b"", b"\xff" * 700, *LIES.values(), *ROTTEN.values(), other):
        files.write(shard.uri, data)

        samples = list(read(Shard(shard.uri, "parquet", shard.size, shard.identity), table))
        with pytest.raises(ShardError, match="must stay as it was found"):
            list(read(shard, table))

        assert len(samples) == 3
        assert {s.fault for s in samples} <= {None, *FAULTS}


WRONG = {
    "pictures are numbers": ({"jpg": [1, 2]}, "missing-image"),
    "pictures are texts": ({"image": ["a.jpg", "b.jpg"]}, "missing-image"),
    "pictures are lists": ({"jpg": [[b"x"], [b"y"]]}, "missing-image"),
    "captions are structs": ({"text": [{"a": 1}, {"a": 2}]}, "missing-text"),
    "captions are empty lists": ({"text": [[], []]}, "missing-text"),
    "keys are floats": ({"key": [np.nan, 0.5]}, None),
    "keys are structs": ({"key": [{"a": 1}, {"a": 2}]}, None),
    "keys are null": ({"key": pa.nulls(2)}, None),
    "dates after 9999": ({"seen": pa.array([2**31 - 1, 2**31 - 1], pa.date32())}, "bad-value"),
    "times after 9999": ({"seen": pa.array([2**62, 2**62], pa.timestamp("us"))}, "bad-value"),
    "a nested text that is no UTF-8": (
        {
            "tags": pa.array([[b"\xff"], [b"\xff"]], pa.list_(pa.binary())).view(
                pa.list_(pa.string())
            )
        },
        "bad-value",
    ),
}


@pytest.mark.parametrize(("columns", "fault"), WRONG.values(), ids=WRONG)
def test_columns_of_other_types_are_faults_or_fields(columns, fault, memory):
    table = pa.table({"jpg": [picture(), picture(1)]})
    for name, values in columns.items():
        has = name in table.column_names
        table = (
            table.drop_columns("jpg").append_column(name, pa.array(values))
            if has or name == "image"
            else table.append_column(name, [values])
        )

    _, samples = told(memory, written(table))

    assert [s.fault for s in samples] == [fault, fault]


def test_texts_that_are_no_utf8_cost_their_own_row_only(memory):
    text = pa.array([b"a", b"\xff", b"c"], pa.binary()).view(pa.string())
    table = pa.table({"jpg": [picture()] * 3, "text": text, "key": text, "alt": text})

    _, samples = told(memory, written(table))

    assert [(s.key, s.fault) for s in samples] == [
        ("a", None),
        ("ff", "bad-utf8-text"),
        ("c", None),
    ]
    assert samples[1].fields["alt_base64"] == "/w=="


def test_names_that_stand_twice_count_once(memory):
    columns = [pa.array([data]) for data in (picture(), b"second", b"t", b"u")]
    table = pa.Table.from_arrays(columns, ["jpg", "jpg", "text", "text"])

    _, samples = told(memory, written(table))

    assert [(s.image, s.caption, s.fault) for s in samples] == [(picture(), "t", None)]


def test_a_key_that_is_too_long_is_cut_and_quarantined(memory):
    table = pa.table({"jpg": [picture()] * 2, "key": ["a", "k" * 100_000]})

    _, samples = told(memory, written(table))

    assert [(s.key, s.fault) for s in samples] == [
        ("a", None),
        ("k" * MAX_NAME_CHARS, "name-too-long"),
    ]


def test_types_of_arrow_alone_are_those_of_parquet(memory):
    table = pa.table(
        {
            "jpg": pa.array([picture()], pa.large_binary()).dictionary_encode(),
            "text": pa.array(["a"], pa.string_view()),
            "took": pa.array([5], pa.duration("s")),
        }
    )

    _, (found,) = told(memory, written(table))

    assert (found.image, found.caption, found.fault) == (picture(), "a", None)
    assert found.fields == {"text": "a", "took": 5}


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


PICKLED = """
    import ray.data.extensions, sys  # registers a type of Arrow that unpickles its values
    from pipeline.shards.find import find_shards
    from pipeline.shards.index import index, read
    from pipeline.store.vectors import column_of
    for shard in find_shards(sys.argv[1]):
        found = list(read(shard, index(shard).table))
        assert found and not any(sample.fault for sample in found), found
        if shard.format == "parquet":
            assert len(column_of(shard.uri, "evil", 0, 1)) == 1
"""


@pytest.mark.slow
def test_no_column_and_no_sidecar_is_unpickled(tmp_path):
    said = {"ARROW:extension:name": "ray.data.arrow_pickled_object", "ARROW:extension:metadata": ""}
    evil = pa.field("evil", pa.binary(), metadata=said)
    payload = pickle.dumps(Evil(str(tmp_path / "executed")))
    plain_fields = {"jpg": [picture()], "key": ["a"], "status": ["success"]}
    table = pa.table(plain_fields).append_column(evil, [[payload]])
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.parquet").write_bytes(written(table))
    (tmp_path / "tars").mkdir()
    (tmp_path / "tars" / "0.parquet").write_bytes(written(table))
    (tmp_path / "tars" / "0.tar").write_bytes(sample("a") + END)

    for folder in ("in", "tars"):
        command = [sys.executable, "-c", textwrap.dedent(PICKLED), str(tmp_path / folder)]
        subprocess.run(command, check=True)

    assert not (tmp_path / "executed").exists()


@pytest.mark.slow
def test_bombs_are_refused_in_bounded_memory_and_time(tmp_path):
    zeros = bytes(600 * MIB)
    bomb = page(plain(zeros), 1, "zstd")
    large = b"\xff\xd8" + bytes(50 * MIB)
    same = pa.DictionaryArray.from_arrays(np.zeros(20_000, np.int32), pa.array([large]))
    columns = [f"c{n}" for n in range(900)]
    chunks = [chunk([name], 1, len(bomb), "zstd", whole=len(zeros)) for name in ["jpg", *columns]]
    bombs = {
        "honest": one_column(bomb, 1, "zstd", whole=len(zeros)),
        "lying": one_column(bomb, 1, "zstd"),
        "many columns": parquet(
            [parent("s", 901), *map(leaf, ["jpg", *columns])], [group(chunks, 1)], 1, bomb
        ),
        "one picture often": written(
            pa.table({"jpg": same}), compression="zstd", dictionary_pagesize_limit=2**30
        ),
        "a long list of nothing": written(
            pa.table({"jpg": [b"x"], "n": pa.array([[None] * (30 * MIB)], pa.list_(pa.int8()))})
        ),
        "many rows of nothing": written(pa.table({"jpg": pa.nulls(100_000, pa.binary())})),
        "many groups": written(pa.table({"jpg": [b"x"] * 2000}), row_group_size=1),
    }
    del zeros, bomb
    for name, data in bombs.items():
        (tmp_path / f"{name}.parquet").write_bytes(data)

    found = dict(
        zip(bombs, read_confined(*(tmp_path / f"{name}.parquet" for name in bombs)), strict=True)
    )

    assert found["honest"].rows == [(0, "000000000", "unreadable", 0)]
    assert found["lying"].rows[0][2] in ("unreadable", "member-too-large")
    assert found["many columns"].rows[0][2] == "unreadable"
    assert len(found["one picture often"].rows) == 20_000
    assert len(found["many rows of nothing"].rows) == 100_000
