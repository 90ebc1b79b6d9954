"""Commands of nights: `winnow nightly | nights | publish | discard | rollback | diff | gc`."""

from datetime import datetime, timezone
from typing import Annotated, cast, get_args

import typer

from pipeline import amend, show, show_nights
from pipeline.errors import RecipeError
from pipeline.night import nightly as curate_night
from pipeline.options import (
    Address,
    ClassFile,
    Cpus,
    EngineName,
    Gpus,
    Lease,
    LogFragments,
    OutputUri,
    Policy,
    RecipeFile,
    Settings,
    Source,
    WorkspaceUri,
    make_engine,
    overrides,
)
from pipeline.progress import track
from pipeline.recipe import load_recipe
from pipeline.store import garbage
from pipeline.store.lease import LEASE_S
from pipeline.store.nights import Nights, Replaces
from pipeline.store.profiles import stored
from pipeline.store.workspace import Workspace
from pipeline.terminal import Terminal

console = Terminal()
NightName = Annotated[str, typer.Argument(help="Name of a night, as `winnow nights` lists it.")]
Because = Annotated[str, typer.Option(help="Why; it is written down.")]


def nightly(  # noqa: PLR0913  (one parameter per option)
    recipe: RecipeFile,
    workspace: WorkspaceUri,
    output: OutputUri,
    night: Annotated[str | None, typer.Option(help="Name of the night; default today.")] = None,
    source: Source = None,
    classes: ClassFile = None,
    policy: Policy = None,
    settings: Settings = None,
    engine: EngineName = "ray",
    address: Address = None,
    gpus: Gpus = 0,
    cpus: Cpus = 0,
    lease: Lease = LEASE_S,
    log_fragments: LogFragments = None,
    *,
    rescore: Annotated[
        str, typer.Option(help="`scores` or `decisions` of all nights are made anew.")
    ] = "",
) -> None:
    """Curate what no night before has taken; exit 3 if a gate forbids to publish it."""
    name = f"{datetime.now(timezone.utc):%Y-%m-%d}" if night is None else night
    loaded = load_recipe(recipe, overrides(source, classes, policy, settings))
    made = curate_night(
        loaded,
        workspace,
        output,
        make_engine(engine, address, gpus, cpus, log_fragments=log_fragments),
        track(),
        name=name,
        rescore=chosen(rescore),
        lease_s=lease,
    )
    show_nights.tonight(console, made, name)


def chosen(rescore: str) -> Replaces:
    """Return what is made anew, or raise a RecipeError."""
    for known in get_args(Replaces):
        if rescore == known:
            return cast("Replaces", known)
    raise RecipeError(f"--rescore {rescore!r} must be scores or decisions")


def nights(workspace: Annotated[str, typer.Argument(help="Workspace of the nights.")]) -> None:
    """List every night: its state, rows and decisions, and why it was held."""
    show_nights.listed(console, Nights(Workspace(workspace)).all(), workspace)


def publish(
    night: NightName,
    workspace: WorkspaceUri,
    output: OutputUri,
    override: Because,
    engine: EngineName = "ray",
    address: Address = None,
) -> None:
    """Publish a night that is held or was withdrawn; the reason is written down."""
    amend.waiting(Nights(Workspace(workspace)), night)  # before a cluster is started for it
    chosen = make_engine(engine, address)
    made = amend.publish(workspace, output, chosen, track(), name=night, because=override)
    show_nights.tonight(console, made, night)


def discard(night: NightName, workspace: WorkspaceUri, output: OutputUri, because: Because) -> None:
    """Decide that a held night is never published; its shards do not come again."""
    amend.discard(workspace, output, track(), name=night, because=because)
    console.print(f"night {night} is discarded", markup=False)


def rollback(
    night: NightName, workspace: WorkspaceUri, output: OutputUri, because: Because
) -> None:
    """Make an earlier night the latest; the nights after it are withdrawn, not deleted."""
    gone = amend.roll_back(workspace, output, track(), name=night, because=because)
    names = ", ".join(night.name for night in gone) or "none"
    console.print(f"night {night} is the latest; withdrawn: {names}", markup=False)


def diff(
    one: NightName,
    other: NightName,
    workspace: WorkspaceUri,
) -> None:
    """Show how two nights differ: volumes, decisions, scores, hosts, classes."""
    kept = Nights(Workspace(workspace))
    profiles = [stored(kept, kept.find(name).name) for name in (one, other)]
    show.diff(console, one, profiles[0], other, profiles[1])


def gc(
    workspace: WorkspaceUri,
    output: OutputUri,
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Do it; else only tell.")] = False,
) -> None:
    """Tell what no night needs any more and what can be compacted; with --delete do it."""
    if delete:
        found, spread = amend.collect(workspace, output, track())
    else:
        found, spread = garbage.find(workspace, output), garbage.scattered(workspace)
    show_nights.waste(console, found, spread, is_done=delete)


COMMANDS = (nightly, nights, publish, discard, rollback, diff, gc)
