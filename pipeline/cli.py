"""The command line: `winnow demo | plan | run | status | report | check`."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from pipeline import demo as demo_corpus
from pipeline import show
from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.engine.ray import RayEngine
from pipeline.errors import CurationError, RecipeError
from pipeline.plan import plan as make_plan
from pipeline.progress import track
from pipeline.recipe import Recipe, load_recipe, parse_recipe
from pipeline.shards.check import check as check_output

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
console = Console()

RecipeFile = Annotated[str, typer.Argument(help="Recipe (YAML).")]
Source = Annotated[str | None, typer.Option(help="Shards: glob, braces, folder, any fsspec URL.")]
ClassFile = Annotated[str | None, typer.Option(help="Class file (CSV or YAML).")]
Policy = Annotated[str | None, typer.Option(help="Policy preset: balanced, strict or lenient.")]
WorkspaceUri = Annotated[str, typer.Option(help="Folder of all state; reused by later runs.")]
OutputUri = Annotated[str, typer.Option(help="Folder of what is published.")]
EngineName = Annotated[str, typer.Option(help="`ray` or `local` (this process alone).")]
Address = Annotated[str | None, typer.Option(help="Ray cluster; default RAY_ADDRESS or local.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Decide, but write no output.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any recipe key: `encoder.model=ViT-B-32`.")
]


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
    *,
    dry_run: DryRun = False,
) -> None:
    """Curate a corpus: shards, ledger and report are written into the output."""
    loaded = load_recipe(recipe, overrides(source, classes, policy, settings))
    chosen = make_engine(engine, address)
    outcome = curate(loaded, workspace, output, chosen, track(), is_dry_run=dry_run)
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
    outcome = curate(recipe, workspace, output, make_engine(engine, None), track())
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


def overrides(
    source: str | None, classes: str | None, policy: str | None, settings: list[str] | None
) -> dict[str, Any]:
    """Return the dotted recipe keys that options set."""
    given: dict[str, Any] = {"source.path": source, "classes": classes, "policy": policy}
    chosen = {key: value for key, value in given.items() if value is not None}
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set {setting!r} must be KEY=VALUE")
        chosen[key] = yaml_value(key, value)
    return chosen


def yaml_value(key: str, text: str) -> Any:
    """Return a value as YAML reads it: `3` is a number, `null` is None."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {key}={text} must be YAML: {error.__class__.__name__}") from error


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


def make_engine(name: str, address: str | None) -> RayEngine | LocalEngine:
    """Return the engine of a name."""
    if name not in ("ray", "local"):
        raise typer.BadParameter(f"engine {name!r} must be ray or local")
    return RayEngine(address) if name == "ray" else LocalEngine()


def main() -> None:
    """Run the command line; an error of ours is one line and exit code 2."""
    try:
        app()
    except CurationError as error:
        Console(stderr=True).print(
            f"winnow {version('webwinnow')}: {error}", style="red", markup=False, soft_wrap=True
        )
        sys.exit(2)
