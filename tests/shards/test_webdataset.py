import io
import json
import struct
import tarfile
from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ShardError
from pipeline.shards import files
from pipeline.shards.find import Shard, find_shards
from pipeline.shards.index import index, read
from pipeline.shards.sample import FAULTS, SHARD_FAULTS, Member
from pipeline.shards.webdataset import group, split_name

in_a_temporary_folder = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)


def stored(uri, data):
    files.write(uri, data)
    return find_shards(uri)[0]


def read_all(shard, caption="auto"):
    return list(read(shard, index(shard).table, caption))


@pytest.fixture
def shard_of(memory, make_tar):
    return lambda members: stored(f"{memory}/00000.tar", make_tar(members))


def test_samples_come_back_byte_for_byte(shard_of, picture):
    shard = shard_of(
        [
            ("a/0001.JPG", picture(1)),
            ("a/0001.txt", b" a caption \n"),
            ("a/0001.json", b'{"url": "u", "similarity": NaN}'),
            ("a/0001.cls", b"7\n"),
            ("a/0001.seg.npy", b"\x00raw"),
        ]
    )

    (sample,) = read_all(shard)

    assert (sample.row, sample.key, sample.fault) == (0, "a/0001", None)
    assert (sample.image, sample.extension) == (picture(1), "jpg")
    assert sample.caption == "a caption"
    assert sample.fields == {"url": "u", "similarity": None, "cls": "7"}
    assert sample.members == {
        "txt": b" a caption \n",
        "json": b'{"url": "u", "similarity": NaN}',
        "cls": b"7\n",
        "seg.npy": b"\x00raw",
    }


def test_each_broken_sample_has_its_fault_and_its_neighbours_have_none(shard_of, picture):
    image, deep = picture(), b"[" * 100_000
    broken = {
        "empty-image": [("jpg", b""), ("txt", b"t")],
        "missing-image": [("txt", b"t")],
        "missing-text": [("jpg", image), ("json", b"{}")],
        "bad-utf8-text": [("jpg", image), ("txt", b"\xff\xfe")],
        "bad-json": [("jpg", image), ("txt", b"t"), ("json", b"{not")],
    }
    also_bad_json = {"list": b"[1]", "deep": deep, "bytes": b"\xff"}
    members = []
    for fault, parts in broken.items():
        members += [(f"{fault}.{extension}", data) for extension, data in parts]
        members += [(f"after-{fault}.jpg", image), (f"after-{fault}.txt", b"")]
    for name, data in also_bad_json.items():
        members += [(f"{name}.jpg", image), (f"{name}.txt", b"t"), (f"{name}.json", data)]

    found = {sample.key: sample for sample in read_all(shard_of(members))}

    assert {key: found[key].fault for key in broken} == {fault: fault for fault in broken}
    assert {found[key].fault for key in also_bad_json} == {"bad-json"}
    assert {found[f"after-{fault}"].fault for fault in broken} == {None}
    assert found["after-bad-json"].caption == ""
    assert set(broken) <= set(FAULTS)


def test_caption_can_be_another_member_a_json_field_or_absent(shard_of, picture):
    fields = {"title": ["first", "second"], "n": 3, "lone": "\ud800", "none": None}
    shard = shard_of(
        [("1.jpg", picture()), ("1.alt", b"alt"), ("1.json", json.dumps(fields).encode())]
    )

    captions = {
        source: (sample.caption, sample.fault)
        for source in ("alt", "json:title", "json:n", "json:lone", "json:none", "json:x", None)
        for sample in read_all(shard, source)
    }

    assert captions == {
        "alt": ("alt", None),
        "json:title": ("first", None),
        "json:n": ("3", None),
        "json:lone": (None, "bad-utf8-text"),
        "json:none": (None, "missing-text"),
        "json:x": (None, "missing-text"),
        None: (None, None),
    }


