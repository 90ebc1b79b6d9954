import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.local import LocalEngine
from pipeline.errors import ShardError
from pipeline.report.summary import Summary
from pipeline.schema import LEDGER
from pipeline.shards import files
from pipeline.shards.find import find_shards
from pipeline.store import catalog as catalogs
from pipeline.store.publish import (
    PackSpec,
    claim,
    claimable,
    pack,
    publish,
    sweep,
    windows,
    write_ledger,
)

SPEC = PackSpec(shard_rows=10, window_rows=17)


def ledger_row(fragment, sample):
    return {
        "uid": sample.key.encode().ljust(16),
        "key": sample.key,
        "shard": fragment.shard.uri,
        "row": sample.row,
        "extension": sample.extension,
        "action": "quarantine" if sample.fault else ["keep", "relabel", "drop"][sample.row % 3],
        "label": "oak",
        "new_label": None,
        "weight": 1.0,
        "reasons": [],
    }


@pytest.fixture
def decided(run, crawl):
    """A catalog, and a ledger whose rows are kept, relabelled, dropped and quarantined."""
    shards = find_shards(str(crawl.folder))
    catalog = catalogs.build(run.workspace, shards, run.engine, 4, lambda _rows: None)
    step = run.workspace.step("decide", {})
    for fragment in catalog.fragments:
        rows = [ledger_row(fragment, sample) for sample in fragment.samples("auto")]
        step.write(fragment.name, pa.Table.from_pylist(rows, LEDGER))
    return SimpleNamespace(catalog=catalog, step=step)


@pytest.fixture
def emitted(decided):
    tables = [decided.step.read(name) for name in decided.catalog.identity]
    rows = pa.concat_tables(tables).to_pylist()
    return sorted(row["key"] for row in rows if row["action"] in ("keep", "relabel"))


def pack_all(run, decided, output, spec=SPEC):
    return pack(run, str(output), decided.catalog, decided.step, spec, "auto")


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


def test_the_ledger_is_the_decisions_in_source_order(run, decided, tmp_path):
    num_files = write_ledger(run, str(tmp_path), decided.catalog, decided.step)

    tables = [pq.read_table(path) for path in sorted((tmp_path / "ledger").iterdir())]
    expected = pa.concat_tables([decided.step.read(name) for name in decided.catalog.identity])
    assert (num_files, len(tables)) == (1, 1)
    assert tables[0].equals(expected)


@pytest.mark.parametrize(
    "names", [(), ("_winnow",), ("_winnow", "00000.tar"), ("manifest.json", "extra.txt")]
)
def test_an_empty_folder_and_one_of_ours_may_be_written(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"{}")

    claimable(str(tmp_path), [])
    claimable(str(tmp_path / "absent"), [])


@pytest.mark.parametrize("name", ["thesis.docx", "data.parquet", "00000.tar", "sub/photo.jpg"])
def test_a_folder_of_somebody_else_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"precious")

    with pytest.raises(ShardError, match="not empty and was not written by winnow"):
        claimable(str(tmp_path), [])


def test_claiming_withdraws_the_manifest_of_another_run_only(tmp_path):
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"key": "mine"}))

    claim(str(tmp_path), "mine", [])
    assert manifest.exists()

    claim(str(tmp_path), "other", [])
    assert not manifest.exists()


def test_shards_of_a_longer_run_are_swept(tmp_path):
    names = [f"{n:05d}{e}" for n in range(4) for e in (".tar", ".parquet", "_stats.json")]
    others = ["manifest.json", "sizes.json", "notes.txt", "ledger/00000.parquet"]
    for name in [*names, *others, "ledger/00001.parquet", "ledger/00002.parquet"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    sweep(str(tmp_path), 2, 1)

    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*names[:6], *others}


def test_a_folder_in_the_output_is_not_swept(tmp_path):
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "00007.tar").write_bytes(b"precious")

    sweep(str(tmp_path), 2, 1)

    assert (tmp_path / "backup" / "00007.tar").exists()


def test_the_manifest_lists_shards_with_their_hashes(run, decided, tmp_path):
    stats = pack_all(run, decided, tmp_path)
    tables = [decided.step.read(name) for name in decided.catalog.identity]
    ledger = pa.concat_tables(tables)
    captions = pa.array([None] * len(ledger), pa.string())
    summary = Summary.of(ledger.append_column("caption", captions), {})

    publish(run, str(tmp_path), stats, summary, [("a.tar", "empty-shard")], 7)

    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert manifest["key"] == run.id
    assert manifest["rows"] == len(ledger)
    assert manifest["shard_faults"] == {"a.tar": "empty-shard"}
    assert manifest["captions_cut"] == 7
    assert manifest["shards"] == json.loads((tmp_path / "sizes.json").read_bytes())
    assert manifest["hashes"] == {
        f"{stat['number']:05d}.tar": stat["tar_blake2b"] for stat in stats
    }


@pytest.mark.slow
def test_nothing_is_written_after_the_manifest(tmp_path, recipe, track, monkeypatch):
    from pipeline.curate import curate

    written = []
    write = files.write
    monkeypatch.setattr(files, "write", lambda uri, data: (written.append(uri), write(uri, data)))

    curate(recipe, str(tmp_path / "workspace"), str(tmp_path / "out"), LocalEngine(), track)

    assert written[-1] == str(tmp_path / "out" / "manifest.json")
    assert written.count(written[-1]) == 1
