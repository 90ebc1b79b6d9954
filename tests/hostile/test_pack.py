import gzip
import io
import json
import os
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pytest
import webdataset
from PIL import Image

from pipeline.contract import Sample
from pipeline.embed import decode
from pipeline.errors import ShardError
from pipeline.shards import carried, files
from pipeline.shards.check import check
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read
from pipeline.shards.pack import write_index, write_shard
from tests.hostile.tars import END, header, member, pax, picture, sample


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def rows(count):
    return pa.table(
        {
            "uid": pa.array([bytes([n]) * 16 for n in range(count)], pa.binary(16)),
            "shard": ["in/0.tar"] * count,
            "action": ["keep"] * count,
        }
    )


def made(**changes):
    parts = {"row": 0, "key": "k", "image": picture(), "extension": "jpg", "caption": "a caption"}
    return Sample(**{**parts, "fields": {}, "members": {}, "fault": None, **changes})


def packed(base, *samples):
    """Return the names of the members of a shard of these samples."""
    stats = write_shard(base, 0, enumerate(samples), rows(len(samples)))
    write_index(base, [stats])
    data = files.read_bytes(f"{base}/00000.tar")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


def saved(value, **options):
    buffer = io.BytesIO()
    np.save(buffer, value, **options)
    return buffer.getvalue()


def image(kind, size=(4, 4)):
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, kind)
    return buffer.getvalue()


def attacks(path):
    payload = pickle.dumps(Evil(path))
    objects = saved(np.array([Evil(path)], dtype=object), allow_pickle=True)
    return {
        "pickle": payload,
        "pyd": payload,
        "pth": payload,
        "pt": payload,
        "pkl": payload,
        "seg.pickle": payload,
        "pickle.gz": gzip.compress(payload),
        "pth.gz": gzip.compress(payload),
        "npy.gz": gzip.compress(objects),
        "pickle\0.x": payload,
        "pickle\n.x": payload,
        "x.pickle ": payload,
        "npy": objects,
        "npz": objects,
        "seg.png": image("EPS"),
        "mask.jpg": image("PNG"),
        "eps": image("EPS"),
        "ps": image("EPS"),
        "../../x.txt": b"t",
        "é.txt": b"t",
        "x" * 100_000: b"t",
        "id": b"not a number",
        "index": b"9" * 5000,
        "text": b"\xff",
        "jsn": b"[" * 100_000,
        "mp": b"\xc1",
    }


def test_no_member_that_harms_the_training_job_is_written(memory, tmp_path):
    hostile = attacks(str(tmp_path / "executed"))
    good = {
        "cls": b"7",
        "seg.npy": saved(np.zeros((2, 3))),
        "mask.png": image("PNG"),
        "meta": b"\0",
    }

    names = packed(memory, made(members={**hostile, **good}))

    assert sorted(names) == [
        *("000000000.cls", "000000000.jpg", "000000000.json", "000000000.mask.png"),
        *("000000000.meta", "000000000.seg.npy", "000000000.txt"),
    ]


@pytest.mark.filterwarnings("ignore")
def test_the_loader_of_webdataset_runs_nothing_of_an_output_and_loses_no_sample(tmp_path):
    executed = tmp_path / "executed"
    hostile = attacks(str(executed))
    out = str(tmp_path / "out")
    packed(out, *(made(members={name: data}) for name, data in hostile.items()))

    pipeline = webdataset.DataPipeline(
        webdataset.SimpleShardList(f"{out}/00000.tar"),
        webdataset.tarfile_to_samples(),
        webdataset.decode("pilrgb"),
    )
    loaded = list(pipeline)

    assert len(loaded) == len(hostile)
    assert {each["txt"] for each in loaded} == {"a caption"}
    assert not executed.exists()


@pytest.mark.filterwarnings("ignore")
def test_the_payload_of_these_tests_is_executed_by_a_loader_that_gets_it(tmp_path):
    executed = tmp_path / "executed"
    payload = gzip.compress(pickle.dumps(Evil(str(executed))))

    webdataset.autodecode.Decoder([]).decode({"pickle.gz": payload})

    assert executed.exists()


