import gzip
import io
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ShardError
from pipeline.shards import files
from pipeline.shards.find import Shard, find_shards
from pipeline.shards.headers import MAX_EXTENSION_BYTES, headers
from pipeline.shards.index import index, read
from pipeline.shards.sample import FAULTS, MAX_NAME_CHARS, SHARD_FAULTS
from tests.hostile.confined import read_confined
from tests.hostile.tars import END, base256, header, member, pax, picture, record, sample

LONG = b"k" * 100_000 + b".jpg"
TB = 2**40


def told(memory, data, caption="auto"):
    """Return the fault of a shard, and key and fault of each row."""
    files.write(f"{memory}/t.tar", data)
    shard = find_shards(f"{memory}/t.tar")[0]
    found = index(shard)
    samples = list(read(shard, found.table, caption))
    assert found.table["key"].to_pylist() == [s.key for s in samples]
    assert {s.fault for s in samples} <= {None, *FAULTS}
    assert found.fault in {None, *SHARD_FAULTS}
    return found.fault, [(s.key, s.fault) for s in samples]


def between(*middle):
    """Return a tar with sound samples around what is hostile."""
    return sample("first") + b"".join(middle) + sample("last") + END


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/x",
        "/etc/x",
        "C:\\windows\\x",
        "a\\b\\x",
        "\\\\host\\share\\x",
        "a\x1b[31m\x07",
        "e\u202egpj",
        "CON",
        "~root/x",
        "s3://bucket/x",
        "a::b",
        "%2e%2e/x",
        "-rf *",
        "a\nb",
    ],
    ids=ascii,
)
def test_names_are_keys_and_never_paths(name, memory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    fault, rows = told(
        memory, between(pax((b"path", name.encode() + b".jpg")), member("q", picture())), None
    )

    assert (fault, rows) == (None, [("first", None), (name, None), ("last", None)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "hostile",
    {
        "pax name": pax((b"path", LONG)) + member("q.jpg", picture()),
        "GNU name": member("././@LongLink", LONG + b"\0", b"L") + member("q.jpg", picture()),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_a_name_that_is_too_long_is_cut_and_quarantined(hostile, memory):
    fault, rows = told(memory, between(hostile[1]))

    assert (fault, len(rows)) == (None, 3)
    assert rows[1] == ("k" * MAX_NAME_CHARS, "name-too-long")


NOT_FOLLOWED = {
    "symbolic link": header("x.jpg", 0, b"2", b"/etc/passwd"),
    "hard link": header("x.jpg", 0, b"1", b"first.jpg"),
    "hard link with a size": header("x.jpg", 512, b"1", b"first.jpg"),
    "character device": header("x.jpg", 0, b"3"),
    "block device": header("x.jpg", 0, b"4"),
    "fifo": header("x.jpg", 512, b"6"),
    "unknown type": member("x.jpg", picture(), b"Z"),
    "old sparse": member("x.jpg", picture(), b"S"),
    "pax sparse 0.0": pax((b"GNU.sparse.size", b"%d" % TB), (b"GNU.sparse.offset", b"0"))
    + member("x.jpg", picture()),
    "pax sparse 0.1": pax((b"GNU.sparse.map", b"0,99"), (b"GNU.sparse.name", b"x.jpg"))
    + member("GNUSparseFile.0/x.jpg", picture()),
    "pax sparse 0.1 broken": pax((b"GNU.sparse.map", b"0,x")) + member("x.jpg", picture()),
    "pax sparse 1.0": pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"))
    + member("x.jpg", b"99999999999\n1\n1\n"),
    "pax sparse 1.0 real size": pax((b"GNU.sparse.realsize", b"-5")) + member("x.jpg", b"1"),
    "pax size negative": pax((b"size", b"-512")) + member("x.jpg", picture()),
    "pax size no number": pax((b"size", b"ten")) + member("x.jpg", picture()),
    "pax size of 5,000 digits": pax((b"size", b"9" * 5000)) + member("x.jpg", picture()),
    "pax record of no length": member("pax", b"0 path=y.jpg\n", b"x") + member("x.jpg", picture()),
    "pax records that step back": member("pax", b"1 path=y.jpg\n" * 9, b"x")
    + member("x.jpg", picture()),
    "pax record behind the end": member("pax", b"999999 path=y.jpg\n", b"x")
    + member("x.jpg", picture()),
    "pax garbage": member("pax", b"\xff" * 600, b"x") + member("x.jpg", picture()),
    "pax header too long": member("pax", record(b"comment", bytes(MAX_EXTENSION_BYTES)), b"x")
    + member("x.jpg", picture()),
}


@pytest.mark.parametrize("hostile", NOT_FOLLOWED.values(), ids=NOT_FOLLOWED)
def test_a_special_member_is_one_row_and_its_neighbours_are_sound(hostile, memory):
    fault, rows = told(memory, between(hostile), None)

    assert fault is None
    assert rows == [("first", None), ("x", "special-member"), ("last", None)]


HARMLESS = {
    "folder named like a picture": header("x.jpg", 0, b"5") + header("y.jpg/", 0),
    "folder with a size": header("x.jpg", 1024, b"5"),
    "no name": member("", picture()),
    "global size": pax((b"size", b"0"), (b"path", b"z.jpg"), kind=b"g"),
    "global record of no UTF-8": pax((b"hdrcharset", b"\xff\xfe"), kind=b"g"),
    "long name of a link": member("././@LongLink", LONG, b"K"),
}


@pytest.mark.parametrize("hostile", HARMLESS.values(), ids=HARMLESS)
def test_what_is_no_file_of_a_sample_changes_nothing(hostile, memory):
    assert told(memory, between(hostile)) == (None, [("first", None), ("last", None)])


@pytest.mark.parametrize(
    ("size", "fault", "last"),
    [
        (base256(10 * 2**30), "truncated-shard", [("x", "truncated-member")]),
        (base256(2**87), "truncated-shard", [("x", "truncated-member")]),
        (b"77777777777\0", "truncated-shard", [("x", "truncated-member")]),
        (base256(-1), "corrupt-shard", []),
        (base256(-512), "corrupt-shard", []),
        (base256(-(2**80)), "corrupt-shard", []),
        (b"0000000008x\0", "corrupt-shard", []),
    ],
    ids=["10 GB", "2**87", "8 GB", "-1", "-512", "-2**80", "no octal digits"],
)
def test_sizes_that_cannot_be_end_the_shard_behind_its_sound_samples(size, fault, last, memory):
    assert told(memory, between(header("x.jpg", size)), None) == (fault, [("first", None), *last])


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_extension_headers_of_impossible_sizes_are_not_read(kind, memory):
    for size, expected in [(10 * 2**30, "truncated-shard"), (-512, "corrupt-shard")]:
        fault, rows = told(memory, sample("0") + between(header("pax", base256(size), kind)))

        assert fault == expected
        assert rows == [("0", None), ("first", None)]


def test_a_chain_of_extension_headers_does_not_exhaust_the_stack(memory):
    chain = (pax((b"path", b"y.jpg")) + member("././@LongLink", b"y.jpg\0", b"L")) * 5000

    rows = told(memory, between(chain, member("x.jpg", picture())), None)[1]

    assert rows == [("first", None), ("y", None), ("last", None)]


def test_an_endless_map_of_holes_ends_with_the_file(memory):
    block = bytearray(header("x.jpg", 0, b"S"))
    block[482] = 1
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)

    fault, rows = told(memory, sample("0") + sample("first") + bytes(block) + b"\1" * 512 * 99)

    assert (fault, rows[:2]) == ("truncated-shard", [("0", None), ("first", None)])


def test_duplicate_and_torn_keys_are_samples_of_their_own(memory):
    names = ["a.jpg", "a.jpg", "b.txt", "a.txt", "b.jpg", "A.jpg"]

    rows = told(memory, b"".join(member(name, picture()) for name in names) + END, None)[1]

    assert rows == [
        *(("a", None), ("a", None), ("b", "missing-image"), ("a", "missing-image")),
        *(("b", None), ("A", None)),
    ]


@pytest.mark.parametrize("gap", [0, 512, 10_240, 2**20])
def test_a_tar_that_was_appended_to_another_is_read_too(gap, memory):
    data = sample("first") + END + bytes(gap) + sample("last") + END

    assert told(memory, data) == (None, [("first", None), ("last", None)])


def test_garbage_behind_the_end_is_nothing(memory):
    assert told(memory, sample("first") + END + b"garbage" * 999) == (None, [("first", None)])


def zipped(data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [gzip.compress(sample("a") * 9), zipped(bytes(2000)), b"\x28\xb5\x2f\xfd" + b"\1" * 2000],
    ids=["gzip", "zip", "zstd"],
)
def test_an_archive_of_another_kind_under_the_name_of_a_tar_is_never_unpacked(data, memory):
    assert told(memory, data) == ("unreadable-shard", [])


def test_a_shard_that_became_garbage_since_its_index_never_crashes(memory):
    files.write(f"{memory}/t.tar", between())
    shard = find_shards(f"{memory}/t.tar")[0]
    table = index(shard).table
    for data in (b"", b"\xff" * 700, bytes(100_000), gzip.compress(between())):
        files.write(shard.uri, data)

        unseen = Shard(shard.uri, shard.format, shard.size, shard.identity)
        samples = list(read(unseen, table))
        with pytest.raises(ShardError, match="must stay as it was found"):
            list(read(shard, table))

        assert len(samples) == 2
        assert {s.fault for s in samples} <= {None, *FAULTS}


def test_an_extension_that_lies_about_its_nature_is_a_member_like_others(memory):
    data = between(pax((b"path", b"x.pickle\0.jpg")), member("q", b"cos\nsystem\n"))

    assert told(memory, data, None)[1][1] == ("x", "missing-image")


members = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1),
        st.integers(1, 12),
        st.binary(max_size=1100),
    ),
    max_size=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(members, st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_sound_tars_are_walked_as_tarfile_walks_them(memory, parts, form):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, encoding="utf-8") as tar:
        for name, times, data in parts:
            info = tarfile.TarInfo(f"d/{name * times}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    files.write(f"{memory}/t.tar", buffer.getvalue())
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as tar:
        expected = [(i.name, i.offset_data, i.size, True) for i in tar if i.isreg()]

    with files.open_read(f"{memory}/t.tar") as source:
        found = [
            (h.name, h.offset, h.size, h.is_plain) for h in headers(source, len(buffer.getvalue()))
        ]

    assert found == expected


@pytest.mark.slow
def test_bombs_take_neither_memory_nor_time(tmp_path):
    """Each took seconds to minutes, or memory by the square, in `tarfile`."""
    steps_back = member("pax", b"0" * 4200 + b"1 " + b"k" * 120_000 + b"=", b"x")
    names = b"".join(record(b"%x" % number, b"") for number in range(10_000))
    bombs = {
        "quadratic pax": steps_back * 50 + member("x.jpg", picture()),
        "many global records": member("pax", names, b"g") * 5,
        "many members of one sample": b"".join(header(f"x.{n}") for n in range(20_000)),
        "many empty members": b"".join(header(f"{n}.jpg") for n in range(20_000)),
        "one member of zeros": header("x.jpg", 400 * 2**20),
    }
    for name, bomb in bombs.items():
        with (tmp_path / f"{name}.tar").open("wb") as file:
            file.write(sample("first") + bomb)
            if name == "one member of zeros":
                file.truncate(file.tell() + 400 * 2**20)
                file.seek(0, io.SEEK_END)
            file.write(sample("last") + END)

    found = read_confined(*(tmp_path / f"{name}.tar" for name in bombs))

    for each in found:
        assert (each.fault, each.rows[0][2], each.rows[-1][1:3]) == (None, None, ("last", None))
    assert found[-1].faults["x"] == "member-too-large"
    assert [len(each.rows) for each in found] == [3, 2, 3, 20_002, 3]
