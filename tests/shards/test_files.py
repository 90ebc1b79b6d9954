import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import ShardError
from pipeline.shards import files


@pytest.mark.parametrize("store", ["memory", "local"])
def test_written_bytes_are_read_back_whole_and_in_part(store, memory, tmp_path):
    base = memory if store == "memory" else str(tmp_path / "a folder")
    uri = files.join(base, "deep", "a file.bin")

    files.write(uri, b"0123456789")

    assert files.read_bytes(uri) == b"0123456789"
    assert files.read_bytes(uri, 2, 5) == b"234"
    assert files.read_ranges(uri, [(8, 20), (0, 1)]) == [b"89", b"0"]
    assert files.list_files(base) == [uri]
    assert files.stat(uri).size == 10


def test_relative_path_means_the_same_as_its_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    files.write("some folder/x.bin", b"x")

    assert files.list_files("some folder") == [str(tmp_path / "some folder" / "x.bin")]
    assert files.canonical("./some folder/") == str(tmp_path / "some folder")


def test_a_reader_never_sees_half_a_local_file(tmp_path, monkeypatch):
    uri = str(tmp_path / "x.bin")
    files.write(uri, b"old")

    def crash(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(ShardError, match="cannot write it: OSError; run the same command again"):
        files.write(uri, b"new content")

    assert files.read_bytes(uri) == b"old"
    assert os.listdir(tmp_path) == ["x.bin"]


def test_a_reader_of_the_old_file_is_not_disturbed(tmp_path):
    uri = str(tmp_path / "x.bin")
    files.write(uri, b"old")

    with files.open_read(uri) as old:
        files.write(uri, b"new")

        assert old.read() == b"old"


def test_what_a_killed_writer_leaves_is_not_listed(tmp_path):
    files.write(str(tmp_path / "x.bin"), b"x")
    (tmp_path / ".0123.tmp").write_bytes(b"half")

    assert files.list_files(str(tmp_path)) == [str(tmp_path / "x.bin")]


def test_version_changes_with_the_content(memory):
    uri = files.join(memory, "x.bin")
    files.write(uri, b"a")
    before = files.stat(uri)
    files.write(uri, b"b")

    assert files.stat(uri) != before


def test_missing_file_is_a_shard_error_that_names_it(tmp_path):
    uri = str(tmp_path / "absent.tar")

    with pytest.raises(ShardError, match=r"absent\.tar: cannot read it: FileNotFoundError; check"):
        files.read_bytes(uri)
    with pytest.raises(ShardError, match="check that the path names an existing file"):
        files.open_read(uri)


def test_unknown_protocol_is_a_shard_error_with_a_remedy():
    with pytest.raises(ShardError, match="check the protocol"):
        files.read_bytes("nosuch://bucket/x")


def test_credentials_never_reach_a_message():
    with pytest.raises(ShardError) as caught:
        files.read_bytes("nosuch://user:hunter2@host/x")

    assert "hunter2" not in str(caught.value)
    assert files.redact("https://h/a.tar?X-Amz-Signature=f00") == "https://h/a.tar"
    assert files.redact("s3://bucket/0000?.tar") == "s3://bucket/0000?.tar"


def test_removing_twice_is_the_same_as_removing_once(memory):
    uri = files.join(memory, "x.bin")
    files.write(uri, b"x")

    files.remove(uri)
    files.remove(uri)

    assert not files.exists(uri)


def test_absent_files_among_many_are_none(tmp_path):
    files.write(str(tmp_path / "a"), b"a")

    found = files.read_many([str(tmp_path / "a"), str(tmp_path / "gone")])

    assert found == [b"a", None]


@pytest.mark.parametrize("store", ["memory", "local"])
def test_a_file_is_created_once_and_never_replaced(store, memory, tmp_path):
    uri = files.join(memory if store == "memory" else str(tmp_path), "new folder", "lease.json")

    first, second = files.create(uri, b"first"), files.create(uri, b"second")

    assert (first, second) == (True, False)
    assert files.read_bytes(uri) == b"first"


def test_one_of_many_that_create_a_file_at_once_succeeds_and_leaves_nothing_else(tmp_path):
    uri = str(tmp_path / "lease.json")
    start = threading.Barrier(8)

    def contend(number):
        start.wait()
        return files.create(uri, f"{number}".encode() * 100_000)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(contend, range(8)))

    assert sum(won) == 1
    assert files.read_bytes(uri) == f"{won.index(True)}".encode() * 100_000
    assert os.listdir(tmp_path) == ["lease.json"]
