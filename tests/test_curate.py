import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.errors import RecipeError, ShardError
from pipeline.recipe import parse_recipe
from pipeline.schema import LEDGER


@dataclass(frozen=True, kw_only=True)
class Narrow:
    """Suspects pictures by their width; learns the widest."""

    scale: float = 1.0

    name: ClassVar[str] = "narrow"
    reads: ClassVar[tuple[str, ...]] = ("width",)
    adds: ClassVar[pa.Schema] = pa.schema([("narrow.score", pa.float32())])

    def fit(self, rows):
        return rows.select("width").reduce(lambda t: pc.max(t["width"]).as_py() or 0, max)

    def score(self, state, batch):
        width = batch["width"].to_numpy()
        return pa.table({"narrow.score": (self.scale * (1 - width / state)).astype(np.float32)})

    def dump(self, state):
        return {"widest": np.array([state])}

    def load(self, arrays):
        return int(arrays["widest"][0])


def ledger_of(output):
    return ds.dataset(str(output / "ledger"), format="parquet").to_table()


def run_again(recipe, tmp_path, track, engine=None):
    workspace, output = str(tmp_path / "workspace"), str(tmp_path / "output")
    return curate(recipe, workspace, output, engine or LocalEngine(), track)


def test_the_ledger_has_one_row_per_input_row(curated, crawl):
    ledger = ledger_of(curated.output)

    assert sorted(ledger["key"].to_pylist()) == sorted(crawl.members)
    assert ledger.schema.names == LEDGER.names
    assert [field.type for field in ledger.schema] == [field.type for field in LEDGER]


def test_broken_samples_are_quarantined_with_their_fault(curated, crawl):
    rows = ledger_of(curated.output).to_pylist()
    found = {row["key"]: row["reasons"] for row in rows if row["action"] == "quarantine"}

    assert found == {key: [fault] for key, fault in crawl.faults.items()}
    assert {row["action"] for row in rows} == {"keep", "quarantine"}
    assert {row["weight"] for row in rows if row["action"] == "quarantine"} == {0.0}


def test_labels_are_named_as_in_the_class_file(curated, crawl):
    rows = ledger_of(curated.output).to_pylist()
    kept = [row for row in rows if row["action"] == "keep"]

    assert {row["label"] for row in kept} == {"red panda", "snow goose", "oak"}


def test_every_readable_sample_is_emitted_once_with_its_own_bytes(curated, crawl, output_samples):
    found = output_samples(curated.output)
    by_source = {json.loads(members["json"])["source_key"]: members for members in found.values()}

    assert len(found) == len(by_source)
    assert set(by_source) == set(crawl.members) - set(crawl.faults)
    for key, members in by_source.items():
        original = crawl.members[key]
        assert {name: data for name, data in members.items() if name != "json"} == {
            name: data for name, data in original.items() if name != "json"
        }


def test_source_fields_survive_in_the_json(curated, crawl, output_samples):
    for members in output_samples(curated.output).values():
        fields = json.loads(members["json"])
        original = json.loads(crawl.members[fields["source_key"]]["json"])

        assert {name: fields[name] for name in original} == original
        assert fields["winnow"]["action"] == "keep"


def test_output_keys_are_unique_and_shards_are_equal_in_size(curated):
    sizes = json.loads((curated.output / "sizes.json").read_bytes())
    manifest = json.loads((curated.output / "manifest.json").read_bytes())

    assert manifest["shards"] == sizes
    assert sum(sizes.values()) == manifest["actions"]["keep"] == 53
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert manifest["rows"] == 60


def test_the_outcome_tells_what_the_manifest_tells(curated):
    assert curated.outcome.summary.actions == Counter(keep=53, quarantine=7)
    assert curated.outcome.report == str(curated.output / "report.html")
    assert (curated.output / "report.html").stat().st_size > 1000


@pytest.mark.slow
def test_a_second_run_changes_no_byte_and_embeds_nothing(
    tmp_path, recipe, track, published_bytes, curated
):
    run_again(recipe, tmp_path, track)
    first = published_bytes(tmp_path / "output")
    embedded = list((tmp_path / "workspace" / "steps").glob("embed-*/*"))
    times = {path: path.stat().st_mtime_ns for path in embedded}

    run_again(recipe, tmp_path, track)

    assert published_bytes(tmp_path / "output") == first
    assert {path: path.stat().st_mtime_ns for path in embedded} == times
    assert len(times) == 9


