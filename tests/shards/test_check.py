import json

import pytest

from pipeline.errors import ShardError
from pipeline.shards import files
from pipeline.shards.check import check
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read
from pipeline.shards.pack import plan, write_index, write_shard


@pytest.fixture
def output(memory, make_tar, make_members, verdicts):
    files.write(f"{memory}/in/00000.tar", make_tar(make_members(6)))
    shard = find_shards(f"{memory}/in")[0]
    samples = list(read(shard, index(shard).table))
    stats = [
        write_shard(f"{memory}/out", number, enumerate(samples[start:stop]), verdicts(stop - start))
        for number, (start, stop) in enumerate(plan(6, 3))
    ]
    write_index(f"{memory}/out", stats)
    listed = {"shards": {"00000.tar": 3, "00001.tar": 3}}
    files.write(f"{memory}/out/manifest.json", json.dumps(listed).encode())
    return f"{memory}/out"


def found(output, **options):
    return {(p.shard, p.key, p.what) for p in check(output, **options).problems}


def replant(output, make_tar, members):
    """Replace the second shard; its counts are right."""
    base = [(f"{key}.{ext}", data) for key, parts in members.items() for ext, data in parts]
    files.write(f"{output}/00001.tar", make_tar(base))
    for name, said in {
        "sizes.json": {"00000.tar": 3, "00001.tar": len(members)},
        "manifest.json": {"shards": {"00000.tar": 3, "00001.tar": len(members)}},
        "00001_stats.json": {"count": len(members)},
    }.items():
        files.write(f"{output}/{name}", json.dumps(said).encode())


def test_a_packed_output_is_sound(output):
    checked = check(output, num_workers=2)

    assert checked.problems == ()
    assert checked.is_sound
    assert (checked.num_shards, checked.num_samples) == (2, 6)


def test_each_broken_sample_is_named(output, make_tar, picture):
    image = picture()
    plants = {
        "undecodable-image": [("jpg", image[:100]), ("txt", b"t")],
        "empty-text": [("jpg", image), ("txt", b" ")],
        "missing-text": [("jpg", image)],
        "missing-image": [("input.jpg", image), ("txt", b"t")],
        "empty-image": [("png", b""), ("txt", b"t")],
        "bad-utf8-text": [("jpg", image), ("txt", b"\xff")],
        "bad-json": [("jpg", image), ("txt", b"t"), ("json", b"{")],
        "undecodable-member": [("jpg", image), ("txt", b"t"), ("cls", b"cat")],
    }
    replant(output, make_tar, plants)

    assert found(output) == {("00001.tar", what, what) for what in plants}


def test_a_key_in_two_shards_is_named(output, make_tar, picture):
    replant(output, make_tar, {"000000001": [("jpg", picture()), ("txt", b"t")]})

    assert found(output) == {("00001.tar", "000000001", "duplicate-key")}


def test_a_damaged_tar_is_named(output):
    data = files.read_bytes(f"{output}/00001.tar")
    files.write(f"{output}/00001.tar", data[: len(data) // 3])

    assert ("00001.tar", None, "truncated-shard") in found(output)
    assert ("00001.tar", None, "changed-shard") in found(output)


def test_a_changed_tar_is_named(output):
    data = bytearray(files.read_bytes(f"{output}/00001.tar"))
    data[-1] = 1
    files.write(f"{output}/00001.tar", bytes(data))

    assert found(output) == {("00001.tar", None, "changed-shard")}


def test_a_gap_in_the_numbers_is_named(output):
    files.remove(f"{output}/00000.tar")

    assert found(output) == {("00000.tar", None, "missing-shard")}


def test_a_shard_for_each_worker_is_asked_for(output):
    assert found(output, num_workers=2, world_size=2) == {("sizes.json", None, "too-few-shards")}


@pytest.mark.parametrize(
    ("name", "said", "what"),
    [
        ("sizes.json", {"00000.tar": 3}, "unlisted-shard"),
        ("sizes.json", {"00000.tar": 3, "00001.tar": 4}, "wrong-count"),
        ("00001_stats.json", {"count": 2}, "wrong-count"),
        ("00001_stats.json", {}, "unlisted-shard"),
        ("manifest.json", {"shards": {"00000.tar": 3, "00001.tar": 2}}, "wrong-count"),
        ("manifest.json", {"shards": ["00001.tar"]}, "unlisted-shard"),
    ],
    ids=["sizes lack", "sizes differ", "stats differ", "stats lack", "manifest differs", "no dict"],
)
def test_counts_that_differ_are_named(output, name, said, what):
    files.write(f"{output}/{name}", json.dumps(said).encode())

    assert ("00001.tar", None, what) in found(output)


def test_missing_sizes_are_named_for_every_shard(output):
    files.remove(f"{output}/sizes.json")

    assert {(shard, what) for shard, _, what in found(output)} == {
        ("00000.tar", "unlisted-shard"),
        ("00001.tar", "unlisted-shard"),
    }


def test_a_listed_shard_that_is_gone_is_named(output):
    sizes = {"00000.tar": 3, "00001.tar": 3, "00002.tar": 3}
    files.write(f"{output}/sizes.json", json.dumps(sizes).encode())

    assert found(output) == {("00002.tar", None, "missing-shard")}


def test_a_folder_without_tars_is_an_error(memory):
    with pytest.raises(ShardError, match="must hold tars, got none"):
        check(f"{memory}/nothing")
