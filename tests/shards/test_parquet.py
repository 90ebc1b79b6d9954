import datetime
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import SchemaError
from pipeline.shards import files
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read


def stored(base, table, **options):
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    files.write(f"{base}/part.parquet", buffer.getvalue())
    return find_shards(f"{base}/part.parquet")[0]


def read_all(shard, caption="auto"):
    return list(read(shard, index(shard).table, caption))


def test_rows_carry_image_caption_and_json_safe_fields(memory, picture):
    table = pa.table(
        {
            "uid": ["a1", None],
            "jpg": [picture(1), picture(2)],
            "text": ["a cat", ""],
            "score": [np.nan, 0.5],
            "seen": [datetime.datetime(2024, 1, 31, 12), None],
            "thumb": [b"abc", None],
        }
    )

    first, second = read_all(stored(memory, table))

    assert (first.key, second.key) == ("a1", "000000001")
    assert (first.image, first.extension) == (picture(1), "jpg")
    assert (first.caption, second.caption, second.fault) == ("a cat", "", None)
    assert first.fields == {
        "uid": "a1",
        "text": "a cat",
        "score": None,
        "seen": "2024-01-31T12:00:00",
        "thumb_base64": "YWJj",
    }


def test_hugging_face_images_are_read_from_their_struct(memory, picture):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [
        {"bytes": picture(1, "PNG"), "path": "a.png"},
        {"bytes": None, "path": "b.png"},
        None,
        {"bytes": b"what is it", "path": "c.WEBP"},
    ]
    table = pa.table({"image": pa.array(images, kind), "label": [3, 4, 5, 6]})

    samples = read_all(stored(memory, table))

    assert [s.image for s in samples] == [picture(1, "PNG"), None, None, b"what is it"]
    assert [s.extension for s in samples] == ["png", None, None, "webp"]
    assert [s.fault for s in samples] == [None, "missing-image", "missing-image", None]
    assert [s.fields for s in samples] == [{"label": n} for n in (3, 4, 5, 6)]


def test_faults_of_rows(memory, picture):
    texts = pa.array([b"t", b"\xff", None, b"t"], pa.binary())
    table = pa.table({"png": [picture()] * 3 + [b""], "alt": texts})

    samples = read_all(stored(memory, table))

    assert [s.fault for s in samples] == [None, "bad-utf8-text", "missing-text", "empty-image"]


def test_a_configured_caption_column_that_is_absent_is_a_schema_error(memory, picture):
    shard = stored(memory, pa.table({"jpg": [picture()], "captoin": ["x"]}))

    with pytest.raises(SchemaError, match=r"'caption', got \['jpg', 'captoin'\]; did you mean"):
        read_all(shard, "caption")


def test_no_caption_is_configured(memory, picture):
    (sample,) = read_all(stored(memory, pa.table({"jpg": [picture()], "text": ["x"]})), None)

    assert (sample.caption, sample.fault) == (None, None)


def test_a_table_without_images_is_a_fault_of_the_shard_and_of_each_row(memory):
    shard = stored(memory, pa.table({"url": ["u"], "image": ["a/path.jpg"]}))

    (sample,) = read_all(shard)

    assert index(shard).fault == "no-image-column"
    assert (sample.image, sample.fault) == (None, "missing-image")
    assert sample.fields == {"url": "u", "image": "a/path.jpg"}


@pytest.mark.parametrize(
    ("data", "fault"),
    [(b"", "empty-shard"), (b"PAR1 no", "unreadable-shard"), (bytes(999), "unreadable-shard")],
    ids=["empty", "short", "zeros"],
)
def test_a_file_that_is_no_parquet_has_no_rows_and_a_fault(memory, data, fault):
    files.write(f"{memory}/part.parquet", data)

    found = index(find_shards(f"{memory}/part.parquet")[0])

    assert (found.table.num_rows, found.fault) == (0, fault)


def test_a_corrupt_row_group_costs_its_own_rows_only(memory, picture):
    table = pa.table({"jpg": [picture(n) for n in range(6)], "n": list(range(6))})
    shard = stored(memory, table, row_group_size=2, compression="zstd", use_dictionary=False)
    data = bytearray(files.read_bytes(shard.uri))
    column = pq.ParquetFile(io.BytesIO(bytes(data))).metadata.row_group(1).column(0)
    start = column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xaa" * column.total_compressed_size
    files.write(shard.uri, bytes(data))

    samples = read_all(find_shards(shard.uri)[0])

    assert [s.fault for s in samples] == [None, None, "unreadable", "unreadable", None, None]
    assert [s.row for s in samples] == list(range(6))


def test_a_corrupt_page_costs_the_rows_from_it_to_the_end_of_its_group(
    memory, picture, monkeypatch
):
    monkeypatch.setattr("pipeline.shards.table.MAX_BATCH_ROWS", 1)
    table = pa.table({"jpg": [picture(n) for n in range(4)]})
    options = {"compression": "zstd", "use_dictionary": False, "data_page_size": 1}
    shard = stored(memory, table, write_batch_size=1, row_group_size=3, **options)
    data = bytearray(files.read_bytes(shard.uri))
    column = pq.ParquetFile(io.BytesIO(bytes(data))).metadata.row_group(0).column(0)
    stop = column.data_page_offset + column.total_compressed_size
    data[stop - 100 : stop] = b"\xaa" * 100
    files.write(shard.uri, bytes(data))

    samples = read_all(find_shards(shard.uri)[0])

    assert [s.fault for s in samples] == [None, None, "unreadable", None]
    assert samples[1].image == picture(1)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)
@given(rows=st.lists(st.integers(0, 9), max_size=12), group=st.integers(1, 11))
def test_any_rows_in_any_order_read_the_same_samples(rows, group, memory, picture):
    table = pa.table({"jpg": [picture(n) for n in range(10)], "text": [f"t{n}" for n in range(10)]})
    shard = stored(memory, table, row_group_size=group)
    found = index(shard).table

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.shards.table.MAX_BATCH_ROWS", 3)
        samples = list(read(shard, found.take(pa.array(rows, pa.int32()))))

    assert [(s.row, s.image, s.caption) for s in samples] == [
        (row, picture(row), f"t{row}") for row in rows
    ]
