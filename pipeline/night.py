"""A night: curate what has arrived since the last one, and publish it unless a gate forbids.

The whole way of a night top to bottom; the way of its rows is `curate.judge` and `curate.emit`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from pipeline.contract import Engine
from pipeline.corpus import Corpus, gather
from pipeline.curate import Judged, Outcome, about, emit, judge, judge_again, since
from pipeline.errors import GateError
from pipeline.opening import begin
from pipeline.recipe import Recipe
from pipeline.shards import files
from pipeline.shards.manifest import REPORT
from pipeline.store.fence import Fence
from pipeline.store.generations import announce, place_of
from pipeline.store.history import learned, published
from pipeline.store.label import Labeller
from pipeline.store.lease import LEASE_S, hold
from pipeline.store.nights import Kept, Night, Nights, Replaces, require_name
from pipeline.store.pages import write_report
from pipeline.store.profiles import look, profile
from pipeline.store.publish import claimable
from pipeline.store.run import Run, Track, observed
from pipeline.store.workspace import Step, Workspace


@dataclass(frozen=True)
class Tonight:
    """What became of a night."""

    night: Night | None
    """None where nothing was new."""
    outcome: Outcome | None
    """What was curated; None where there was nothing to do."""
    output: str
    """Folder of the night."""


def nightly(  # noqa: PLR0913  (where to work, and how)
    recipe: Recipe,
    workspace: str,
    output: str,
    engine: Engine,
    track: Track,
    *,
    name: str,
    rescore: Replaces = "",
    override: str | None = None,
    lease_s: float = LEASE_S,
) -> Tonight:
    """Curate what no night before has taken, and publish it as a generation of its own.

    The same call after a crash continues the night with the shards that it began with. Rows of
    earlier nights keep their decisions.

    Parameters
    ----------
    recipe
        What to do; its source is where the crawler writes.
    workspace, output
        Folders on any fsspec store: all state, and the generations of all nights.
    engine
        Where the work is done.
    track
        Shows the progress of a step.
    name
        Of the night, and of its folder in the output.
    rescore
        `scores`: curate all shards of all nights anew, and new ones with them; `decisions`: decide
        anew about all rows from the scores that they have. The night then stands for all; vectors
        are never computed again.
    override
        Why the night is published whatever the gates say; it is written down.
    lease_s
        Seconds without a sign of life after which another run may take the output over.

    Raises
    ------
    GateError
        If the night must not be published; all that was found is kept.
    CurationError
        If the recipe, a shard or a store is at fault, or another run writes the output.
    """
    require_name(name)
    corpus = gather(recipe)
    run = Run(name, Workspace(workspace), engine.within(recipe.limits), track)
    nights = Nights(run.workspace)
    claimable(output, corpus.shards)
    files.tidy(workspace)
    with (
        hold(run, output, lease_s) as fence,
        observed(run, recipe.name, fence.attempt) as run,
    ):
        # what is new is told by content; the shards of a night never change once it has begun
        night, corpus = begin(run, corpus, nights, blank(recipe, name, replaces=rescore))
        if night.state == "published" or not night.shards:
            announce(output, published(nights.all()))
            return Tonight(night if night.shards else None, None, files.join(output, name))
        made = curate_night(run, recipe, corpus, night, fence, override)
        announce(output, published(nights.all()))
    return Tonight(nights.find(name), made, made.output)


def curate_night(
    run: Run, recipe: Recipe, corpus: Corpus, night: Night, fence: Fence, override: str | None
) -> Outcome:
    """Curate the shards of a night beside the nights before; its record makes it stand."""
    started, nights = datetime.now(timezone.utc), Nights(run.workspace)
    history = [] if night.replaces else published(nights.all())

    # judge: tonight's rows, with what the nights before have taught
    before = learned(nights.all())
    if night.replaces == "decisions":
        judged = judge_again(run, recipe, corpus, before)
    else:
        judged = judge(run, recipe, corpus, [] if night.replaces else before)
    night = described(night, judged)

    # gates: what does not look like the nights before waits for a person
    labeller = Labeller(recipe.source.label, corpus.entries, recipe.source.labels)
    tonight = profile(run, judged.rows, judged.decided, recipe.policy, labeller)
    drift = look(nights, recipe.gates, night, tonight, history)
    why = [violation.message for violation in drift.violations]
    if why and override is None:
        report, told = nights.uri(night.name, REPORT), about(run, recipe, judged, corpus, started)
        write_report(run, report, judged.catalog, judged.summary, told, drift)
        nights.save(night.changed("held", *why))
        raise GateError(refusal(night.name, why, report))

    # emit: a generation of its own
    place = place_of(fence.output, night.name, history)
    with fence.guard():
        sizes = emit(run, recipe, corpus, replace(judged, drift=drift), fence, place, started)
    position = 1 + max(other.position for other in nights.all())
    stands = {"sizes": sizes, "position": position}
    told_why = [*why, *filter(None, [override])]
    fence.check()
    nights.save(night.model_copy(update=stands).changed("published", *told_why))
    return Outcome(
        output=place.uri,
        report=files.join(place.uri, REPORT),
        summary=judged.summary,
        shards=tuple(sizes.values()),
        seconds=since(started),
        timings=tuple(run.timings),
    )


def blank(recipe: Recipe, name: str, *, replaces: Replaces) -> Night:
    """Return a night that has taken nothing yet."""
    return Night(
        name=name,
        recipe=recipe.to_yaml(),
        space="",
        fragment_rows=recipe.source.fragment_rows,
        shards=(),
        replaces=replaces,
    )


def described(night: Night, judged: Judged) -> Night:
    """Return a night with where its rows lie and what was decided."""
    rows = Counter[str]()
    for fragment in judged.catalog.fragments:
        rows[fragment.shard.identity] += fragment.stop - fragment.start
    shards = [s.model_copy(update={"rows": rows[s.identity]}) for s in night.shards]
    made = ((s, columns) for s, columns in judged.rows.steps if isinstance(s, Step))
    steps = tuple(Kept.of(step, columns) for step, columns in made)
    known = {"shards": tuple(shards), "steps": steps, "decided": Kept.of(judged.decided)}
    actions = dict(sorted(judged.summary.actions.items()))
    return night.model_copy(update={**known, "space": judged.space, "actions": actions})


def refusal(name: str, why: Sequence[str], report: str) -> str:
    """Return why a night is not published, and what can be done."""
    return (
        f"night {name} is held: {'; '.join(why)}; its report is {files.redact(report)}; then "
        f'winnow publish {name} --override "REASON" or winnow discard {name} --because "REASON"'
    )
