import pytest

from pipeline.shards import files
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read


@pytest.fixture(params=["memory", "local"])
def shard(request, memory, tmp_path, picture):
    base = memory if request.param == "memory" else str(tmp_path)
    for name, data in {
        "red cat/2.PNG": picture(2, "PNG"),
        "red cat/1.jpg": picture(1),
        "red cat/1.txt": b"a red cat\n",
        "red cat/deep/3.webp": picture(3, "WEBP"),
        "red cat/empty.jpeg": b"",
        "red cat/notes.md": b"no image",
    }.items():
        files.write(f"{base}/{name}", data)
    return find_shards(base)[0]


def test_each_image_is_a_sample_labelled_by_its_folder(shard, picture):
    samples = list(read(shard, index(shard).table))

    assert [s.key for s in samples] == ["1.jpg", "2.PNG", "deep/3.webp", "empty.jpeg"]
    assert [s.image for s in samples] == [
        picture(1),
        picture(2, "PNG"),
        picture(3, "WEBP"),
        b"",
    ]
    assert [s.extension for s in samples] == ["jpg", "png", "webp", "jpeg"]
    assert [s.fault for s in samples] == [None, None, None, "empty-image"]
    assert {s.fields["label"] for s in samples} == {"red cat"}
    assert [s.caption for s in samples] == ["a red cat", None, None, None]
    assert samples[0].members == {"txt": b"a red cat\n"}


def test_a_configured_caption_must_lie_beside_the_image(shard):
    samples = list(read(shard, index(shard).table.slice(0, 2), "txt"))

    assert [s.fault for s in samples] == [None, "missing-text"]


def test_images_gone_since_the_index_are_faults_of_their_rows(shard, picture):
    table = index(shard).table
    files.remove(f"{shard.uri}/1.jpg")

    samples = list(read(shard, table.slice(0, 2)))

    assert [(s.image, s.fault) for s in samples] == [
        (None, "unreadable"),
        (picture(2, "PNG"), None),
    ]


def test_an_image_too_large_is_not_read(shard, monkeypatch):
    monkeypatch.setattr("pipeline.shards.folder.MAX_MEMBER_BYTES", 1)

    samples = list(read(shard, index(shard).table))

    assert [s.fault for s in samples] == ["member-too-large"] * 3 + ["empty-image"]
    assert samples[0].image is None
