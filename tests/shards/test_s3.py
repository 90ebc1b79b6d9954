"""A round trip through a real S3 client and a local server."""

import json

import pytest

from pipeline.errors import RecipeError, ShardError
from pipeline.shards import files
from pipeline.shards.check import check
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read
from pipeline.shards.listing import list_folder
from pipeline.shards.pack import write_index, write_shard

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def bucket():
    import boto3
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="crawl")
        s3fs.S3FileSystem.clear_instance_cache()
        yield "s3://crawl"
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_shards_are_found_read_packed_and_checked_on_s3(
    bucket, make_tar, make_members, verdicts, picture
):
    base = f"{bucket}/night 1"
    for number in range(2):
        files.write(f"{base}/{number:05d}.tar", make_tar(make_members(5)))

    shards = find_shards(f"{base}/{{00000..00004}}.tar")
    samples = [sample for shard in shards for sample in read(shard, index(shard).table)]
    stats = [
        write_shard(f"{bucket}/out", 0, enumerate(samples[:5]), verdicts(5)),
        write_shard(f"{bucket}/out", 1, enumerate(samples[5:]), verdicts(5)),
    ]
    write_index(f"{bucket}/out", stats)

    assert [shard.uri for shard in shards] == [f"{base}/00000.tar", f"{base}/00001.tar"]
    assert find_shards(base) == find_shards(f"{base}/*.tar") == shards
    assert [s.image for s in samples] == [picture(n) for n in range(5)] * 2
    assert json.loads(files.read_bytes(f"{bucket}/out/sizes.json")) == {
        "00000.tar": 5,
        "00001.tar": 5,
    }
    assert check(f"{bucket}/out", num_workers=2).problems == ()


def test_rows_are_read_in_parts_of_the_object(bucket, make_tar, make_members, picture):
    files.write(f"{bucket}/parts/00000.tar", make_tar(make_members(9)))
    shard = find_shards(f"{bucket}/parts")[0]

    samples = list(read(shard, index(shard).table.take([8, 1])))

    assert [(s.key, s.image) for s in samples] == [("0008", picture(8)), ("0001", picture(1))]


def test_identity_is_the_etag_and_follows_the_content(bucket):
    files.write(f"{bucket}/etag/00000.tar", b"a")
    first = find_shards(f"{bucket}/etag")[0]
    files.write(f"{bucket}/etag/00000.tar", b"a")
    same = find_shards(f"{bucket}/etag")[0]
    files.write(f"{bucket}/etag/00000.tar", b"b")

    assert first == same
    assert find_shards(f"{bucket}/etag")[0].identity != first.identity


def test_what_another_process_writes_is_seen_at_once(bucket):
    import boto3

    assert files.list_files(f"{bucket}/late") == []
    assert not files.exists(f"{bucket}/late/x")
    for name in ("late/", "late/x"):
        boto3.client("s3").put_object(Bucket="crawl", Key=name, Body=b"x")

    assert files.exists(f"{bucket}/late/x")
    assert files.list_files(f"{bucket}/late") == [f"{bucket}/late/x"]
    assert list(list_folder(f"{bucket}/late")[0]) == [f"{bucket}/late/x"]
    boto3.client("s3").delete_object(Bucket="crawl", Key="late/x")
    boto3.client("s3").put_object(Bucket="crawl", Key="late/y", Body=b"y")

    assert list(list_folder(f"{bucket}/late")[0]) == [f"{bucket}/late/y"]
    assert not files.exists(f"{bucket}/late/x")


def test_image_folders_with_folder_markers_on_s3(bucket, picture):
    import boto3

    files.write(f"{bucket}/classes/cat/1.jpg", picture(1))
    files.write(f"{bucket}/classes/dog/2.jpg", picture(2))
    boto3.client("s3").put_object(Bucket="crawl", Key="classes/", Body=b"")
    boto3.client("s3").put_object(Bucket="crawl", Key="classes/dog/", Body=b"")

    shards = find_shards(f"{bucket}/classes/")
    samples = [sample for shard in shards for sample in read(shard, index(shard).table)]

    assert [(s.image, s.fields) for s in samples] == [
        (picture(1), {"label": "cat"}),
        (picture(2), {"label": "dog"}),
    ]


def test_errors_name_the_object_and_no_credentials(bucket):
    with pytest.raises(ShardError, match=r"s3://crawl/absent: cannot read it: FileNotFound") as e:
        files.read_bytes(f"{bucket}/absent")
    with pytest.raises(RecipeError, match="got none"):
        find_shards(f"{bucket}/absent/*.tar")

    assert "hunter2" not in str(e.value)


def test_an_object_is_created_once_and_never_replaced(bucket):
    uri = f"{bucket}/leases/run.json"

    first, second = files.create(uri, b"first"), files.create(uri, b"second")

    assert (first, second) == (True, False)
    assert files.read_bytes(uri) == b"first"
