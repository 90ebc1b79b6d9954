"""Nights over a crawl of tiny rows with vectors that exist: what each one adds, and what stands."""

import json
import shutil
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow.dataset as ds
import pytest

from jobs.bench.corpus import Corpus, write
from pipeline import amend
from pipeline.cleaners import CLEANERS
from pipeline.cleaners.match import Match
from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.errors import GateError, RecipeError, ShardError
from pipeline.night import nightly
from pipeline.policy.rules import Drop, Policy
from pipeline.recipe import parse_recipe
from pipeline.report.drift import percentage
from pipeline.schema import ACTIONS
from pipeline.shards import files
from pipeline.shards.check import check
from pipeline.store import garbage, states
from pipeline.store.generations import train_data
from pipeline.store.nights import Nights
from pipeline.store.order import PackSpec
from pipeline.store.workspace import Workspace
from tests.faults.flaky import make_bucket, s3_client, s3_server

pytestmark = pytest.mark.slow

SHARDS, ROWS = 6, 300
KINDS = {"shards": ".tar", "image": ".npy", "text": ".npy"}


@pytest.fixture(scope="module")
def crawled(tmp_path_factory):
    """All shards that will ever arrive."""
    folder = tmp_path_factory.mktemp("crawled")
    write(Corpus(folder, SHARDS * ROWS, SHARDS))
    return folder


class Place:
    """A source that grows, a workspace and an output."""

    def __init__(self, crawled: Path, folder: Path, track, **changes) -> None:
        self.crawled, self.folder, self.track = crawled, folder, track
        self.source = folder / "source"
        for kind in KINDS:
            (self.source / kind).mkdir(parents=True)
        for name in ("classes.csv", "classes.npy"):
            shutil.copy(crawled / name, self.source / name)
        self.workspace, self.output = str(folder / "workspace"), str(folder / "output")
        raw = Corpus(self.source, 1, 1).recipe() | {"cleaners": ["match"]} | changes
        raw["source"] = {**raw["source"], "fragment_rows": 128}
        raw["pack"] = {"shard_rows": 100}
        self.recipe = parse_recipe(raw)

    def arrive(self, *numbers: int, under: dict[int, int] | None = None) -> None:
        for number in numbers:
            name = (under or {}).get(number, number)
            for kind, extension in KINDS.items():
                found = self.crawled / kind / f"{number:05d}{extension}"
                shutil.copy2(found, self.source / kind / f"{name:05d}{extension}")

    def night(self, name: str, **options):
        recipe = options.pop("recipe", self.recipe)
        return nightly(
            recipe, self.workspace, self.output, LocalEngine(), self.track, name=name, **options
        )

    def nights(self):
        return {night.name: night for night in Nights(Workspace(self.workspace)).all()}

    def ledger(self, night: str):
        table = ds.dataset(f"{self.output}/{night}/ledger", format="parquet").to_table()
        return {(row["shard"].rpartition("/")[2], row["row"]): row for row in table.to_pylist()}

    def index(self):
        return json.loads(Path(self.output, "index.json").read_text())

    def state(self, night: str, cleaner: str = "match"):
        found = self.nights()[night]
        (step,) = [step for step in found.steps if f"{cleaner}." in step.columns[0]]
        return states.load(f"{self.workspace}/states/{step.name}")


@pytest.fixture
def s3():
    """A bucket of a server that speaks S3 over HTTP."""
    with s3_server() as url, s3_client(url):
        make_bucket("nights", {})
        yield "s3://nights"


@pytest.fixture
def place(crawled, tmp_path, track):
    return Place(crawled, tmp_path, track)


def test_a_night_takes_what_arrived_since_the_last(place):
    place.arrive(0, 1)
    first = place.night("a")
    place.arrive(2)
    second = place.night("b")

    assert first.outcome.summary.rows == 2 * ROWS
    assert second.outcome.summary.rows == ROWS
    assert {shard for shard, _ in place.ledger("b")} == {"00002.tar"}
    assert json.loads(Path(place.output, "latest.json").read_text())["night"] == "b"


def test_a_night_reports_what_its_cleaners_have_learned_from_all_nights(place):
    place.arrive(0, 1)
    place.night("a")
    place.arrive(2)
    place.night("b")
    place.night("c", rescore="decisions")
    told = {name: Path(place.output, name, "report.html").read_text() for name in "abc"}

    for name in "ab":
        rates = Match().load(place.state(name)).evidence.rates
        wrong = 1.0 - float(rates.prior @ np.diag(rates.given))
        assert 'id="learned"' in told[name]
        for share in (wrong, rates.foreign, rates.swapped):
            assert f"<em>{percentage(share)}</em>" in told[name]
    assert 'id="learned"' not in told["c"]  # no cleaner was asked: decisions alone are new


