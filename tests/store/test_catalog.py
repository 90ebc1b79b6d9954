import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engine.local import LocalEngine
from pipeline.shards.find import find_shards
from pipeline.store.catalog import build
from pipeline.store.workspace import Workspace

CRAWL_ROWS = 20


def ignore(rows):
    pass


def built(crawl, workspace, fragment_rows=7, progress=ignore):
    shards = find_shards(str(crawl.folder))
    return build(workspace, shards, LocalEngine(), fragment_rows, progress)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "workspace"))


@given(st.integers(1, 50))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_fragments_cover_every_row_once_and_in_order(crawl, workspace, fragment_rows):
    catalog = built(crawl, workspace, fragment_rows)

    covered = [
        (fragment.shard.uri, row)
        for fragment in catalog.fragments
        for row in range(fragment.start, fragment.stop)
    ]
    shards = find_shards(str(crawl.folder))
    assert covered == [(shard.uri, row) for shard in shards for row in range(CRAWL_ROWS)]
    assert catalog.num_rows == crawl.num_rows
    assert max(f.stop - f.start for f in catalog.fragments) <= fragment_rows
    assert len(set(catalog.identity)) == len(catalog.fragments)


def test_fragments_yield_the_samples_of_their_rows(crawl, workspace):
    catalog = built(crawl, workspace)

    samples = [sample for fragment in catalog.fragments for sample in fragment.samples("auto")]

    assert [sample.key for sample in samples] == list(crawl.members)
    assert [sample.row for sample in samples] == [*range(CRAWL_ROWS)] * 3


def test_every_shard_is_indexed_once(crawl, workspace, tmp_path):
    built(crawl, workspace)
    folder = tmp_path / "workspace" / "catalog"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    again = built(crawl, workspace, fragment_rows=5)

    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert len(before) == 3
    assert again.num_rows == crawl.num_rows


def test_progress_counts_known_shards_first(crawl, workspace):
    first, second = [], []

    built(crawl, workspace, progress=first.append)
    built(crawl, workspace, progress=second.append)

    assert first == [0, 1, 1, 1]
    assert second == [3]


def test_a_changed_shard_is_another_shard(tmp_path, make_crawl, workspace):
    crawl = make_crawl(tmp_path)
    before = built(crawl, workspace)
    shard = crawl.folder / "00001.tar"
    data = shard.read_bytes()
    shard.write_bytes(data)
    os.utime(shard, ns=(10**18, 10**18))

    after = built(crawl, workspace)

    kept = set(before.identity) & set(after.identity)
    assert {name.split("-")[0] for name in set(before.identity) - kept} == {
        before.fragments[3].shard.identity
    }
    assert len(kept) == 6
    assert len(list((tmp_path / "workspace" / "catalog").iterdir())) == 4


def test_a_new_shard_is_indexed_alone(tmp_path, make_crawl, workspace):
    crawl = make_crawl(tmp_path)
    late = crawl.folder / "00000.tar"
    late.rename(tmp_path / "late.tar")
    built(crawl, workspace)
    (tmp_path / "late.tar").rename(late)
    progress = []

    catalog = built(crawl, workspace, progress=progress.append)

    assert progress == [2, 1]
    assert catalog.num_rows == crawl.num_rows


def test_names_are_a_function_of_the_shard_and_the_range_alone(crawl, tmp_path):
    one, two = (built(crawl, Workspace(str(tmp_path / name))) for name in ("one", "two"))

    assert one.identity == two.identity


def test_a_shard_that_nobody_can_read_has_a_fault_and_no_rows(tmp_path, make_crawl, workspace):
    crawl = make_crawl(tmp_path)
    (crawl.folder / "00001.tar").write_bytes(b"<html>not found</html>" * 100)
    (crawl.folder / "00002.tar").write_bytes(b"")

    for _ in range(2):  # the second time from the catalog
        catalog = built(crawl, workspace)

        assert catalog.num_rows == CRAWL_ROWS
        assert catalog.faults == (
            (str(crawl.folder / "00001.tar"), "unreadable-shard"),
            (str(crawl.folder / "00002.tar"), "empty-shard"),
        )
