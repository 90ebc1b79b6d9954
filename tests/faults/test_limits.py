"""How much a run bears: quarantined rows and faulty shards past the recipe's limits end it."""

from collections import Counter

import pytest

from pipeline.contract import Limits
from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.errors import BudgetError, RecipeError
from pipeline.recipe import parse_recipe
from pipeline.store.budget import MIN_ROWS, MIN_SHARDS, Budget


@pytest.fixture
def broken_crawl(tmp_path, make_tar_file, make_picture):
    """Makes a crawl in which some rows of every shard are no pictures."""

    def make(num_shards, num_rows, num_broken):
        for number in range(num_shards):
            samples = {
                f"{number}-{row:03d}": {
                    "jpg": b"404" if row < num_broken else make_picture(row),
                    "txt": b"an oak",
                }
                for row in range(num_rows)
            }
            make_tar_file(tmp_path / "crawl" / f"{number:05d}.tar", samples)
        return tmp_path / "crawl"

    return make


def run(tmp_path, raw_recipe, folder, track, **limits):
    raw = raw_recipe(source={"path": str(folder), "fragment_rows": 20}, limits=limits)
    engine = LocalEngine()
    return curate(parse_recipe(raw), str(tmp_path / "w"), str(tmp_path / "o"), engine, track)


@pytest.mark.slow
def test_a_run_ends_during_embed_once_too_many_rows_are_quarantined(
    tmp_path, broken_crawl, raw_recipe, track
):
    folder = broken_crawl(num_shards=4, num_rows=100, num_broken=60)

    with pytest.raises(BudgetError, match=r"not-an-image 2\d\d; check .* raise limits.quarantined"):
        run(tmp_path, raw_recipe, folder, track)

    committed = list((tmp_path / "w" / "steps").glob("embed-*/*.parquet"))
    assert 0 < len(committed) < 20
    assert not (tmp_path / "o" / "manifest.json").exists()


@pytest.mark.slow
def test_a_higher_limit_lets_the_same_run_go_on(tmp_path, broken_crawl, raw_recipe, track):
    folder = broken_crawl(num_shards=4, num_rows=100, num_broken=60)
    with pytest.raises(BudgetError):
        run(tmp_path, raw_recipe, folder, track)
    kept = set((tmp_path / "w" / "steps").glob("embed-*/*.parquet"))
    times = {path: path.stat().st_mtime_ns for path in kept}

    outcome = run(tmp_path, raw_recipe, folder, track, quarantined=0.6)

    assert outcome.summary.actions == Counter(keep=160, quarantine=240)
    assert {path: path.stat().st_mtime_ns for path in kept} == times


@pytest.mark.slow
def test_rows_that_an_earlier_attempt_has_quarantined_count(
    tmp_path, broken_crawl, raw_recipe, track
):
    folder = broken_crawl(num_shards=4, num_rows=100, num_broken=60)
    run(tmp_path, raw_recipe, folder, track, quarantined=1)
    (tmp_path / "o" / "manifest.json").unlink()

    with pytest.raises(BudgetError, match="240 of 400 rows"):
        run(tmp_path, raw_recipe, folder, track)

    assert not (tmp_path / "o" / "manifest.json").exists()


@pytest.mark.slow
def test_a_handful_of_broken_rows_ends_no_run(tmp_path, broken_crawl, raw_recipe, track):
    folder = broken_crawl(num_shards=1, num_rows=6, num_broken=5)

    outcome = run(tmp_path, raw_recipe, folder, track)

    assert outcome.summary.actions == Counter(keep=1, quarantine=5)


def test_a_share_is_passed_no_sooner_than_it_is_certain():
    budget = Budget(Limits(quarantined=0.25), num_rows=1000)
    budget.count({"not-an-image": 200, "bad-json": 50})

    with pytest.raises(BudgetError, match=r"251 of 1,000 rows .* not-an-image 200, bad-json 51"):
        budget.count({"bad-json": 1})


def test_few_rows_never_pass_a_share():
    budget = Budget(Limits(quarantined=0), num_rows=10**6)
    budget.count({"not-an-image": MIN_ROWS - 1})

    with pytest.raises(BudgetError):
        budget.count({"not-an-image": 1})


def test_downloads_that_the_crawler_has_missed_are_no_fault_of_the_data():
    budget = Budget(Limits(quarantined=0.1), num_rows=1000)

    budget.count({"download-failed": 900})

    with pytest.raises(BudgetError, match="101 of 1,000 rows cannot be used, not-an-image 101"):
        budget.count({"not-an-image": 101})


@pytest.mark.parametrize("num_cut", [MIN_SHARDS - 1, MIN_SHARDS])
def test_too_many_unreadable_shards_end_a_run_before_anything_is_embedded(
    tmp_path, broken_crawl, raw_recipe, track, num_cut
):
    folder = broken_crawl(num_shards=MIN_SHARDS + 1, num_rows=1, num_broken=0)
    for path in sorted(folder.iterdir())[:num_cut]:
        path.write_bytes(b"no tar")

    if num_cut < MIN_SHARDS:
        run(tmp_path, raw_recipe, folder, track)
        return
    with pytest.raises(BudgetError, match="10 of 11 shards are faulty, truncated-shard 10"):
        run(tmp_path, raw_recipe, folder, track)
    assert not list((tmp_path / "w" / "steps").rglob("*.parquet"))


def test_a_step_may_not_stall_before_a_hanging_fragment_was_tried_often_enough(raw_recipe):
    limits = {"tries": 4, "fragment_s": 600, "stall_s": 2400}

    with pytest.raises(RecipeError, match="stall_s 2400 must be more than tries times fragment_s"):
        parse_recipe(raw_recipe(limits=limits))


@pytest.mark.parametrize(
    ("key", "value"),
    [("tries", 0), ("fragment_s", 0), ("fragment_s", float("inf")), ("quarantined", 1.01)],
)
def test_a_limit_out_of_range_is_refused(raw_recipe, key, value):
    with pytest.raises(RecipeError, match=f"limits.{key}|{key}"):
        parse_recipe(raw_recipe(limits={key: value}))


def test_an_unknown_limit_is_named_with_the_one_that_was_meant(raw_recipe):
    with pytest.raises(RecipeError, match="limits has no setting 'tri'; did you mean 'tries'"):
        parse_recipe(raw_recipe(limits={"tri": 2}))
