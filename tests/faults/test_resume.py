"""What a run finds in its workspace and output: reused where whole, never believed blindly."""

import json
import re
import shutil
from pathlib import Path

import pytest

from pipeline.cli import show
from pipeline.corpus import gather
from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.errors import CurationError, ShardError
from pipeline.recipe import parse_recipe
from tests.conftest import published, untracked


def run_in(folder, recipe, track=untracked):
    return curate(recipe, str(folder / "w"), str(folder / "o"), LocalEngine(), track)


@pytest.fixture(scope="module")
def matched(raw_recipe):
    """A recipe whose run has a file of every kind."""
    return parse_recipe(raw_recipe(cleaners=["match"], policy={"name": "none", "rules": []}))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, matched):
    folder = tmp_path_factory.mktemp("finished")
    run_in(folder, matched)
    return folder


@pytest.fixture
def copy(tmp_path, finished):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def only(folder, pattern):
    """Return the first file that a pattern matches."""
    return min(path for path in folder.glob(pattern) if path.is_file())


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "cut":
        data = data[: len(data) // 2]
    elif how == "bit":
        data[len(data) // 3] ^= 16
    else:
        data = bytearray()
    path.write_bytes(data)


def follow_the_remedy(message):
    """Delete what a message says to delete."""
    assert "delete" in message
    named = Path(re.search(r"(/\S+)", message)[1].rstrip(":"))
    shutil.rmtree(named) if named.is_dir() else named.unlink()


CHAIN = {
    "w/catalog/*.parquet": ["w/steps", "w/states", "o"],
    "w/steps/embed-*/*.parquet": ["w/steps/label-*", "w/steps/match-*", "w/steps/decide-*"],
    "w/steps/label-*/*.parquet": ["w/states/match-*", "w/steps/match-*", "w/steps/decide-*"],
    "w/states/classes-*/state.safetensors": ["w/states/match-*", "w/steps/match-*"],
    "w/states/match-*/state.safetensors": ["w/steps/match-*", "w/steps/decide-*"],
    "w/states/match-*/state.json": ["w/steps/match-*", "w/steps/decide-*"],
    "w/steps/match-*/*.parquet": ["w/steps/decide-*"],
    "w/steps/decide-*/*.parquet": ["w/steps/order-*", "o"],
    "w/steps/order-*/*.parquet": ["o"],
    "w/runs/*/embed.json": [],
    "o/00001.tar": [],
    "o/00001.parquet": ["o/uids.npy"],
    "o/00001_stats.json": [],
    "o/sizes.json": [],
    "o/uids.npy": [],
    "o/ledger/00000.parquet": [],
    "o/manifest.json": [],
}
"""A file of every kind, and what is deleted to have it read again."""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["bit", "cut", "empty"])
@pytest.mark.parametrize("pattern", CHAIN)
def test_a_damaged_file_is_told_or_made_anew_and_never_believed(
    copy, finished, matched, pattern, how
):
    damage(only(copy, pattern), how)
    for made_from_it in [path for each in CHAIN[pattern] for path in copy.glob(each)]:
        shutil.rmtree(made_from_it) if made_from_it.is_dir() else made_from_it.unlink()

    try:
        run_in(copy, matched)
    except CurationError as error:
        follow_the_remedy(str(error))
        run_in(copy, matched)

    assert published(copy / "o") == published(finished / "o")


@pytest.mark.slow
def test_a_table_with_other_rows_is_refused(copy, matched):
    one, other = sorted(copy.glob("w/steps/match-*/*.parquet"))[1:3]
    other.write_bytes(one.read_bytes())
    shutil.rmtree(next(copy.glob("w/steps/decide-*")))

    with pytest.raises(CurationError, match=r"must have \d rows, got \d; delete"):
        run_in(copy, matched)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"source": {"fragment_rows": 9}},
        {"source": {"caption": "json:url"}},
        {"encoder": {"precision": "bf16"}},
        {"cleaners": [{"match": {"rounds": 1}}]},
        {"pack": {"seed": 9}},
        {"pack": {"shard_rows": 5}},
    ],
    ids=str,
)
def test_another_recipe_in_the_same_places_gives_what_it_gives_in_fresh_ones(
    copy, tmp_path_factory, raw_recipe, changes
):
    raw = raw_recipe(cleaners=["match"])
    for key, value in changes.items():
        raw[key] = raw[key] | value if isinstance(value, dict) else value
    recipe = parse_recipe(raw)
    fresh = tmp_path_factory.mktemp("fresh")

    run_in(copy, recipe)
    run_in(fresh, recipe)

    assert published(copy / "o") == published(fresh / "o")


