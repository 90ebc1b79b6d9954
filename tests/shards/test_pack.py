import io
import json
import tarfile
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SchemaError
from pipeline.shards import files
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read
from pipeline.shards.pack import plan, write_index, write_shard


@pytest.fixture
def samples(memory, make_tar, make_members):
    members = make_members(4)
    members.insert(3, ("0000.cls", b"3"))
    members.insert(4, ("0000.pickle", b"cos\nsystem\n"))
    members.insert(5, ("0000.seg.cls", b"cat"))
    files.write(f"{memory}/in/00000.tar", make_tar(members))
    shard = find_shards(f"{memory}/in")[0]
    return list(read(shard, index(shard).table))


def members_of(uri):
    with tarfile.open(fileobj=io.BytesIO(files.read_bytes(uri))) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar.getmembers()}


@given(st.integers(0, 500), st.integers(1, 60))
def test_planned_shards_are_contiguous_and_equal_up_to_one(num_rows, shard_rows):
    found = plan(num_rows, shard_rows)
    sizes = [stop - start for start, stop in found]

    assert [row for start, stop in found for row in range(start, stop)] == list(range(num_rows))
    assert max(sizes, default=0) <= shard_rows
    assert max(sizes, default=1) - min(sizes, default=1) <= 1


def test_a_shard_needs_room_for_a_row():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        plan(10, 0)


def test_members_keep_their_bytes_and_the_json_says_why(memory, samples, verdicts):
    write_shard(f"{memory}/out", 12, enumerate(samples), verdicts(4))

    found = members_of(f"{memory}/out/00012.tar")

    assert found["000120000.jpg"] == samples[0].image
    assert found["000120000.txt"] == b"caption of 0000"
    assert found["000120000.cls"] == b"3"
    assert json.loads(found["000120000.json"]) == {
        "url": "https://example.org/0000",
        "label": "class 0",
        "cls": "3",
        "source_key": "0000",
        "winnow": {
            "uid": "ff" + "00" * 14 + "07",
            "action": "relabel",
            "label": "cat",
            "new_label": "dog",
            "weight": 0.5,
            "source_shard": "crawl/00000.tar",
        },
    }
    assert list(found)[:3] == ["000120000.jpg", "000120000.txt", "000120000.json"]


def test_attached_columns_stand_in_the_json_under_their_names(memory, samples, verdicts):
    rows = verdicts(4).append_column("prune.teacher", pa.array([["cat", "dog"], [], None, ["cat"]]))
    write_shard(f"{memory}/out", 0, enumerate(samples), rows, attach=["prune.teacher"])

    found = members_of(f"{memory}/out/00000.tar")
    said = [json.loads(found[f"00000{n:04d}.json"])["winnow"] for n in range(4)]

    assert [each["prune.teacher"] for each in said] == [["cat", "dog"], [], None, ["cat"]]
    assert {each["action"] for each in said} == set(verdicts(4)["action"].to_pylist())


def test_members_that_harm_or_lose_the_sample_in_training_are_left_out(memory, samples, verdicts):
    write_shard(f"{memory}/out", 0, enumerate(samples), verdicts(4))

    names = set(members_of(f"{memory}/out/00000.tar"))

    assert not names & {"000000000.pickle", "000000000.seg.cls"}


def test_packing_twice_gives_the_same_bytes(memory, samples, verdicts):
    for folder in ("one", "two"):
        stats = write_shard(f"{memory}/{folder}", 0, enumerate(samples), verdicts(4))
        write_index(f"{memory}/{folder}", [stats])

    names = [uri.rpartition("/")[2] for uri in files.list_files(f"{memory}/one")]
    assert names == ["00000.parquet", "00000.tar", "00000_stats.json", "sizes.json", "uids.npy"]
    for name in names:
        one, two = (files.read_bytes(f"{memory}/{folder}/{name}") for folder in ("one", "two"))
        assert one == two, name


def test_the_tar_says_nothing_of_when_and_where_it_was_written(memory, samples, verdicts):
    write_shard(f"{memory}/out", 0, enumerate(samples), verdicts(4))

    data = files.read_bytes(f"{memory}/out/00000.tar")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        heads = {(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode) for i in tar.getmembers()}

    assert heads == {(0, 0, 0, "", "", 0o644)}