def test_a_key_that_comes_back_is_another_sample(shard_of, picture):
    names = ["a.jpg", "a.txt", "b.jpg", "b.txt", "a.jpg", "a.txt", "a.jpg", "a.txt"]
    shard = shard_of([(name, picture(place)) for place, name in enumerate(names)])

    samples = read_all(shard, None)

    assert [sample.key for sample in samples] == ["a", "b", "a", "a"]
    assert [sample.image for sample in samples] == [picture(place) for place in (0, 2, 4, 6)]


def test_links_devices_and_folders_are_never_followed(memory, picture, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind in [("1.jpg", tarfile.SYMTYPE), ("2.jpg", tarfile.LNKTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret")
            tar.addfile(info)
        for name, kind in [("d", tarfile.DIRTYPE), ("3.jpg", tarfile.CHRTYPE)]:
            info = tarfile.TarInfo(name)
            info.type = kind
            tar.addfile(info)
        info = tarfile.TarInfo("4.jpg")
        info.size = len(picture())
        tar.addfile(info, io.BytesIO(picture()))
    shard = stored(f"{memory}/00000.tar", buffer.getvalue())

    samples = read_all(shard, None)

    assert [(s.key, s.image) for s in samples] == [
        *(("1", None), ("2", None), ("3", None)),
        ("4", picture()),
    ]
    assert [s.fault for s in samples] == ["special-member"] * 3 + [None]


def test_names_that_are_not_utf8_stay_apart(memory, picture):
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1"
    ) as tar:
        for name in ("é.jpg", "è.jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(picture())
            tar.addfile(info, io.BytesIO(picture()))
    shard = stored(f"{memory}/00000.tar", buffer.getvalue())

    assert index(shard).table["key"].to_pylist() == ["\\xe9", "\\xe8"]


def test_member_too_large_is_a_fault_and_is_not_read(memory, picture, make_tar, monkeypatch):
    monkeypatch.setattr("pipeline.shards.webdataset.MAX_MEMBER_BYTES", 10_000)
    monkeypatch.setattr("pipeline.shards.spans.MAX_MEMBER_BYTES", 10_000)
    members = [("1.jpg", bytes(20_000)), ("1.txt", b"t"), ("2.jpg", picture()), ("2.txt", b"t")]

    first, second = read_all(stored(f"{memory}/0.tar", make_tar(members)))

    assert (first.fault, first.image, first.caption) == ("member-too-large", None, "t")
    assert second.fault is None


@pytest.mark.parametrize(
    "step", [41, pytest.param(1, marks=pytest.mark.slow)], ids=["some offsets", "every offset"]
)
def test_truncation_keeps_each_intact_sample(step, tmp_path, make_tar, make_members):
    members = make_members(3)
    whole = make_tar(members)
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        ends = [info.offset_data + info.size for info in tar.getmembers()]
    sample_ends = ends[2::3]
    uri = str(tmp_path / "0.tar")
    borders = {-(-end // 512) * 512 for end in ends}

    for cut in sorted(borders.union(range(0, sample_ends[-1] + 600, step))):
        (tmp_path / "0.tar").write_bytes(whole[:cut])
        shard = Shard(uri, "webdataset", cut, str(cut))
        samples = read_all(shard)
        good = [sample for sample in samples if sample.fault is None]
        num_intact = sum(end <= cut for end in sample_ends)
        is_alone = num_intact == 1 and len(samples) == 1

        assert [s.image for s in good] == [data for _, data in members[::3][: len(good)]]
        assert len(good) == (0 if is_alone else num_intact), cut
        assert {s.fault for s in samples} <= {None, "truncated-member"}
        assert (index(shard).fault is None) == (cut > ends[-1] // 512 * 512 + 512)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "empty-shard"),
        (b"<html>404</html>", "truncated-shard"),
        (b"<html>404</html>" * 100, "unreadable-shard"),
        (b"\x1f\x8b" + bytes(2000), "unreadable-shard"),
    ],
    ids=["empty", "tiny text", "text", "gzip"],
)
def test_a_file_that_is_no_tar_has_no_rows_and_a_fault(memory, data, fault):
    found = index(stored(f"{memory}/00000.tar", data))

    assert (found.table.num_rows, found.fault) == (0, fault)
    assert fault in SHARD_FAULTS


def test_a_broken_header_keeps_the_samples_before_it(memory, make_tar, make_members):
    whole = bytearray(make_tar(make_members(2)))
    with tarfile.open(fileobj=io.BytesIO(bytes(whole))) as tar:
        fourth = tar.getmembers()[3].offset
    whole[fourth : fourth + 512] = b"\x55" * 512

    shard = stored(f"{memory}/00000.tar", bytes(whole))

    assert index(shard).fault == "corrupt-shard"
    assert [sample.fault for sample in read_all(shard)] == [None]


def test_a_header_with_a_negative_size_cannot_hang_the_scan(memory, make_tar):
    head = bytearray(make_tar([("1.jpg", b"x")])[:1024])
    head[124:136] = b"\xff" * 4 + struct.pack(">q", -2048)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head[:512])

    found = index(stored(f"{memory}/00000.tar", bytes(head)))

    assert found.fault in {"corrupt-shard", "unreadable-shard"}


def test_a_file_that_shrank_since_it_was_indexed_is_a_fault_of_its_rows(
    memory, make_tar, make_members
):
    whole = make_tar(make_members(2))
    shard = stored(f"{memory}/00000.tar", whole)
    table = index(shard).table
    files.write(shard.uri, whole[:1000])

    assert [s.fault for s in read(replace(shard, versions=()), table)] == ["truncated-member"] * 2
    with pytest.raises(ShardError, match="must stay as it was found"):
        list(read(shard, table))


names = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "d/a", "d.x/a"]), st.sampled_from(["jpg", "TXT", "s.png"])
    ),
    max_size=12,
)