@pytest.mark.slow
def test_two_workspaces_give_the_same_output(tmp_path, recipe, track, published_bytes, curated):
    run_again(recipe, tmp_path, track)

    assert published_bytes(tmp_path / "output") == published_bytes(curated.output)


def killer(step, reports):
    """Follow a run and end it when a step reports once more than `reports` times."""

    @contextmanager
    def track(name, total):
        calls = []

        def advance(rows):
            calls.append(rows)
            if name == step and len(calls) > reports:
                raise KeyboardInterrupt

        yield advance

    return track


STEPS = ("index", "embed", "fit narrow", "score narrow", "decide", "pack")


@pytest.fixture(scope="session")
def cleaned_recipe(raw_recipe):
    rules = [{"rule": "drop", "reason": "narrow", "column": "narrow.score", "above": 0.9}]
    policy = {"name": "narrow", "rules": rules, "weight": "narrow.score"}
    return parse_recipe(raw_recipe(cleaners=(Narrow(),), policy=policy))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, cleaned_recipe):
    folder = tmp_path_factory.mktemp("undisturbed")

    run_again(cleaned_recipe, folder, killer("never", 0))
    return folder / "output"


@pytest.mark.slow
@pytest.mark.parametrize("moment", [(step, n) for step in STEPS for n in (0, 1)], ids=str)
def test_a_run_that_was_killed_continues_to_the_same_output(
    tmp_path, cleaned_recipe, track, published_bytes, undisturbed, moment
):
    with pytest.raises(KeyboardInterrupt):
        run_again(cleaned_recipe, tmp_path, killer(*moment))
    was_published = (tmp_path / "output" / "manifest.json").exists()
    run_again(cleaned_recipe, tmp_path, track)

    assert not was_published
    assert published_bytes(tmp_path / "output") == published_bytes(undisturbed)


@pytest.mark.slow
def test_a_policy_acts_on_the_columns_of_a_cleaner(undisturbed, crawl):
    rows = ledger_of(undisturbed).to_pylist()
    kept = [row for row in rows if row["action"] == "keep"]
    broken = [row for row in rows if row["action"] == "quarantine"]

    assert len(kept) == 53
    assert {row["weight"] for row in kept} == {1.0}
    assert {row["narrow.score"] for row in kept} == {0.0}
    assert {row["narrow.score"] for row in broken} == {None}


@pytest.mark.slow
def test_another_policy_reuses_every_vector_and_score(tmp_path, raw_recipe, cleaned_recipe, track):
    run_again(cleaned_recipe, tmp_path, track)
    steps = tmp_path / "workspace" / "steps"
    before = set(steps.rglob("*.parquet"))
    rules = [{"rule": "drop", "reason": "narrow", "column": "narrow.score", "above": 0.0}]
    policy = {"name": "all", "rules": rules}

    outcome = run_again(
        parse_recipe(raw_recipe(cleaners=(Narrow(),), policy=policy)), tmp_path, track
    )

    new = {path.parent.name.split("-")[0] for path in set(steps.rglob("*.parquet")) - before}
    assert new == {"decide"}
    assert outcome.summary.actions == Counter(drop=53, quarantine=7)


@pytest.mark.slow
def test_an_output_without_rows_is_published_too(tmp_path, raw_recipe, track):
    rules = [{"rule": "drop", "reason": "narrow", "column": "narrow.score", "above": 0.0}]
    raw = raw_recipe(cleaners=(Narrow(),), policy={"name": "all", "rules": rules})

    run_again(parse_recipe(raw), tmp_path, track)

    manifest = json.loads((tmp_path / "output" / "manifest.json").read_bytes())
    assert manifest["shards"] == {}
    assert manifest["actions"] == {"drop": 53, "quarantine": 7}


@pytest.mark.slow
def test_a_shard_that_arrives_later_joins_the_output(
    tmp_path, make_crawl, raw_recipe, track, output_samples
):
    crawl = make_crawl(tmp_path)
    late = crawl.folder / "00002.tar"
    late.rename(tmp_path / "later.tar")
    source = {"path": str(crawl.folder), "fragment_rows": 7}
    recipe = parse_recipe(raw_recipe(source=source))
    run_again(recipe, tmp_path, track)
    (tmp_path / "later.tar").rename(late)

    run_again(recipe, tmp_path, track)

    found = output_samples(tmp_path / "output").values()
    keys = [json.loads(members["json"])["source_key"] for members in found]
    assert sorted(keys) == sorted(set(crawl.members) - set(crawl.faults))


