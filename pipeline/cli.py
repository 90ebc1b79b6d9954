"""The command line: `winnow demo | plan | run | submit | status | report | check`, and nights."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pipeline import demo as demo_corpus
from pipeline import nights, show
from pipeline.complaint import complain
from pipeline.curate import curate
from pipeline.errors import CurationError, GateError
from pipeline.handover import submit
from pipeline.options import (
    Address,
    ClassFile,
    Cpus,
    DryRun,
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
from pipeline.plan import plan as make_plan
from pipeline.progress import track
from pipeline.recipe import Recipe, load_recipe, parse_recipe
from pipeline.shards.check import check as check_output
from pipeline.store.lease import LEASE_S
from pipeline.terminal import Terminal

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
console = Terminal()
app.command(context_settings={"allow_extra_args": True})(submit)


@app.command()
def run(  # noqa: PLR0913  (one parameter per option)
    recipe: RecipeFile,
    workspace: WorkspaceUri,
    output: OutputUri,
    source: Source = None,
    classes: ClassFile = None,
    policy: Policy = None,
    settings: Settings = None,
    engine: EngineName = "ray",
    address: Address = None,
    gpus: Gpus = 0,
    cpus: Cpus = 0,
    lease: Lease = LEASE_S,
    *,
    log_fragments: LogFragments = None,
    dry_run: DryRun = False,
) -> None:
    """Curate a corpus: shards, ledger and report are written into the output."""
    loaded = load_recipe(recipe, overrides(source, classes, policy, settings))
    chosen = make_engine(engine, address, gpus, cpus, log_fragments=log_fragments)
    outcome = curate(loaded, workspace, output, chosen, track(), is_dry_run=dry_run, lease_s=lease)
    show.outcome(console, outcome)


@app.command()
def plan(  # noqa: PLR0913  (one parameter per option)
    recipe: RecipeFile,
    workspace: WorkspaceUri,
    output: OutputUri,
    source: Source = None,
    classes: ClassFile = None,
    policy: Policy = None,
    settings: Settings = None,
) -> None:
    """Check everything that can be checked before a GPU starts, and price the run."""
    loaded = load_recipe(recipe, overrides(source, classes, policy, settings))
    show.plan(console, make_plan(loaded, workspace, output))


@app.command()
def demo(
    workspace: WorkspaceUri = "demo-workspace",
    output: OutputUri = "demo-output",
    engine: EngineName = "ray",
) -> None:
    """Curate the bundled crawl of emoji and tell how many planted faults were found."""
    recipe = demo_recipe()
    outcome = curate(recipe, workspace, output, make_engine(engine), track())
    show.outcome(console, outcome)
    show.found(console, demo_corpus.compare(outcome.output))
    console.print(f"report: {Path(outcome.report).resolve()}", soft_wrap=True)


@app.command()
def status(
    workspace: Annotated[str, typer.Argument(help="Workspace of one or more runs.")],
) -> None:
    """Say how far the runs of a workspace are; works from anywhere, while they run or after."""
    show.status(console, workspace)


@app.command()
def report(output: Annotated[str, typer.Argument(help="Output folder of a run.")]) -> None:
    """Print what became of the rows of a published output, and where its report is."""
    show.published(console, output)


@app.command()
def check(
    output: Annotated[str, typer.Argument(help="Folder of shards.")],
    workers: Annotated[int, typer.Option(help="Data-loading workers of the training job.")] = 1,
    world_size: Annotated[int, typer.Option(help="Processes of the training job.")] = 1,
) -> None:
    """Open the shards by the rules of OpenCLIP's own loader; exit 1 if a problem is found."""
    checked = check_output(output, workers, world_size)
    show.checked(console, checked)
    raise typer.Exit(0 if checked.is_sound else 1)


for about_nights in nights.COMMANDS:
    app.command()(about_nights)


def demo_recipe() -> Recipe:
    """Return the default recipe over the bundled crawl."""
    return parse_recipe(
        {
            "name": "winnow demo",
            "source": {"path": str(demo_corpus.SHARDS), "fragment_rows": 256},
            "classes": str(demo_corpus.CLASSES),
            "pack": {"shard_rows": 500},
        }
    )


def main(command: Callable[..., None] | None = None) -> None:
    """Run the command line, or one command alone; an error of ours is one line and exit code 2.

    A night that does not pass its gates ends with 3.
    """
    try:
        alone(command)() if command else app()
    except CurationError as error:
        complain(str(error))
        sys.exit(3 if isinstance(error, GateError) else 2)


def alone(command: Callable[..., None]) -> typer.Typer:
    """Return a command line of one command, as the entry points in `jobs/` have it."""
    # plain errors: a frame around the last line of a log would hide the reason
    single = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
    )
    single.command()(command)
    return single
