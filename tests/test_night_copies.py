"""Nights whose pictures have come before."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from pipeline.engine.local import LocalEngine
from pipeline.night import nightly
from pipeline.recipe import parse_recipe
from pipeline.store.nights import Nights
from pipeline.store.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def nights(tmp_path, raw_recipe, crawl, track):
    """Curates nights of a source that grows."""
    source = tmp_path / "source"
    source.mkdir()
    raw = raw_recipe(cleaners=["match", "dedup"], policy="deduplicated")
    raw["gates"] = {"keep": [0, 1], "drop": 1}
    raw["source"]["path"] = str(source)
    workspace, output = str(tmp_path / "workspace"), str(tmp_path / "output")

    def night(name, *arrived, engine=None, suffix=""):
        for path in arrived:
            shutil.copy(path, source)
        recipe, place = parse_recipe(raw), (workspace + suffix, output + suffix)
        return nightly(recipe, *place, engine or LocalEngine(), track, name=name).outcome

    night.output, night.workspace = Path(output), workspace
    return night


def packed_again(shard, folder):
    """Return a copy of a tar with other bytes around the same pictures."""
    path = folder / f"again-{shard.name}"
    with tarfile.open(shard) as source, tarfile.open(path, "w") as target:
        for member in source:
            member.mtime += 1
            target.addfile(member, source.extractfile(member))
    return path


def index(output):
    return json.loads((output / "index.json").read_text())


def test_a_crawl_that_comes_again_adds_nothing_and_is_not_stopped(nights, crawl, tmp_path):
    shards = sorted(crawl.folder.glob("*.tar"))
    first = nights("a", *shards[:2])
    before = index(nights.output)

    again = nights("b", *(packed_again(shard, tmp_path) for shard in shards[:2]))

    assert again.summary.rows == first.summary.rows
    assert again.shards == ()
    assert index(nights.output)["rows"] == before["rows"] > 0
    assert index(nights.output)["train_data"] == before["train_data"]
    assert Nights(Workspace(nights.workspace)).find("b").state == "published"


def test_what_is_new_beside_copies_is_kept(nights, crawl, tmp_path):
    shards = sorted(crawl.folder.glob("*.tar"))
    nights("a", shards[0])
    alone = nights("b", shards[1]).summary.actions

    nights("c", packed_again(shards[0], tmp_path), shards[2])
    mixed = Nights(Workspace(nights.workspace)).find("c").actions

    assert alone["keep"] > 0
    assert 0 < mixed["keep"] + mixed.get("relabel", 0) <= 20
    assert mixed["drop"] >= 17


@pytest.mark.ray
def test_nights_on_ray_have_the_bytes_of_nights_in_one_process(nights, crawl, published_bytes):
    import ray

    from pipeline.engine.ray import RayEngine

    ray.shutdown()
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    shards = sorted(crawl.folder.glob("*.tar"))
    try:
        for number, name in enumerate("ab"):
            nights(name, shards[number])
            nights(name, engine=RayEngine(), suffix="-ray")
    finally:
        ray.shutdown()

    for name in "ab":
        expected = published_bytes(nights.output / name)
        assert published_bytes(Path(f"{nights.output}-ray", name)) == expected
    assert index(Path(f"{nights.output}-ray")) == index(nights.output)