def test_nights_have_the_states_and_decisions_of_one_run_over_all(place, tmp_path, track):
    for name, arrived in (("a", (0, 1)), ("b", (2, 3)), ("c", (4,))):
        place.arrive(*arrived)
        place.night(name)
    whole = str(tmp_path / "whole")
    curate(place.recipe, f"{whole}/workspace", f"{whole}/output", LocalEngine(), track)
    ledger = ds.dataset(f"{whole}/output/ledger", format="parquet").to_table().to_pylist()
    expected = {(row["shard"].rpartition("/")[2], row["row"]): row for row in ledger}
    (folder,) = Path(whole, "workspace", "states").glob("match-*")

    merged, at_once = place.state("c"), states.load(str(folder))

    assert merged.keys() == at_once.keys()
    for name, array in at_once.items():
        if not name.endswith(".faiss"):
            np.testing.assert_allclose(merged[name], array, rtol=1e-3, atol=1e-4, err_msg=name)
    last = place.ledger("c")
    assert len(last) == ROWS
    assert {k: row["action"] for k, row in last.items()} == {k: expected[k]["action"] for k in last}


def test_what_is_searched_in_parts_grows_with_the_nights(crawled, tmp_path, track):
    nearest = {"neighbours": {"bank_rows": 400}}
    place = Place(crawled, tmp_path, track, cleaners=["match", nearest])
    for name, arrived in (("a", (0,)), ("b", (1, 2)), ("c", (3,))):  # 1 part, 4 parts, 4 parts
        place.arrive(*arrived)
        place.night(name)
    whole = str(tmp_path / "whole")
    curate(place.recipe, f"{whole}/workspace", f"{whole}/output", LocalEngine(), track)
    at_once = [states.load(str(f)) for f in Path(whole, "workspace", "states").glob("neigh*-*")]
    merged = place.state("c", "neighbours")

    assert len(at_once) == 4
    (same,) = [state for state in at_once if state["hash"][0] == merged["hash"][0]]
    for name, array in same.items():
        np.testing.assert_array_equal(merged[name], array, err_msg=name)
    found = place.ledger("c")
    assert len(found) == ROWS
    scored = [row["neighbours.rare"] is not None for row in found.values()]
    assert scored == [row["action"] != "quarantine" for row in found.values()]


@pytest.mark.parametrize("store", ["memory", "s3"])
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_nights_lie_on_object_stores_as_on_disks(place, store, request):
    base = f"memory://nights-{uuid4().hex}" if store == "memory" else request.getfixturevalue("s3")
    local = place.workspace, place.output
    for number, name in enumerate("abc"):
        place.arrive(number)
        place.workspace, place.output = local
        place.night(name)
        place.workspace, place.output = f"{base}/workspace", f"{base}/output"
        place.night(name)
    amend.collect(place.workspace, place.output, place.track)

    for path in (path for path in Path(local[1]).rglob("*") if path.is_file()):
        name = path.relative_to(local[1])
        if path.name != "report.html" and "_lease" not in name.parts:
            assert files.read_bytes(f"{place.output}/{name}") == path.read_bytes(), name
    assert place.night("d", rescore="scores").outcome.summary.rows == 3 * ROWS


def test_a_night_without_news_publishes_nothing(place):
    place.arrive(0)
    place.night("a")
    before = place.index()

    made = place.night("b")

    assert made.night is None
    assert made.outcome is None
    assert place.index() == before
    assert set(place.nights()) == {"a"}


def test_the_same_bytes_under_another_name_are_not_taken_again(place):
    place.arrive(0, 1)
    place.night("a")
    place.arrive(1, 2, under={1: 7})

    made = place.night("b")

    assert {shard for shard, _ in place.ledger("b")} == {"00002.tar"}
    assert [shard.uri.rpartition("/")[2] for shard in made.night.repeated] == ["00007.tar"]


def test_of_two_copies_in_one_night_one_is_taken(place):
    place.arrive(0, 1)
    for kind, extension in KINDS.items():
        folder = place.source / kind
        shutil.copy(folder / f"00001{extension}", folder / f"00005{extension}")

    made = place.night("a")

    assert made.outcome.summary.rows == 2 * ROWS
    assert [shard.uri.rpartition("/")[2] for shard in made.night.repeated] == ["00005.tar"]