def test_the_table_has_key_caption_and_url_beside_the_rows(memory, samples, verdicts):
    write_shard(f"{memory}/out", 3, enumerate(samples), verdicts(4))

    data = files.read_bytes(f"{memory}/out/00003.parquet")
    table = pq.read_table(io.BytesIO(data))

    assert table["__key__"].to_pylist() == [f"00003{n:04d}" for n in range(4)]
    assert table["caption"].to_pylist() == [f"caption of {n:04d}" for n in range(4)]
    assert table["url"].to_pylist() == [f"https://example.org/{n:04d}" for n in range(4)]
    assert table.select(verdicts(4).column_names).equals(verdicts(4))


def test_stats_are_written_last_and_count_actions(memory, samples, verdicts, monkeypatch):
    written = []
    write = files.write
    monkeypatch.setattr(files, "write", lambda uri, data: (written.append(uri), write(uri, data)))

    stats = write_shard(f"{memory}/out", 0, enumerate(samples), verdicts(4))

    assert written[-1].endswith("/00000_stats.json")
    assert json.loads(files.read_bytes(written[-1])) == stats
    assert (stats["count"], stats["actions"]) == (4, {"keep": 2, "relabel": 2})


def test_the_index_lists_all_shards_and_all_uids_in_order(memory, samples, verdicts):
    both = [
        write_shard(
            f"{memory}/out", number, enumerate(samples[start:stop]), verdicts(4).slice(start, 2)
        )
        for number, (start, stop) in enumerate(plan(4, 2))
    ]

    write_index(f"{memory}/out", both[::-1])

    sizes = files.read_bytes(f"{memory}/out/sizes.json")
    uids = np.load(io.BytesIO(files.read_bytes(f"{memory}/out/uids.npy")))
    assert sizes == b'{"00000.tar":2,"00001.tar":2}'
    assert uids.dtype == np.dtype("u8,u8")
    assert uids.tolist() == [(first << 56, 7) for first in (252, 253, 254, 255)]


def test_an_empty_output_has_an_empty_index(memory):
    write_index(f"{memory}/out", [])

    assert files.read_bytes(f"{memory}/out/sizes.json") == b"{}"
    assert len(np.load(io.BytesIO(files.read_bytes(f"{memory}/out/uids.npy")))) == 0


def test_rows_without_uid_are_a_schema_error(memory, samples, verdicts):
    stats = write_shard(f"{memory}/out", 0, enumerate(samples), verdicts(4).drop_columns(["uid"]))

    with pytest.raises(SchemaError, match="must have the column 'uid'"):
        write_index(f"{memory}/out", [stats])


def test_caption_from_elsewhere_becomes_the_text(memory, samples, verdicts):
    sample = replace(samples[0], caption="from a column", members={})
    write_shard(f"{memory}/out", 0, [(0, sample)], verdicts(1))

    assert members_of(f"{memory}/out/00000.tar")["000000000.txt"] == b"from a column"


def test_programming_errors_are_named(memory, samples, verdicts):
    with pytest.raises(ValueError, match="every row must have a sample, got none for 1"):
        write_shard(memory, 0, enumerate(samples[:3]), verdicts(4))
    with pytest.raises(ValueError, match="place 1 of the shard must be given once, got it twice"):
        write_shard(memory, 0, [(1, samples[0]), (1, samples[1])], verdicts(4))
    with pytest.raises(ValueError, match="'0000' must have an image"):
        write_shard(memory, 0, [(0, replace(samples[0], image=None))], verdicts(1))


def test_keys_are_unique_over_shards_of_any_size(memory, samples, verdicts):
    from pipeline.shards.manifest import output_keys

    keys = [key for number in (0, 1, 10) for key in output_keys(number, 10_001)]

    assert len(set(keys)) == 30_003
    assert keys[:2] == ["0000000000", "0000000001"]


def test_packed_shards_can_be_curated_again(memory, samples, verdicts):
    write_shard(f"{memory}/out", 0, enumerate(samples), verdicts(4))
    shard = find_shards(f"{memory}/out")[0]

    again = list(read(shard, index(shard).table))

    assert [s.image for s in again] == [s.image for s in samples]
    assert [s.caption for s in again] == [s.caption for s in samples]
    assert [s.fields["source_key"] for s in again] == [s.key for s in samples]
    assert {s.fault for s in again} == {None}