def test_a_caption_member_that_is_no_utf8_gives_way_to_the_caption(memory):
    packed(memory, made(caption="read elsewhere", members={"txt": b"\xff"}))
    shard = find_shards(memory)[0]

    (found,) = read(shard, index(shard).table)

    assert (found.caption, found.fault) == ("read elsewhere", None)


def test_keys_and_fields_of_the_source_name_no_file(tmp_path):
    out = tmp_path / "a" / "out"
    fields = {"url": "../../x", "__proto__": {}, "winnow": "mine", "source_key": "/etc/passwd"}

    names = packed(
        str(out), made(key="../../../../x\0\n", fields=fields, caption="\x1b[31m\u202e\0")
    )

    assert names == [f"000000000.{extension}" for extension in ("jpg", "txt", "json")]
    assert {path.name for path in tmp_path.rglob("*")} == {
        *("a", "out", "00000.tar", "00000.parquet", "00000_stats.json", "sizes.json", "uids.npy")
    }


def test_the_checks_of_pictures_are_those_of_the_read_stage():
    assert carried.FORMATS == decode.FORMATS
    assert carried.MAX_PIXELS == decode.MAX_PIXELS


@pytest.fixture
def output(memory):
    packed(memory, made(), made(image=picture(1)))
    return memory


def problems(output):
    return {(each.key, each.what) for each in check(output).problems}


def replace_tar(output, data):
    files.write(f"{output}/00000.tar", data)
    files.remove(f"{output}/00000_stats.json")


def test_check_names_what_a_loader_would_execute(output, tmp_path):
    hostile = [*attacks(str(tmp_path / "executed")).items(), ("bin", b"ok")]
    parts = b"".join(
        sample(f"{n}") + pax((b"path", f"{n}.{extension}".encode())) + member("q", data)
        for n, (extension, data) in enumerate(hostile)
    )
    replace_tar(output, parts + END)

    found = problems(output)

    for number, (extension, _) in enumerate(hostile):
        is_pickle = any(word in extension for word in ("pickle", "pyd", "pth", "pt", "pkl", "npz"))
        assert ((str(number), "executable-member") in found) == is_pickle, extension
    assert {key for key, what in found if what.endswith("-member")} >= {str(n) for n in range(18)}
    assert str(len(hostile) - 1) not in {key for key, _ in found}
    assert not (tmp_path / "executed").exists()


def test_check_opens_a_picture_by_its_content_and_with_no_foreign_program(output, monkeypatch):
    started = []
    monkeypatch.setattr("subprocess.Popen", lambda *args, **_: started.append(args))
    replace_tar(output, member("0.jpg", image("EPS")) + member("0.txt", b"t") + END)

    assert ("0", "undecodable-image") in problems(output)
    assert started == []


@pytest.mark.parametrize(
    "claims",
    [b"", b"\xff", b"[" * 100_000, b'{"00000.tar": {}}', b'{"00000.tar": 1e400}', b"null", b"[1]"],
    ids=range(7),
)
def test_check_survives_claims_of_any_kind(output, claims):
    for name in ("sizes.json", "manifest.json", "00000_stats.json"):
        files.write(f"{output}/{name}", claims)

    assert problems(output)


def test_check_survives_tars_of_any_kind(output):
    for data in (b"", b"\xff" * 999, header("x.jpg", 2**33 - 1), b"\x1f\x8b" + bytes(999)):
        replace_tar(output, data)

        assert problems(output)


def test_check_never_waits_for_a_pipe(tmp_path):
    out = tmp_path / "out"
    packed(str(out), made())
    for name in ("sizes.json", "00000_stats.json", "00000.parquet"):
        (out / name).unlink()
        os.mkfifo(out / name)
    os.mkfifo(out / "00001.tar")

    assert (None, "unlisted-shard") in problems(str(out))


def test_check_of_pipes_alone_finds_no_tar(tmp_path):
    os.mkfifo(tmp_path / "00000.tar")

    with pytest.raises(ShardError, match="must hold tars, got none"):
        check(str(tmp_path))


def test_a_json_that_a_loader_cannot_parse_is_never_written(memory):
    deep = {"a": 1}
    for _ in range(60):
        deep = {"a": deep, "n": 2**70, "t": "\ud800"}
    packed(memory, made(fields=deep))
    shard = find_shards(memory)[0]

    (found,) = read(shard, index(shard).table)

    assert json.loads(found.members["json"])["n"] == 2**70