def test_a_file_that_changed_under_its_name_is_new(place):
    place.arrive(0, 1)
    place.night("a")
    place.arrive(3, under={3: 1})

    place.night("b")

    assert {shard for shard, _ in place.ledger("b")} == {"00001.tar"}
    assert len(place.ledger("b")) == ROWS


def test_shards_and_keys_are_numbered_on_over_all_nights(place):
    for number, name in enumerate("abc"):
        place.arrive(number)
        place.night(name)
    index = place.index()

    tars = [path.name for path in sorted(Path(place.output).glob("*/*.tar"))]
    tables = [
        ds.dataset(str(path)).to_table(columns=["__key__"])
        for path in Path(place.output).glob("*/0*.parquet")
    ]
    keys = [key for table in tables for key in table["__key__"].to_pylist()]

    assert tars == [f"{number:05d}.tar" for number in range(index["shards"])]
    assert len(keys) == len(set(keys)) == index["rows"]
    assert all(check(f"{place.output}/{name}").is_sound for name in "abc")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # OpenCLIP's file
def test_openclip_reads_all_nights_as_one_corpus(place):
    from open_clip_train.data import expand_urls, get_dataset_size

    for number, name in enumerate("abc"):
        place.arrive(number)
        place.night(name)
    source = train_data(place.output, place.index())

    num_samples, num_shards = get_dataset_size(source["all"])

    assert (num_samples, num_shards) == (place.index()["rows"], place.index()["shards"])
    assert all(Path(url).exists() for url in expand_urls(source["all"])[0])


BAD = {"gates": {"min_rows": 10 * ROWS}}


@pytest.fixture
def strict(crawled, tmp_path, track):
    """A place whose gate no night of one shard passes."""
    return Place(crawled, tmp_path, track, **BAD)


def test_a_gate_stops_a_night_before_it_is_published(strict):
    strict.arrive(0)

    with pytest.raises(GateError, match=r"night a is held: .*gates\.min_rows.*winnow publish a"):
        strict.night("a")

    assert not Path(strict.output, "a").exists()
    assert not Path(strict.output, "latest.json").exists()
    assert strict.nights()["a"].state == "held"
    assert Path(strict.workspace, "nights", "a", "report.html").exists()


def test_a_night_that_is_held_does_not_hold_the_next(place):
    place.arrive(0)
    place.night("a")
    place.arrive(1)
    hard = place.recipe.model_copy(update=parse_gates(min_rows=10 * ROWS))
    with pytest.raises(GateError):
        place.night("b", recipe=hard)
    place.arrive(2)

    place.night("c")

    assert {shard for shard, _ in place.ledger("c")} == {"00002.tar"}
    assert [each["night"] for each in place.index()["nights"]] == ["a", "c"]


def parse_gates(**gates):
    from pipeline.drift.gates import Gates

    return {"gates": Gates(**gates)}


def test_a_person_can_publish_a_night_that_is_held_and_the_reason_is_kept(strict):
    strict.arrive(0)
    with pytest.raises(GateError):
        strict.night("a")

    amend.publish(
        strict.workspace, strict.output, LocalEngine(), strict.track, name="a", because="small"
    )

    (entry,) = strict.index()["nights"]
    assert entry["why"][-1] == "small"
    assert "gates.min_rows" in entry["why"][0]
    assert strict.nights()["a"].state == "published"
    assert check(f"{strict.output}/a").is_sound


def test_the_shards_of_a_night_that_was_discarded_do_not_come_again(strict):
    strict.arrive(0)
    with pytest.raises(GateError):
        strict.night("a")

    amend.discard(strict.workspace, strict.output, strict.track, name="a", because="spam")

    assert strict.night("b").outcome is None
    with pytest.raises(RecipeError, match=r"night a is discarded \(.*spam\)"):
        strict.night("a")


def test_going_back_withdraws_the_nights_after_and_they_can_be_published_again(place):
    for number, name in enumerate("abc"):
        place.arrive(number)
        place.night(name)
    files = {path: path.read_bytes() for path in Path(place.output, "c").glob("*.tar")}

    gone = amend.roll_back(place.workspace, place.output, place.track, name="a", because="why not")

    assert [night.name for night in gone] == ["b", "c"]
    assert [each["night"] for each in place.index()["nights"]] == ["a"]
    assert json.loads(Path(place.output, "latest.json").read_text())["night"] == "a"

    for name in "bc":
        amend.publish(
            place.workspace, place.output, LocalEngine(), place.track, name=name, because="again"
        )

    assert [each["night"] for each in place.index()["nights"]] == ["a", "b", "c"]
    assert {path: path.read_bytes() for path in Path(place.output, "c").glob("*.tar")} == files