@pytest.mark.slow
def test_a_changed_class_file_withdraws_the_manifest_before_any_shard_is_rewritten(
    tmp_path, make_crawl, raw_recipe, track
):
    crawl = make_crawl(tmp_path)
    recipe = parse_recipe(raw_recipe(classes=str(crawl.classes)))
    run_again(recipe, tmp_path, track)
    crawl.classes.write_text("name\noak\nsnow goose\nred panda\n")

    with pytest.raises(KeyboardInterrupt):
        run_again(recipe, tmp_path, killer("pack", 1))

    assert not (tmp_path / "output" / "manifest.json").exists()


@pytest.mark.slow
def test_the_source_folder_is_refused_as_the_output(tmp_path, make_crawl, raw_recipe, track):
    crawl = make_crawl(tmp_path)
    before = {path: path.read_bytes() for path in crawl.folder.iterdir()}
    recipe = parse_recipe(raw_recipe(source={"path": str(crawl.folder)}))

    with pytest.raises((RecipeError, ShardError), match=r"output"):
        curate(recipe, str(tmp_path / "w"), str(crawl.folder), LocalEngine(), track)

    assert {path: path.read_bytes() for path in crawl.folder.iterdir()} == before


@pytest.mark.slow
def test_an_output_below_a_folder_named_ledger_keeps_all_its_shards(tmp_path, recipe, track):
    output = tmp_path / "ledger" / "output"

    curate(recipe, str(tmp_path / "workspace"), str(output), LocalEngine(), track)

    manifest = json.loads((output / "manifest.json").read_bytes())
    assert sorted(manifest["shards"]) == sorted(path.name for path in output.glob("*.tar"))


@pytest.mark.parametrize(("key", "option"), [("source.path", "--source"), ("classes", "--classes")])
def test_what_a_run_cannot_do_without_is_asked_for(tmp_path, raw_recipe, track, key, option):
    raw = raw_recipe()
    raw.pop(key.split(".", maxsplit=1)[0])

    with pytest.raises(RecipeError, match=f"no {key}; set it there or give {option}"):
        run_again(parse_recipe(raw), tmp_path, track)


def test_a_corpus_without_samples_is_refused(tmp_path, raw_recipe, track, make_tar_file):
    make_tar_file(tmp_path / "empty" / "00000.tar", {})
    recipe = parse_recipe(raw_recipe(source={"path": str(tmp_path / "empty")}))

    with pytest.raises(RecipeError, match="has no samples in 1 shards: they hold none; check"):
        run_again(recipe, tmp_path, track)


def test_a_corpus_that_nobody_can_read_is_refused_with_the_reason(tmp_path, raw_recipe, track):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "00000.tar").write_bytes(b"no tar at all" * 100)
    recipe = parse_recipe(raw_recipe(source={"path": str(tmp_path / "broken")}))

    with pytest.raises(RecipeError, match=r"1 shards: of \S+/00000\.tar, the file is not of the"):
        run_again(recipe, tmp_path, track)


@pytest.mark.slow
def test_a_cut_shard_gives_its_intact_samples_and_is_named(tmp_path, make_crawl, raw_recipe, track):
    crawl = make_crawl(tmp_path)
    shard = crawl.folder / "00001.tar"
    shard.write_bytes(shard.read_bytes()[:60_000])
    (crawl.folder / "00002.tar").write_bytes(b"")
    recipe = parse_recipe(raw_recipe(source={"path": str(crawl.folder)}))

    outcome = run_again(recipe, tmp_path, track)

    manifest = json.loads((tmp_path / "output" / "manifest.json").read_bytes())
    assert manifest["shard_faults"] == {
        str(shard): "truncated-shard",
        str(crawl.folder / "00002.tar"): "empty-shard",
    }
    assert 20 < outcome.summary.rows < 40


@pytest.mark.slow
def test_half_characters_in_json_do_not_stop_a_run(
    tmp_path, raw_recipe, track, make_tar_file, make_picture
):
    text = b'{"caption": "half \\ud83d", "also": "\\udc00", "label": "oak"}'
    samples = {
        key: {"jpg": make_picture(), "txt": b"an oak", "json": text} for key in ("one", "two")
    }
    make_tar_file(tmp_path / "crawl" / "00000.tar", samples)
    source = {"path": str(tmp_path / "crawl"), "caption": "json:caption"}

    outcome = run_again(parse_recipe(raw_recipe(source=source)), tmp_path, track)

    assert outcome.summary.rows == 2