@given(names)
def test_grouping_loses_no_member_and_keeps_their_order(pairs):
    found = [(f"{key}.{ext}", Member("", place, 1)) for place, (key, ext) in enumerate(pairs)]

    entries = group(found)
    flat = [(entry.key, m.extension, m.offset) for entry in entries for m in entry.members]

    assert flat == [(key, ext.lower(), place) for place, (key, ext) in enumerate(pairs)]
    for left, right in pairwise(entries):
        assert left.key != right.key or right.members[0].extension in left.extensions


@pytest.mark.parametrize(
    "name", ["README", "a/.DS_Store", "._0001.jpg", "__meta__/x.json", "__index__", "x."]
)
def test_names_without_key_or_extension_are_no_members(name):
    assert split_name(name) is None


@in_a_temporary_folder
@given(data=st.data())
def test_any_slice_of_the_index_reads_the_same_samples(data, tmp_path, make_tar, make_members):
    (tmp_path / "0.tar").write_bytes(make_tar(make_members(9)))
    shard = find_shards(str(tmp_path / "0.tar"))[0]
    table = index(shard).table
    whole = list(read(shard, table))
    rows = data.draw(st.lists(st.integers(0, 8), max_size=12))

    assert list(read(shard, table.take(pa.array(rows, pa.int32())))) == [whole[row] for row in rows]


@in_a_temporary_folder
@given(cuts=st.lists(st.integers(0, 9), max_size=4), limit=st.integers(1, 3000))
def test_fragments_and_batches_do_not_change_what_is_read(
    cuts, limit, tmp_path, make_tar, make_members
):
    (tmp_path / "0.tar").write_bytes(make_tar(make_members(9)))
    shard = find_shards(str(tmp_path / "0.tar"))[0]
    table = index(shard).table
    whole = list(read(shard, table))
    bounds = [0, *sorted(cuts), 9]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.shards.spans.BATCH_BYTES", limit)
        patch.setattr("pipeline.shards.spans.GAP_BYTES", limit % 700)
        parts = [
            sample
            for start, stop in pairwise(bounds)
            for sample in read(shard, table.slice(start, stop - start))
        ]

    assert parts == whole