def test_a_night_that_stands_is_not_curated_again(place):
    place.arrive(0)
    place.night("a")
    Path(place.output, "index.json").unlink()
    place.arrive(1)

    made = place.night("a")

    assert made.outcome is None
    assert place.index()["rows"]
    assert place.nights()["a"].num_rows == ROWS


def test_a_night_that_was_begun_goes_on_with_the_shards_that_it_had(
    place, crawled, tmp_path, track
):
    class KilledError(Exception):
        pass

    def dying(name, total):
        if name == "decide":
            raise KilledError
        return track(name, total)

    place.arrive(0, 1)
    with pytest.raises(KilledError):
        nightly(place.recipe, place.workspace, place.output, LocalEngine(), dying, name="a")
    place.arrive(2)

    place.night("a")

    assert {shard for shard, _ in place.ledger("a")} == {"00000.tar", "00001.tar"}
    assert place.night("b").outcome.summary.rows == ROWS


def test_the_shards_of_a_night_that_never_ended_go_to_the_next(place, track):
    class KilledError(Exception):
        pass

    def dying(name, total):
        if name == "index":
            raise KilledError
        return track(name, total)

    place.arrive(0)
    with pytest.raises(KilledError):
        nightly(place.recipe, place.workspace, place.output, LocalEngine(), dying, name="a")

    place.night("b")

    assert len(place.ledger("b")) == ROWS
    with pytest.raises(RecipeError, match=r"its shards went to night b"):
        place.night("a")


def test_rescoring_curates_every_night_anew_and_embeds_nothing(place):
    for number, name in enumerate("ab"):
        place.arrive(number)
        place.night(name)
    place.arrive(2)
    lenient = parse_recipe({**Corpus(place.source, 1, 1).recipe(), "policy": "lenient"})
    lenient = lenient.model_copy(
        update={"source": place.recipe.source, "cleaners": place.recipe.cleaners}
    )

    made = place.night("c", rescore="scores", recipe=lenient)

    assert made.outcome.summary.rows == 3 * ROWS
    assert [each["night"] for each in place.index()["nights"]] == ["c"]
    assert place.index()["rows"] == made.outcome.summary.actions[
        "keep"
    ] + made.outcome.summary.actions.get("relabel", 0)
    place.arrive(3)
    assert place.night("d").outcome.summary.rows == ROWS
    assert [each["night"] for each in place.index()["nights"]] == ["c", "d"]


def test_the_source_may_forget_what_stands(place):
    place.arrive(0, 1)
    place.night("a")
    for kind, extension in KINDS.items():
        for number in (0, 1):
            (place.source / kind / f"{number:05d}{extension}").unlink()
    place.arrive(2)

    made = place.night("b")

    assert made.outcome.summary.rows == ROWS
    assert [each["night"] for each in place.index()["nights"]] == ["a", "b"]


def test_deciding_anew_keeps_every_score_and_later_nights_go_on(place, track):
    for number, name in enumerate("ab"):
        place.arrive(number)
        place.night(name)
    before = place.ledger("a") | place.ledger("b")
    place.arrive(2)
    rule = Drop(reason="suspect", column="match.label", above=0.5)
    plain = Policy(name="plain", rules=(rule,))
    strict = place.recipe.model_copy(update={"policy": plain})

    place.night("c", rescore="decisions", recipe=strict)

    after = place.ledger("c")
    assert after.keys() == before.keys()
    for name in ("match.label", "match.outlier", "match.caption"):
        assert {k: row[name] for k, row in after.items()} == {
            k: row[name] for k, row in before.items()
        }
    assert {row["action"] for row in before.values()} >= {"keep", "relabel"}
    assert {k: row["action"] for k, row in after.items() if row["action"] != "quarantine"} == {
        k: "drop" if row["match.label"] >= 0.5 else "keep"
        for k, row in before.items()
        if row["action"] != "quarantine"
    }
    assert [each["night"] for each in place.index()["nights"]] == ["c"]

    made = place.night("d", recipe=strict)

    assert made.outcome.summary.rows == ROWS
    assert [each["night"] for each in place.index()["nights"]] == ["c", "d"]
    amend.collect(place.workspace, place.output, place.track)
    place.arrive(3)
    assert place.night("e", recipe=strict).outcome.summary.rows == ROWS


