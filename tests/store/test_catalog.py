import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engine.local import LocalEngine
from pipeline.errors import SchemaError
from pipeline.shards.find import find_shards
from pipeline.store.catalog import GROUP_ROWS, build, rows_of
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


def test_files_of_somebody_else_do_not_count(crawl, workspace, tmp_path):
    before = built(crawl, workspace)
    (tmp_path / "workspace" / "catalog" / "notes.txt").write_text("mine")
    (tmp_path / "workspace" / "catalog" / "a.b.c.parquet").write_bytes(b"")

    assert built(crawl, workspace) == before


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


@given(
    st.integers(1, 60).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))
    ),
    st.integers(1, 70),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_rows_of_a_file_are_those_of_the_whole_table(tmp_path, sizes, group_rows):
    num_rows, one, other = sizes
    start, stop = sorted((one, other))
    table = pa.table(
        {"row": range(num_rows), "list": [[row] * (row % 3) for row in range(num_rows)]}
    )
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=group_rows)

    found = rows_of(str(tmp_path / "rows.parquet"), start, stop)

    assert found.equals(table.slice(start, stop - start))


def test_a_fragment_of_a_long_shard_does_not_read_all_of_its_index(tmp_path):
    num_rows = 400_000
    pq.write_table(
        pa.table({"row": np.random.default_rng(0).permutation(num_rows)}),
        tmp_path / "rows.parquet",
        row_group_size=GROUP_ROWS,
    )
    before = pa.total_allocated_bytes()

    found = rows_of(str(tmp_path / "rows.parquet"), 300_000, 300_100)

    assert len(found) == 100
    assert pa.total_allocated_bytes() - before <= 8 * 2 * GROUP_ROWS


def test_a_file_with_fewer_rows_than_were_indexed_is_refused(tmp_path):
    pq.write_table(pa.table({"row": range(10)}), tmp_path / "rows.parquet")

    with pytest.raises(SchemaError, match="must have 12 rows, got 10"):
        rows_of(str(tmp_path / "rows.parquet"), 8, 12)


def test_a_damaged_index_is_named(crawl, workspace):
    fragment = built(crawl, workspace).fragments[0]
    data = bytearray(Path(fragment.catalog).read_bytes())
    data[20] ^= 1
    Path(fragment.catalog).write_bytes(data)

    with pytest.raises(SchemaError, match=fragment.shard.identity):
        fragment.listed()
