import hashlib
import json
import random
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.local import LocalEngine
from pipeline.shards import spans, spool
from pipeline.shards.pack import plan
from pipeline.store import catalog as catalogs
from pipeline.store.order import PackSpec, parts, windows
from pipeline.store.packing import pack
from pipeline.store.place import Place
from pipeline.store.workspace import Step

SPEC = PackSpec(shard_rows=10, window_rows=17)


@pytest.fixture
def emitted(decided):
    tables = [decided.step.read(name) for name in decided.catalog.identity]
    rows = pa.concat_tables(tables).to_pylist()
    return sorted(row["key"] for row in rows if row["action"] in ("keep", "relabel"))


def pack_all(run, decided, output, spec=SPEC):
    return pack(run, Place(str(output)), decided.catalog, decided.step, spec, "auto")


def source_keys(samples):
    return [json.loads(members["json"])["source_key"] for members in samples.values()]


counted = st.lists(st.integers(0, 30), max_size=40)


@given(counted, st.integers(1, 60), st.integers(-(2**63), 2**63 - 1))
def test_windows_hold_every_fragment_once_and_every_kept_row_once(counts, window_rows, seed):
    names = [f"f-{number}" for number in range(len(counts))]

    found = windows(names, counts, PackSpec(window_rows=window_rows, seed=seed))

    members = [name for window in found for name in window.fragments]
    bounds = [(window.start, window.stop) for window in found]
    assert sorted(members) == sorted(names)
    assert [b - a for a, b in bounds] == [
        sum(counts[names.index(name)] for name in window.fragments) for window in found
    ]
    assert [a for a, _ in bounds[1:]] == [b for _, b in bounds[:-1]]
    assert all(b - a >= window_rows for a, b in bounds[:-1])


@given(counted, st.integers(1, 60), st.integers(1, 60))
def test_parts_tile_every_shard_and_none_leaves_its_window(counts, window_rows, shard_rows):
    found = windows(list(range(len(counts))), counts, PackSpec(window_rows=window_rows))
    bounds = plan(sum(counts), shard_rows)

    cut = [(window, part) for window in found for part in parts(window, bounds)]

    assert all(window.start <= part.start < part.stop <= window.stop for window, part in cut)
    for number, (start, stop) in enumerate(bounds):
        mine = [part for _, part in cut if part.shard == number]
        assert [row for p in mine for row in range(p.start, p.stop)] == list(range(start, stop))
    assert len({part.name for _, part in cut}) == len(cut)


def test_windows_are_shuffled_by_the_seed():
    names, counts = list(range(50)), [1] * 50
    one, again, other = (
        windows(names, counts, PackSpec(seed=seed, window_rows=5)) for seed in (0, 0, 1)
    )

    assert one == again
    assert one != other
    assert [name for window in one for name in window.fragments] != names


@pytest.mark.parametrize("sizes", [(1, 17), (7, 1), (7, 5), (7, 1000), (1000, 5), (1000, 1000)])
def test_every_kept_row_is_emitted_once(run, decided, emitted, tmp_path, output_samples, sizes):
    spec = PackSpec(shard_rows=sizes[0], window_rows=sizes[1])

    stats = pack_all(run, decided, tmp_path / "out", spec)

    found = output_samples(tmp_path / "out")
    assert sorted(source_keys(found)) == emitted
    assert sum(stat["count"] for stat in stats) == len(emitted)
    assert [stat["number"] for stat in stats] == list(range(len(stats)))


def test_rows_of_different_source_shards_are_mixed(run, decided, tmp_path, output_samples, emitted):
    pack_all(run, decided, tmp_path / "out", PackSpec(shard_rows=1000))

    keys = source_keys(output_samples(tmp_path / "out"))
    assert keys != emitted
    assert len({key.split("-")[0] for key in keys[:12]}) == 3


def test_the_verdict_travels_with_its_own_sample(run, decided, tmp_path, output_samples, crawl):
    pack_all(run, decided, tmp_path / "out")

    for members in output_samples(tmp_path / "out").values():
        fields = json.loads(members["json"])
        original = crawl.members[fields["source_key"]]

        assert bytes.fromhex(fields["winnow"]["uid"]).decode().strip() == fields["source_key"]
        assert members.get("jpg", members.get("png")) == original.get("jpg", original.get("png"))


def test_packing_again_gives_the_same_bytes_with_any_engine(
    run, decided, tmp_path, published_bytes
):
    class Backwards(LocalEngine):
        def each(self, function, items):
            yield from reversed(list(super().each(function, items)))

    pack_all(run, decided, tmp_path / "one")
    run = type(run)(run.id, run.workspace, Backwards(), run.track)
    pack_all(run, decided, tmp_path / "two")

    assert published_bytes(tmp_path / "two") == published_bytes(tmp_path / "one")


def test_the_seed_changes_the_order_and_nothing_else(
    run, decided, tmp_path, output_samples, emitted
):
    orders = []
    for seed in (0, 1, -1):
        output = tmp_path / str(seed)
        pack_all(run, decided, output, PackSpec(shard_rows=1000, seed=seed))
        orders.append(source_keys(output_samples(output)))

    assert [sorted(order) for order in orders] == [emitted] * 3
    assert len(set(map(tuple, orders))) == 3


@pytest.mark.parametrize("lost", [("00001_stats.json",), ("00001.tar",), ("00001.parquet",)])
def test_packing_puts_back_what_was_deleted(run, decided, tmp_path, published_bytes, lost):
    pack_all(run, decided, tmp_path / "out")
    before = published_bytes(tmp_path / "out")
    for name in lost:
        (tmp_path / "out" / name).unlink()

    pack_all(run, decided, tmp_path / "out")

    assert published_bytes(tmp_path / "out") == before