def test_a_night_that_is_held_stays_what_it_was_held_as(place):
    place.arrive(0)
    place.night("a")
    hard = place.recipe.model_copy(update=parse_gates(min_rows=10 * ROWS))
    with pytest.raises(GateError):
        place.night("b", recipe=hard, rescore="scores")

    with pytest.raises(RecipeError, match=r"night b, which is held, was .* --rescore scores"):
        place.night("b")

    place.night("b", rescore="scores")
    assert [each["night"] for each in place.index()["nights"]] == ["b"]
    assert place.index()["nights"][0]["rows"] <= ROWS


def test_deciding_anew_needs_the_scores_that_the_policy_reads(place):
    place.arrive(0)
    place.night("a")
    other = place.recipe.model_copy(
        update={"cleaners": (*place.recipe.cleaners, CLEANERS["probe"]())}
    )

    with pytest.raises(RecipeError, match=r"night a has no probe\.\S+: .* --rescore scores"):
        place.night("b", rescore="decisions", recipe=other)


def test_rescoring_refuses_to_lose_a_shard_that_is_gone(place):
    place.arrive(0, 1)
    place.night("a")
    for kind, extension in KINDS.items():
        (place.source / kind / f"00000{extension}").unlink()

    with pytest.raises(ShardError, match=r"00000\.tar of night a is not there any more"):
        place.night("b", rescore="scores")


def test_other_classes_are_refused_until_all_is_curated_anew(place):
    place.arrive(0)
    place.night("a")
    place.arrive(1)
    names = (place.source / "classes.csv").read_text().replace("thing 03", "other 03")
    (place.source / "classes.csv").write_text(names)

    with pytest.raises(RecipeError, match=r"night a was curated with another .* --rescore"):
        place.night("b")


def test_what_no_night_needs_is_told_first_and_then_deleted(place):
    for number, name in enumerate("abc"):
        place.arrive(number)
        place.night(name)
    amend.roll_back(place.workspace, place.output, place.track, name="b", because="bad")
    amend.discard(place.workspace, place.output, place.track, name="c", because="bad")

    told = garbage.find(place.workspace, place.output)
    found, _ = amend.collect(place.workspace, place.output, place.track)

    assert found == told
    assert f"{place.output}/c" in {waste.uri for waste in found}
    assert not garbage.find(place.workspace, place.output)
    place.arrive(3)
    assert place.night("d").outcome.summary.rows == ROWS
    assert check(f"{place.output}/a").is_sound


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # OpenCLIP's file
def test_tiers_are_sources_of_their_own(place):
    from open_clip_train.data import get_dataset_size

    tiered = place.recipe.model_copy(update={"pack": PackSpec(shard_rows=100, tiers=True)})
    for number, name in enumerate("ab"):
        place.arrive(number)
        place.night(name, recipe=tiered)
    source = train_data(place.output, place.index())
    rows = [row for name in "ab" for row in place.ledger(name).values()]
    counts = {action: sum(row["action"] == action for row in rows) for action in ACTIONS}

    assert counts["relabel"] > 0
    assert {tier: get_dataset_size(source[tier])[0] for tier in source} == {
        "clean": counts["keep"],
        "relabelled": counts["relabel"],
    }
    for name in "ab":
        for tier in ("clean", "relabelled"):
            assert check(f"{place.output}/{name}/{tier}").is_sound
    found = (path for path in Path(place.output).glob("*/*/0*.parquet"))
    paths = [path for path in found if path.parent.name != "ledger"]
    tables = [ds.dataset(str(path)).to_table(columns=["__key__"]) for path in paths]
    keys = [key for table in tables for key in table["__key__"].to_pylist()]
    assert len(keys) == len(set(keys)) == counts["keep"] + counts["relabel"]


def test_steps_of_earlier_nights_are_compacted_and_read_as_before(place):
    for number, name in enumerate("abcd"):
        place.arrive(number)
        place.night(name)
    before = [file for file in Path(place.workspace, "steps").rglob("*") if file.is_file()]

    _, spread = amend.collect(place.workspace, place.output, place.track)

    assert {part.night for part in spread} == {"a", "b"}
    after = [file for file in Path(place.workspace, "steps").rglob("*") if file.is_file()]
    assert len(after) < len(before)
    assert not garbage.scattered(place.workspace)
    made = place.night("e", rescore="scores")
    assert made.outcome.summary.rows == 4 * ROWS
    embedded = next(t for t in made.outcome.timings if t.name == "embed")
    assert embedded.rows == 4 * ROWS
