"""The whole way, top to bottom: read, embed, clean, decide, pack, report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TypeVar

from pipeline.contract import Engine
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.report.page import About, Step
from pipeline.report.summary import Summary
from pipeline.schema import ANSWERED, EARLY, IMAGE, LABEL, SAMPLE, TEXT, is_ledgered
from pipeline.shards import files
from pipeline.shards.find import Shard, find_shards
from pipeline.shards.manifest import REPORT
from pipeline.store import catalog as catalogs
from pipeline.store import embed as embedding
from pipeline.store.answers import load_answers, write_queries
from pipeline.store.attach import attach
from pipeline.store.classes import ClassEntry, embed_classes, load_entries
from pipeline.store.clean import clean
from pipeline.store.label import LABEL_TEXT, Labeller, label_step
from pipeline.store.pages import write_report
from pipeline.store.publish import (
    claim,
    claimable,
    pack,
    publish,
    shard_sizes,
    sweep,
    write_ledger,
)
from pipeline.store.rows import StoredRows
from pipeline.store.run import Run, Track, versions
from pipeline.store.settle import count_cut, settle, summarise
from pipeline.store.workspace import Workspace, key_of

Value = TypeVar("Value")


@dataclass(frozen=True)
class Outcome:
    """What a run has made, or, as a dry run, would make."""

    output: str
    report: str
    summary: Summary
    shards: tuple[int, ...]
    """Rows of each output shard."""
    seconds: float
    is_dry_run: bool = False


def curate(
    recipe: Recipe,
    workspace: str,
    output: str,
    engine: Engine,
    track: Track,
    *,
    is_dry_run: bool = False,
) -> Outcome:
    """Curate the corpus of a recipe.

    Everything that was done before is found in the workspace and reused: after a crash, or with
    another policy, the same call continues where it can.

    Parameters
    ----------
    recipe
        What to do.
    workspace, output
        Folders on any fsspec store: all state, and what is published.
    engine
        Where the work is done.
    track
        Shows the progress of a step: called with its name and its number of rows.
    is_dry_run
        Decide about every row, but write nothing into the output.

    Returns
    -------
    Where the output is and what became of the rows.

    Raises
    ------
    CurationError
        If the recipe, a shard or a store is at fault; the message says what to do.
    """
    started = datetime.now(timezone.utc)
    shards = find_shards(given(recipe.source.path, "source.path", "--source"))
    entries = load_entries(given(recipe.classes, "classes", "--classes"))
    told = load_answers(recipe.source.answers, Labeller(recipe.source.label, entries).find)
    key = key_of(recipe.to_yaml(), entries, told.digest, [shard.identity for shard in shards])
    run = Run(key, Workspace(workspace), engine, track)
    claimable(output, shards)

    # read: index every shard once, cut it into fragments
    catalog = build_catalog(run, recipe, shards)

    # embed: the only expensive step
    spec, caption = recipe.vectors or recipe.encoder, recipe.source.caption
    embedded = embedding.embed_step(run.workspace, spec, caption)
    with run.step("embed", catalog.num_rows, embedded.uri) as advance:
        embedding.run(embedded, catalog, spec, caption, engine, advance)
    classes = embed_classes(run, entries, spec)
    labelled = label_step(run, catalog, embedded, recipe.source.label, entries, told)

    # clean: each cleaner fits once and adds columns
    rows = StoredRows(
        engine,
        classes,
        tuple(catalog.identity),
        (
            (embedded, (*SAMPLE.names, IMAGE, TEXT, EARLY)),
            (labelled, (LABEL, LABEL_TEXT, ANSWERED)),
        ),
    )
    for cleaner in recipe.cleaners:
        rows = clean(run, cleaner, rows, catalog.num_rows)

    # decide: only the policy does
    scores = [f.name for cleaner in recipe.cleaners for f in cleaner.adds if is_ledgered(f)]
    decided = settle(run, rows, recipe.policy, scores, catalog.num_rows)
    summary = summarise(run, decided, embedded, recipe.policy, catalog.identity)
    if is_dry_run:
        sizes = shard_sizes(run, catalog, decided, recipe.pack)
        return Outcome(output, "", summary, sizes, since(started), is_dry_run=True)

    # pack, report, publish: the manifest comes last
    claim(output, key, shards)
    described = attach(decided, rows, recipe.pack.attach)
    stats = pack(run, output, catalog, described, recipe.pack, caption)
    write_queries(run, output, catalog, decided)
    write_report(run, output, catalog, summary, about(run, recipe, catalog, entries, started))
    sweep(output, len(stats), write_ledger(run, output, catalog, decided))
    publish(run, output, stats, summary, catalog.faults, count_cut(run, embedded, catalog.identity))
    return Outcome(
        output=output,
        report=files.join(output, REPORT),
        summary=summary,
        shards=tuple(stat["count"] for stat in stats),
        seconds=since(started),
    )


def build_catalog(run: Run, recipe: Recipe, shards: Sequence[Shard]) -> catalogs.Catalog:
    """Return the fragments of all shards."""
    with run.step("index", len(shards)) as advance:
        catalog = catalogs.build(
            run.workspace, shards, run.engine, recipe.source.fragment_rows, advance
        )
    if not catalog.num_rows:
        raise RecipeError(f"{recipe.source.path} has no samples in {len(shards)} shards")
    return catalog


def since(started: datetime) -> float:
    """Return the seconds since a time."""
    return (datetime.now(timezone.utc) - started).total_seconds()


def about(
    run: Run,
    recipe: Recipe,
    catalog: catalogs.Catalog,
    entries: Sequence[ClassEntry],
    started: datetime,
) -> About:
    """Return what the report says of the run beside the rows."""
    return About(
        title=recipe.name,
        started=started,
        finished=datetime.now(timezone.utc),
        recipe_text=recipe.to_yaml(),
        versions=versions(),
        steps=[Step(t.name, t.rows, t.seconds, t.reused) for t in run.timings],
        shard_faults=catalog.faults,
        thresholds=recipe.policy.thresholds,
        classes=[entry.name for entry in entries],
    )


def given(value: Value | None, key: str, option: str) -> Value:
    """Return a value that a run cannot do without."""
    if value is None:
        raise RecipeError(f"the recipe has no {key}; set it there or give {option}")
    return value
