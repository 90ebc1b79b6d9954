import os
import socket

import pytest

from pipeline.errors import ShardError
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read
from pipeline.shards.sample import FAULTS
from tests.hostile.tars import END, picture, sample


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "in" / "cat"
    path.mkdir(parents=True)
    (path / "sound.jpg").write_bytes(picture())
    return path


def told(folder):
    """Return fault and caption of each picture by key."""
    (shard,) = find_shards(str(folder.parent))
    found = index(shard)
    samples = list(read(shard, found.table))
    assert found.table["key"].to_pylist() == [s.key for s in samples]
    assert {s.fault for s in samples} <= {None, *FAULTS}
    return {s.key: (s.fault, s.caption) for s in samples}


SOUND = {"sound.jpg": (None, None)}


@pytest.mark.parametrize(
    "name",
    [
        *("a\nb.jpg", "a#b?c.jpg", "[ab]*.jpg", "~.jpg", "z" * 251 + ".jpg", "%2e%2e.jpg"),
        *("-rf .jpg", "é\u202e.jpg", "s3:.jpg", "\x1b[31m.jpg", "a\\b.jpg", "$HOME.jpg"),
    ],
    ids=ascii,
)
def test_any_name_that_is_text_is_a_key(name, folder):
    (folder / name).write_bytes(picture(1))

    assert told(folder) == {**SOUND, name: (None, None)}


def test_names_that_cannot_be_said_are_quarantined(folder):
    (folder / "a::b.jpg").write_bytes(picture())
    with open(os.path.join(os.fsencode(folder), b"\xff.jpg"), "wb") as file:
        file.write(picture())

    assert told(folder) == {
        **SOUND,
        "a::b.jpg": ("bad-name", None),
        "\\udcff.jpg": ("bad-name", None),
    }


def test_links_out_of_the_folder_are_not_followed(folder, tmp_path):
    (tmp_path / "secret.txt").write_text("a password")
    (tmp_path / "secret.jpg").write_bytes(picture())
    (folder / "b.jpg").write_bytes(picture())
    (folder / "b.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "c.jpg").symlink_to("../../secret.jpg")
    (folder / "d.jpg").symlink_to("sound.jpg")
    (folder / "e").symlink_to(tmp_path)

    assert told(folder) == {
        **SOUND,
        "b.jpg": ("special-member", None),
        "c.jpg": ("special-member", None),
        "d.jpg": (None, None),
    }


def test_loops_and_broken_links_are_nothing(folder):
    (folder / "self.jpg").symlink_to("self.jpg")
    (folder / "one.jpg").symlink_to("two.jpg")
    (folder / "two.jpg").symlink_to("one.jpg")
    (folder / "up").symlink_to("..")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")

    assert told(folder) == SOUND


@pytest.mark.timeout(60)
def test_pipes_sockets_and_devices_are_never_opened(folder):
    os.mkfifo(folder / "fifo.jpg")
    os.mkfifo(folder / "sound.txt")
    (folder / "zero.jpg").symlink_to("/dev/zero")
    (folder / "named.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.jpg"))

        assert told(folder) == SOUND


@pytest.mark.timeout(60)
def test_pipes_named_like_shards_are_never_opened(tmp_path):
    (tmp_path / "0.tar").write_bytes(sample("a") + END)
    os.mkfifo(tmp_path / "0.parquet")
    os.mkfifo(tmp_path / "1.tar")

    (shard,) = find_shards(str(tmp_path))

    assert [s.fault for s in read(shard, index(shard).table)] == [None]


def test_files_in_folders_in_the_folder_are_its_own(folder):
    deep = folder.joinpath(*["d"] * 50)
    deep.mkdir(parents=True)
    (deep / "x.jpg").write_bytes(picture())

    assert told(folder) == {**SOUND, "d/" * 50 + "x.jpg": (None, None)}


def test_a_file_that_changes_or_goes_since_its_index_never_crashes(folder):
    (folder / "b.jpg").write_bytes(picture())
    (shard,) = find_shards(str(folder.parent))
    table = index(shard).table
    (folder / "b.jpg").unlink()
    (folder / "b.jpg").mkdir()

    assert [s.fault for s in read(shard, table)] == ["unreadable", None]

    (folder / "sound.jpg").write_bytes(b"garbage")
    with pytest.raises(ShardError, match="must stay as it was found"):
        list(read(shard, table))