def test_shards_that_are_there_are_not_written_again(run, decided, tmp_path):
    pack_all(run, decided, tmp_path / "out")
    for suffix in (".tar", ".parquet", "_stats.json"):
        (tmp_path / "out" / f"00001{suffix}").unlink()
    tars = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")}

    pack_all(run, decided, tmp_path / "out")

    assert (tmp_path / "out" / "00001.tar").exists()
    assert {path: path.stat().st_mtime_ns for path in tars} == tars


@pytest.mark.parametrize("spec", [PackSpec(shard_rows=10, seed=5), PackSpec(shard_rows=10)])
def test_shards_of_another_plan_are_written_again(run, decided, tmp_path, published_bytes, spec):
    pack_all(run, decided, tmp_path / "out")
    pack_all(run, decided, tmp_path / "out", spec)
    pack_all(run, decided, tmp_path / "fresh", spec)

    assert published_bytes(tmp_path / "out") == published_bytes(tmp_path / "fresh")


def test_shards_of_a_smaller_corpus_are_written_again(run, decided, tmp_path, output_samples):
    fragments = decided.catalog.fragments
    smaller = catalogs.Catalog(fragments[:-5], 40, ())
    pack_all(run, SimpleNamespace(catalog=smaller, step=decided.step), tmp_path / "out")

    pack_all(run, decided, tmp_path / "out")
    pack_all(run, decided, tmp_path / "fresh")

    assert output_samples(tmp_path / "out") == output_samples(tmp_path / "fresh")


@dataclass(frozen=True)
class Counted(Step):
    """A step that counts how often a fragment is read whole."""

    reads: Counter = field(default_factory=Counter)

    def read(self, fragment, columns=None):
        self.reads[fragment] += columns is None
        return super().read(fragment, columns)


def test_a_ledger_is_read_once_however_many_shards_its_window_has(run, decided, tmp_path):
    step = Counted(decided.step.uri, decided.step.key)

    place, spec = Place(str(tmp_path / "out")), PackSpec(shard_rows=2)
    stats = pack(run, place, decided.catalog, step, spec, "auto")

    assert len(stats) > 10
    assert set(step.reads) == set(decided.catalog.identity)
    assert set(step.reads.values()) == {1}


def orders(run):
    return sorted((Path(run.workspace.uri) / "steps").glob("order-*/*.parquet"))


def test_windows_that_are_sorted_are_not_sorted_again(run, decided, tmp_path, published_bytes):
    pack_all(run, decided, tmp_path / "one")
    step = Counted(decided.step.uri, decided.step.key)

    pack_all(run, SimpleNamespace(catalog=decided.catalog, step=step), tmp_path / "two")

    assert step.reads.total() == 0
    assert published_bytes(tmp_path / "two") == published_bytes(tmp_path / "one")


def test_a_window_of_which_a_part_is_missing_is_sorted_again(
    run, decided, tmp_path, published_bytes
):
    pack_all(run, decided, tmp_path / "one")
    before = {path: path.read_bytes() for path in orders(run)}
    for path in orders(run)[::2]:
        path.unlink()

    pack_all(run, decided, tmp_path / "two")

    assert {path: path.read_bytes() for path in orders(run)} == before
    assert published_bytes(tmp_path / "two") == published_bytes(tmp_path / "one")


@pytest.mark.parametrize("sizes", [(1000, 1000), (7, 1000), (7, 5)])
def test_the_order_is_that_of_the_seeded_hash_of_place_and_uid(
    run, decided, tmp_path, output_samples, sizes
):
    spec = PackSpec(shard_rows=sizes[0], window_rows=sizes[1], seed=3)
    pack_all(run, decided, tmp_path / "out", spec)

    names, counts = decided.catalog.identity, []
    tables = {name: emitted_rows(decided.step.read(name)) for name in names}
    counts = [len(tables[name]) for name in names]
    expected = []
    for window in windows(names, counts, spec):
        rows = [row for name in window.fragments for row in tables[name]]
        expected += [row["key"] for row in sorted(rows, key=seeded_hash)]
    assert source_keys(output_samples(tmp_path / "out")) == expected


def emitted_rows(table):
    return [row for row in table.to_pylist() if row["action"] in ("keep", "relabel")]


def seeded_hash(row, seed=3):
    place = f"{row['shard']}:{row['row']}".encode() + row["uid"]
    key = seed.to_bytes(8, "little", signed=True)
    return hashlib.blake2b(place, digest_size=8, key=key).digest()


def test_the_pictures_of_a_shard_are_not_held_in_memory(
    tmp_path, run, make_decided, make_tar_file, monkeypatch
):
    monkeypatch.setattr(spool, "MEMORY_BYTES", 2**20)
    monkeypatch.setattr(spans, "BATCH_BYTES", 2**20)
    picture = random.Random(0).randbytes(2**17)
    samples = {f"{row:04d}": {"jpg": picture, "txt": b"words"} for row in range(240)}
    make_tar_file(tmp_path / "crawl" / "00000.tar", samples)
    decided = make_decided(tmp_path / "crawl", 32)
    tracemalloc.start()
    stats = pack_all(run, decided, tmp_path / "out", PackSpec())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [stat["count"] for stat in stats] == [160]
    assert stats[0]["tar_bytes"] > 160 * 2**17  # 20 MiB
    assert peak < 8 * 2**20
