import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine.local import LocalEngine
from pipeline.errors import ShardError
from pipeline.report.summary import Summary
from pipeline.shards import files
from pipeline.store.packing import PackSpec, pack_tiers
from pipeline.store.place import Place
from pipeline.store.publish import Edition, claim, claimable, publish, sweep, write_ledger


def test_the_ledger_is_the_decisions_in_source_order(run, decided, tmp_path):
    num_files = write_ledger(run, str(tmp_path), decided.catalog, decided.step)

    tables = [pq.read_table(path) for path in sorted((tmp_path / "ledger").iterdir())]
    expected = pa.concat_tables([decided.step.read(name) for name in decided.catalog.identity])
    assert (num_files, len(tables)) == (1, 1)
    assert tables[0].equals(expected)


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("_winnow",),
        ("_winnow", "00000.tar"),
        ("manifest.json", "extra.txt"),
        ("_lease/000001.json",),
    ],
)
def test_an_empty_folder_and_one_of_ours_may_be_written(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")

    claimable(str(tmp_path), [])
    claimable(str(tmp_path / "absent"), [])


@pytest.mark.parametrize("name", ["thesis.docx", "data.parquet", "00000.tar", "sub/photo.jpg"])
def test_a_folder_of_somebody_else_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"precious")

    with pytest.raises(ShardError, match="not empty and was not written by winnow"):
        claimable(str(tmp_path), [])


MINE = Edition("mine", "decided so")


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ('{"key": "mine", "decided": "decided so"}', True),
        ('{"key": "mine", "decided": "decided with other weights"}', False),
        ('{"key": "other", "decided": "decided so"}', False),
        ('{"key": "mine"}', False),
        ('{"key": "mine", "deci', False),
        ('["mine"]', False),
        ("", False),
        ("[" * 100_000, False),
    ],
    ids=["same", "other decisions", "other run", "older", "cut", "no manifest", "empty", "deep"],
)
def test_claiming_withdraws_the_manifest_of_any_other_edition(tmp_path, text, stays):
    manifest = tmp_path / "manifest.json"
    manifest.write_text(text)

    claim(str(tmp_path), MINE, [])

    assert manifest.exists() == stays


def test_shards_of_a_longer_run_are_swept(tmp_path):
    names = [f"{n:05d}{e}" for n in range(4) for e in (".tar", ".parquet", "_stats.json")]
    others = ["manifest.json", "sizes.json", "notes.txt", "ledger/00000.parquet"]
    for name in [*names, *others, "ledger/00001.parquet", "ledger/00002.parquet"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    sweep(str(tmp_path), ["00000.tar", "00001.tar"], 1)

    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*names[:6], *others}


def test_shards_of_tiers_are_swept_when_the_output_has_none_any_more(tmp_path):
    for name in ("clean/00000.tar", "relabelled/00001.tar", "00000.tar", "00001.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")

    sweep(str(tmp_path), ["00000.tar", "clean/00001.tar"], 1)

    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"00000.tar"}


def test_a_folder_in_the_output_is_not_swept(tmp_path):
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "00007.tar").write_bytes(b"precious")

    sweep(str(tmp_path), ["00000.tar"], 1)

    assert (tmp_path / "backup" / "00007.tar").exists()


def test_the_manifest_lists_shards_with_their_hashes(run, decided, tmp_path):
    place = Place(str(tmp_path))
    made = pack_tiers(run, place, decided.catalog, decided.step, PackSpec(), "auto")
    tables = [decided.step.read(name) for name in decided.catalog.identity]
    ledger = pa.concat_tables(tables)
    captions = pa.array([None] * len(ledger), pa.string())
    summary = Summary.of(ledger.append_column("caption", captions), {})

    publish(str(tmp_path), MINE, made, summary, [("a.tar", "empty-shard")], 7)

    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert (manifest["key"], manifest["decided"]) == ("mine", "decided so")
    assert manifest["rows"] == len(ledger)
    assert manifest["shard_faults"] == {"a.tar": "empty-shard"}
    assert manifest["captions_cut"] == 7
    assert manifest["shards"] == json.loads((tmp_path / "sizes.json").read_bytes())
    assert manifest["hashes"] == {
        f"{stat['number']:05d}.tar": stat["tar_blake2b"] for stat in made.values()
    }


@pytest.mark.slow
def test_nothing_is_written_after_the_manifest(tmp_path, recipe, track, monkeypatch):
    from pipeline.curate import curate

    written = []
    write = files.write
    is_lease = re.compile(r".*/_lease/\d+\.json").fullmatch
    monkeypatch.setattr(files, "write", lambda uri, data: (written.append(uri), write(uri, data)))

    curate(recipe, str(tmp_path / "workspace"), str(tmp_path / "out"), LocalEngine(), track)

    written = [uri for uri in written if not is_lease(uri)]
    assert written[-1] == str(tmp_path / "out" / "manifest.json")
    assert written.count(written[-1]) == 1