@pytest.mark.slow
def test_other_weights_under_the_same_name_withdraw_what_was_published(
    tmp_path, spec, raw_recipe, encoder_folder
):
    from safetensors.torch import load_file, save_file

    mine = tmp_path / "encoder"
    shutil.copytree(encoder_folder, mine)
    encoder = {"model": f"local-dir:{mine}", "precision": "fp32"}
    recipe = parse_recipe(raw_recipe(cleaners=["match"], encoder=encoder))
    run_in(tmp_path, recipe)
    before = json.loads((tmp_path / "o" / "manifest.json").read_bytes())
    weights = load_file(mine / "open_clip_model.safetensors")
    changed = {name: value * 1.5 for name, value in weights.items()}
    save_file(changed, mine / "open_clip_model.safetensors")

    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path, recipe, stop_in("pack"))
    was_withdrawn = not (tmp_path / "o" / "manifest.json").exists()
    run_in(tmp_path, recipe)
    after = json.loads((tmp_path / "o" / "manifest.json").read_bytes())

    assert was_withdrawn
    assert after["key"] == before["key"]
    assert after["decided"] != before["decided"]


def stop_in(step):
    """Follow a run and end it when a step begins."""
    from contextlib import contextmanager

    @contextmanager
    def track(name, total):
        if name == step:
            raise KeyboardInterrupt
        yield lambda _rows: None

    return track


def change_in(step, change):
    """Follow a run and do something when a step begins."""
    from contextlib import contextmanager

    @contextmanager
    def track(name, total):
        if name == step:
            change()
        yield lambda _rows: None

    return track


@pytest.mark.slow
@pytest.mark.parametrize("step", ["embed", "decide", "pack"])
@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_shard_that_changes_under_its_name_stops_the_run_before_it_publishes(
    tmp_path, make_crawl, raw_recipe, step, change
):
    crawl = make_crawl(tmp_path)
    recipe = parse_recipe(raw_recipe(source={"path": str(crawl.folder), "fragment_rows": 7}))
    shard, other = crawl.folder / "00001.tar", crawl.folder / "00002.tar"

    def replace():
        data = other.read_bytes()
        shard.unlink()
        if change == "replaced":
            shard.write_bytes(data)

    with pytest.raises(ShardError, match=re.escape(str(shard))):
        run_in(tmp_path, recipe, change_in(step, replace))

    assert not (tmp_path / "o" / "manifest.json").exists()

    outcome = run_in(tmp_path, recipe)

    fresh = tmp_path / "fresh"
    run_in(fresh, recipe)
    assert outcome.summary.rows == (60 if change == "replaced" else 40)
    assert published(tmp_path / "o") == published(fresh / "o")


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_a_shard_that_was_not_read_again_is_looked_at_before_publishing(
    tmp_path, make_crawl, raw_recipe, change
):
    crawl = make_crawl(tmp_path)
    corpus = gather(parse_recipe(raw_recipe(source={"path": str(crawl.folder)})))
    shard = crawl.folder / "00001.tar"
    corpus.require_unchanged()

    shard.unlink()
    if change == "replaced":
        shard.write_bytes(b"new")

    with pytest.raises(ShardError, match=r"00001\.tar must stay as it was found.*nothing is"):
        corpus.require_unchanged()


@pytest.mark.slow
def test_what_is_reused_is_said(copy, matched):
    outcome = run_in(copy, matched)

    assert show.reused(outcome.timings) == (
        "3 of 3 shards indexed, 60 of 60 rows embedded, 60 of 60 scores, 60 of 60 decisions, "
        "53 of 53 rows packed"
    )


@pytest.mark.slow
def test_a_dry_run_takes_no_lease_and_leaves_the_output_alone(tmp_path, matched):
    curate(matched, str(tmp_path / "w"), str(tmp_path / "o"), LocalEngine(), untracked,
           is_dry_run=True)  # fmt: skip

    assert not (tmp_path / "o").exists()
