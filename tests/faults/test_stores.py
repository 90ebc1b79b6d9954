"""What stores do to a run: full disks, killed writers, replaced shards, secrets in addresses."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import time

import pytest

from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.errors import CurationError, ShardError
from pipeline.recipe import parse_recipe
from pipeline.shards import files
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read
from tests.conftest import published, untracked

DAY = 24 * 3600


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_an_error_that_says_what_to_do_and_leaves_no_part(tiny_disk):
    files.write(str(tiny_disk / "old"), b"old")

    with pytest.raises(ShardError) as caught:
        files.write(str(tiny_disk / "old"), bytes(2 * 2**20))

    assert "cannot write it: OSError; the disk or the quota is full: free some space" in str(
        caught.value
    )
    assert str(caught.value).endswith("it goes on from where it stopped")
    assert os.listdir(tiny_disk) == ["old"]
    assert files.read_bytes(str(tiny_disk / "old")) == b"old"


@pytest.mark.slow
def test_a_run_whose_disk_was_full_goes_on_once_there_is_room(tiny_disk, recipe, curated, tmp_path):
    workspace, output = tiny_disk / "workspace", tmp_path / "output"
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(2**20 - 24 * 4096))

    with pytest.raises(ShardError, match="the disk or the quota is full"):
        curate(recipe, str(workspace), str(output), LocalEngine(), untracked)
    done = set(published(workspace))
    ballast.unlink()
    abandoned = workspace / f".{'a' * 32}.tmp"
    abandoned.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    curate(recipe, str(workspace), str(output), LocalEngine(), untracked)

    assert any("steps" in name for name in done)
    assert not abandoned.exists()
    assert published(output) == published(curated.output)


def test_a_file_size_limit_is_reported_like_a_full_disk(tmp_path):
    code = (
        "import resource, signal\n"
        "from pipeline.shards import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"files.write({str(tmp_path / 'x')!r}, bytes(5000))\n"
    )

    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    ).stderr

    assert "the disk or the quota is full" in told
    assert os.listdir(tmp_path) == []


def test_only_what_killed_writers_left_long_ago_is_tidied_up(tmp_path):
    names = {
        "old": tmp_path / "steps" / f".{'a' * 32}.tmp",
        "fresh": tmp_path / "steps" / f".{'b' * 32}.tmp",
        "foreign": tmp_path / ".notes.tmp",
        "result": tmp_path / "steps" / "x.parquet",
    }
    (tmp_path / "steps").mkdir()
    for name, path in names.items():
        path.write_bytes(b"half")
        age = 0 if name == "fresh" else 2 * DAY
        os.utime(path, (time.time() - age, time.time() - age))

    files.tidy(str(tmp_path))
    files.tidy(str(tmp_path / "absent"))

    assert {name for name, path in names.items() if path.exists()} == {"fresh", "foreign", "result"}


def tar_of(samples):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in samples:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture(params=["memory", "local"])
def base(request, tmp_path):
    if request.param == "local":
        yield str(tmp_path)
        return
    yield f"memory://{tmp_path.name}"
    import fsspec

    fsspec.filesystem("memory").store.clear()


def replaced(base, first, second):
    """Index a shard, replace it, and return the shard, its index and the second content."""
    uri = files.join(base, "00000.tar")
    files.write(uri, tar_of(first))
    (shard,) = find_shards(uri)
    listed = index(shard).table
    time.sleep(0.02)  # the clock of the disk ticks every few milliseconds
    files.write(uri, tar_of(second))
    return shard, listed


@pytest.mark.parametrize("length", [4, 400], ids=["same size", "other size"])
def test_a_shard_that_was_replaced_since_it_was_found_gives_no_rows(length, base):
    shard, listed = replaced(base, [("1.jpg", b"once")], [("1.jpg", b"m" * length)])

    with pytest.raises(ShardError, match=r"00000\.tar must stay as it was .* run the same command"):
        next(read(shard, listed))
    with pytest.raises(ShardError, match=r"00000\.tar must stay as it was found"):
        index(shard)


def test_a_shard_that_is_gone_is_told_from_a_store_that_fails(base):
    uri = files.join(base, "00000.tar")
    files.write(uri, tar_of([("1.jpg", b"once")]))
    (shard,) = find_shards(uri)
    files.remove(uri)

    with pytest.raises(ShardError, match="replaced or removed during the run"):
        index(shard)


def test_a_sidecar_that_appears_or_changes_is_a_change_of_its_shard(base):
    uri = files.join(base, "00000.tar")
    files.write(uri, tar_of([("1.jpg", b"once")]))
    files.write(files.join(base, "00000.parquet"), b"first")
    (shard,) = find_shards(uri)
    listed = index(shard).table
    files.write(files.join(base, "00000.parquet"), b"second")

    with pytest.raises(ShardError, match=r"00000\.parquet must stay as it was found"):
        list(read(shard, listed))


def test_a_picture_of_a_folder_that_became_longer_is_no_row(base):
    files.write(files.join(base, "cat/1.jpg"), b"once")
    (shard,) = find_shards(base)
    listed = index(shard).table
    files.write(files.join(base, "cat/1.jpg"), b"longer than before")

    with pytest.raises(ShardError, match=r"cat/1\.jpg must stay as it was found"):
        list(read(shard, listed))


def fragments(workspace):
    return {path.name for path in workspace.glob("steps/embed-*/*.parquet")}


@pytest.mark.slow
@pytest.mark.parametrize("step", ["embed", "pack"])
def test_a_shard_that_is_replaced_during_a_run_stops_it_and_the_next_run_reads_it_anew(
    step, make_crawl, raw_recipe, tmp_path
):
    crawl = make_crawl(tmp_path / "mine", 2, 15)
    source = {"path": str(crawl.folder), "fragment_rows": 15}
    recipe = parse_recipe(raw_recipe(source=source, classes=str(crawl.classes)))
    workspace, output, anew = (tmp_path / name for name in ("workspace", "output", "anew"))

    def meddle(name, total):
        if name == step:
            shutil.copy(crawl.folder / "00001.tar", crawl.folder / "00000.tar")
        return untracked(name, total)

    with pytest.raises(ShardError, match=r"00000\.tar .*(run the same command again|run again)"):
        curate(recipe, str(workspace), str(output), LocalEngine(), meddle)
    is_published = (output / "manifest.json").exists()
    before = fragments(workspace)
    curate(recipe, str(workspace), str(output), LocalEngine(), untracked)
    curate(recipe, str(anew / "workspace"), str(anew / "output"), LocalEngine(), untracked)

    assert not is_published
    assert len(before) == (0 if step == "embed" else 2)
    assert len(fragments(workspace) - before) == (2 if step == "embed" else 1)
    assert published(output) == published(anew / "output")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://key:hunter2@bucket/night",
        "https://me:hunter2@example.org/00000.tar",
        "https://hunter2@example.org/00000.tar",
        "https://example.org/00000.tar?X-Amz-Signature=hunter2",
        "https://example.org/{00000..00009}.tar?sig=hunter2",
        "s3://plain/a.tar::sftp://me:hun@ter2hunter2@host/x",
    ],
)
def test_an_address_with_a_secret_is_refused_in_words_that_do_not_tell_it(uri):
    with pytest.raises(ShardError, match="must be given without login and query") as source:
        find_shards(uri)
    with pytest.raises(ShardError, match="must be given without login and query") as target:
        files.write(uri, b"x")

    assert "hunter2" not in f"{source.value}{target.value}"


@pytest.mark.parametrize(
    "uri",
    [
        "abfs://container@account.dfs.core.windows.net/night/00000.tar",
        "s3://bucket/a:b/c@d.tar",
        "hdfs://me@namenode:8020/night",
    ],
)
def test_an_address_without_a_secret_is_named_as_it_is(uri):
    assert files.redact(uri) == uri


def test_a_password_that_no_store_could_read_is_not_told_either():
    assert "hunter2" not in files.redact("https://me:hun/hunter2@example.org/x.tar")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["source", "classes", "workspace", "output"])
def test_a_secret_in_any_address_of_a_run_is_in_no_byte_that_it_writes(
    place, raw_recipe, crawl, tmp_path, capfd
):
    secret = "https://me:hunter2@127.0.0.1:9/x.csv"
    raw = raw_recipe()
    if place == "source":
        raw["source"]["path"] = secret
    if place == "classes":
        raw["classes"] = secret
    workspace, output = (
        secret if place == name else str(tmp_path / name) for name in ("workspace", "output")
    )

    with pytest.raises(CurationError, match="must be given without login and query") as caught:
        curate(parse_recipe(raw), workspace, output, LocalEngine(), untracked)

    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert "hunter2" not in str(caught.value)
    assert not [data for data in written if b"hunter2" in data]
    assert "hunter2" not in "".join(capfd.readouterr())
