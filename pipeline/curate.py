"""The whole way, top to bottom: read, embed, clean, decide, pack, report, publish."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from pipeline.contract import Engine
from pipeline.corpus import Corpus, gather
from pipeline.embed.spec import EncoderSpec
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.report.drift import Drift
from pipeline.report.page import About, Step
from pipeline.report.summary import Summary
from pipeline.schema import EARLY, IMAGE, SAMPLE, TEXT, is_ledgered
from pipeline.shards import files
from pipeline.shards.find import Shard
from pipeline.shards.manifest import REPORT
from pipeline.store import catalog as catalogs
from pipeline.store import embed as embedding
from pipeline.store.answers import write_queries
from pipeline.store.attach import attach
from pipeline.store.budget import check_summary
from pipeline.store.classes import embed_classes
from pipeline.store.clean import clean
from pipeline.store.fence import Fence, FencedEngine
from pipeline.store.findings import findings
from pipeline.store.history import after, require_same_space, space_of
from pipeline.store.label import Labeller, label_step
from pipeline.store.lease import LEASE_S, hold
from pipeline.store.nights import Night
from pipeline.store.packing import pack_tiers, shard_sizes
from pipeline.store.pages import write_report
from pipeline.store.patchwork import stitched
from pipeline.store.place import Place
from pipeline.store.publish import Edition, claim, claimable, publish, sweep, write_ledger
from pipeline.store.rows import StoredRows
from pipeline.store.run import Run, Timing, Track, observed, versions
from pipeline.store.settle import count_cut, settle, summarise
from pipeline.store.vectors import VectorSpec
from pipeline.store.workspace import Readable, Workspace
from pipeline.store.workspace import Step as StoredStep


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
    timings: tuple[Timing, ...] = ()
    """What each step has cost, and how much of it was there already."""


@dataclass(frozen=True)
class Judged:
    """A corpus with a decision about every row."""

    catalog: catalogs.Catalog
    embedded: Readable
    rows: StoredRows
    """With the columns of every cleaner."""
    decided: StoredStep
    summary: Summary
    space: str
    """What vectors and labels mean."""
    drift: Drift | None = None
    """How a night differs from the nights before it."""


def curate(  # noqa: PLR0913  (where to work, and how)
    recipe: Recipe,
    workspace: str,
    output: str,
    engine: Engine,
    track: Track,
    *,
    is_dry_run: bool = False,
    lease_s: float = LEASE_S,
) -> Outcome:
    """Curate the corpus of a recipe.

    Everything that was done before is found in the workspace and reused: after a crash, or with
    another policy, the same call continues where it can. Of two calls with one output at the same
    time the second is refused, and takes over if the first one dies.

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
    lease_s
        Seconds without a sign of life after which another run may take the output over.

    Returns
    -------
    Where the output is and what became of the rows.

    Raises
    ------
    CurationError
        If the recipe, a shard or a store is at fault, or another run writes the output; the
        message says what to do.
    """
    started = datetime.now(timezone.utc)
    corpus = gather(recipe)
    bounded = engine.within(recipe.limits)
    run = Run(corpus.key(recipe), Workspace(workspace), bounded, track)
    claimable(output, corpus.shards)
    files.tidy(workspace)
    with (
        nullcontext() if is_dry_run else hold(run, output, lease_s) as fence,
        observed(run, recipe.name, fence.attempt if fence else None) as run,
    ):
        judged = judge(run, recipe, corpus)
        if fence is None:
            sizes = shard_sizes(run, judged.catalog, judged.decided, recipe.pack)
        else:
            with fence.guard():
                made = emit(run, recipe, corpus, judged, fence, Place(output), started)
            sizes = tuple(made.values())
    return Outcome(
        output=output,
        report="" if is_dry_run else files.join(output, REPORT),
        summary=judged.summary,
        shards=sizes,
        seconds=since(started),
        is_dry_run=is_dry_run,
        timings=tuple(run.timings),
    )


def judge(
    run: Run, recipe: Recipe, corpus: Corpus, history: Sequence[Night] | None = None
) -> Judged:
    """Read, embed, clean and decide; everything that is made goes into the workspace.

    With a history the corpus is that of one night: cleaners learn from the nights before as well.
    """
    # read: index every shard once, cut it into fragments
    catalog = build_catalog(run, recipe, corpus.shards)

    # embed: the only expensive step
    given = recipe.vectors and corpus.beside(recipe.vectors, run.workspace)
    spec = given or recipe.encoder
    embedded = embed(run, spec, recipe.source.caption, catalog)
    classes = embed_classes(run, corpus.entries, spec)
    labeller = Labeller(recipe.source.label, corpus.entries, recipe.source.labels)
    labelled = label_step(run, catalog, embedded, labeller, corpus.told)
    rows = StoredRows(
        run.engine,
        classes,
        tuple(catalog.identity),
        (
            (embedded, (*SAMPLE.names, IMAGE, TEXT, EARLY)),
            (labelled, labeller.columns),
        ),
    )
    space = space_of(recipe.vectors or recipe.encoder, classes)
    if history is not None:
        rows = after(run, rows, history, space)

    # clean: each cleaner fits once and adds columns
    for cleaner in recipe.cleaners:
        rows = clean(run, cleaner, rows, catalog.num_rows)

    return decide_all(run, recipe, catalog, rows, space)


def judge_again(run: Run, recipe: Recipe, corpus: Corpus, history: Sequence[Night]) -> Judged:
    """Decide anew about the rows of earlier nights, from the scores that they have."""
    catalog = build_catalog(run, recipe, corpus.shards)
    spec = recipe.vectors or recipe.encoder
    classes = embed_classes(run, corpus.entries, spec)
    space = space_of(spec, classes)
    require_same_space(history, space)
    wanted = [column for cleaner in recipe.cleaners for column in cleaner.adds.names]
    rows = stitched(run, catalog, history, classes, wanted)
    return decide_all(run, recipe, catalog, rows, space)


def decide_all(
    run: Run, recipe: Recipe, catalog: catalogs.Catalog, rows: StoredRows, space: str
) -> Judged:
    """Decide about every row that has its scores."""
    # decide: only the policy does
    scores = [f.name for cleaner in recipe.cleaners for f in cleaner.adds if is_ledgered(f)]
    decided = settle(run, rows, recipe.policy, scores, catalog.num_rows)
    samples = rows.step_of("caption")
    summary = summarise(run, decided, samples, recipe.policy, catalog.identity)
    check_summary(recipe.limits, summary)
    return Judged(catalog, samples, rows, decided, summary, space)


def emit(  # noqa: PLR0913  (what was decided, and where it goes)
    run: Run,
    recipe: Recipe,
    corpus: Corpus,
    judged: Judged,
    fence: Fence,
    place: Place,
    started: datetime,
) -> dict[str, int]:
    """Pack, report and publish; return the rows of each shard.

    Inside of `fence.guard()`: it is asked right before each file of the output is changed, and by
    the tasks as well.
    """
    run = replace(run, engine=FencedEngine(run.engine, fence))
    output, catalog, decided = place.uri, judged.catalog, judged.decided
    edition = Edition(run.id, decided.key)
    corpus.require_unchanged()
    claim(output, edition, corpus.shards)
    files.tidy(output)

    # pack: equal, contiguous, shuffled shards
    described = attach(decided, judged.rows, recipe.pack.attach)
    made = pack_tiers(run, place, catalog, described, recipe.pack, recipe.source.caption)

    # report: what was removed, and why
    write_queries(run, output, catalog, decided)
    told = about(run, recipe, judged, corpus, started)
    report = files.join(output, REPORT)
    write_report(run, report, catalog, judged.summary, told, judged.drift)

    # publish: the ledger, then the manifest, which makes the output valid
    num_ledgers = write_ledger(run, output, catalog, decided)
    sweep(output, made, num_ledgers)
    num_cut = count_cut(run, judged.embedded, catalog.identity)
    corpus.require_unchanged()
    publish(output, edition, made, judged.summary, catalog.faults, num_cut)
    return {tar: int(stat["count"]) for tar, stat in made.items()}


def build_catalog(run: Run, recipe: Recipe, shards: Sequence[Shard]) -> catalogs.Catalog:
    """Return the fragments of all shards."""
    with run.step("index", len(shards)) as advance:
        catalog = catalogs.build(
            run.workspace, shards, run.engine, recipe.source.fragment_rows, advance
        )
    if not catalog.num_rows:
        raise RecipeError(
            f"{recipe.source.path} has no samples in {len(shards)} shards: "
            f"{catalog.emptiness}; check source.path"
        )
    return catalog


def embed(
    run: Run, spec: EncoderSpec | VectorSpec, caption: str | None, catalog: catalogs.Catalog
) -> StoredStep:
    """Embed what is not committed yet, and return the step that holds samples and vectors."""
    embedded = embedding.embed_step(run.workspace, spec, caption)
    with run.step("embed", catalog.num_rows, embedded.uri) as advance:
        embedding.run(embedded, catalog, spec, caption, run.engine, advance)
    return embedded


def since(started: datetime) -> float:
    """Return the seconds since a time."""
    return (datetime.now(timezone.utc) - started).total_seconds()


def about(run: Run, recipe: Recipe, judged: Judged, corpus: Corpus, started: datetime) -> About:
    """Return what the report says of the run beside the rows."""
    return About(
        title=recipe.name,
        started=started,
        finished=datetime.now(timezone.utc),
        recipe_text=recipe.to_yaml(),
        versions=versions(),
        steps=[Step(t.name, t.rows, t.seconds, t.reused) for t in run.timings],
        shard_faults=judged.catalog.faults,
        thresholds=recipe.policy.thresholds,
        classes=[entry.name for entry in corpus.entries],
        findings=findings(run, recipe.cleaners, judged.rows),
    )
