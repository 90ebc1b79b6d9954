import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.shards import files
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read

ROWS = {
    "url": ["u0", "u1", "u2", "u3", "u4"],
    "caption": ["c0", "c1", "c2", "c3", "c4"],
    "key": ["0000", "0001", "0002", "0003", "0004"],
    "status": ["success", "failed_to_download", "success", "failed_to_resize", "success"],
    "error_message": [None, "HTTP Error 404", None, "too small", None],
}


@pytest.fixture
def shard(memory, make_tar, picture):
    members = [
        ("0000.jpg", picture(0)),
        ("0000.txt", b"c0"),
        ("0000.json", b'{"url": "from json"}'),
        ("0002.jpg", picture(2)),
        ("0002.txt", b"c2"),
        ("0003.txt", b"c3"),
    ]
    files.write(f"{memory}/00000.tar", make_tar(members))
    buffer = io.BytesIO()
    pq.write_table(pa.table(ROWS), buffer)
    files.write(f"{memory}/00000.parquet", buffer.getvalue())
    return find_shards(memory)[0]


def test_failed_downloads_without_a_sample_are_rows_behind_the_tar(shard):
    table = index(shard).table

    samples = list(read(shard, table))

    assert table["row"].to_pylist() == [0, 1, 2, 3]
    assert [(s.key, s.fault) for s in samples] == [
        ("0000", None),
        ("0002", None),
        ("0003", "missing-image"),
        ("0001", "download-failed"),
    ]
    assert samples[3].caption == "c1"
    assert samples[3].fields["error_message"] == "HTTP Error 404"
    assert (samples[3].image, samples[3].members) == (None, {})


def test_the_json_of_a_sample_counts_and_the_sidecar_stands_in_for_it(shard):
    first, second = read(shard, index(shard).table.slice(0, 2))

    assert first.fields == {"url": "from json"}
    assert (second.fields["url"], second.fields["status"]) == ("u2", "success")


@pytest.mark.parametrize("data", [b"broken", None], ids=["broken", "of another tool"])
def test_a_parquet_file_that_is_no_sidecar_is_left_alone(shard, data):
    buffer = io.BytesIO()
    pq.write_table(pa.table({"something": ["else"]}), buffer)
    files.write(f"{shard.uri[:-4]}.parquet", data or buffer.getvalue())
    again = find_shards(shard.uri)[0]

    assert [s.fields for s in read(again, index(again).table)] == [
        {"url": "from json"},
        {},
        {},
    ]


def test_a_corpus_without_captions_has_none_for_failed_downloads(shard):
    samples = list(read(shard, index(shard).table, None))

    assert {s.caption for s in samples} == {None}
