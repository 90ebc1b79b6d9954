"""Options that the commands and the jobs share, and what is made of them."""

import sys
from typing import Annotated, Any

import typer
import yaml

from pipeline import strict_yaml
from pipeline.contract import Engine
from pipeline.engine.local import LocalEngine
from pipeline.errors import RecipeError
from pipeline.policy.presets import PRESETS
from pipeline.store.journal import JournalEngine

RecipeFile = Annotated[str, typer.Argument(help="Recipe (YAML).")]
Source = Annotated[str | None, typer.Option(help="Shards: glob, braces, folder, any fsspec URL.")]
ClassFile = Annotated[str | None, typer.Option(help="Class file (CSV or YAML).")]
Policy = Annotated[str | None, typer.Option(help=f"Policy preset: {', '.join(PRESETS)}.")]
WorkspaceUri = Annotated[str, typer.Option(help="Folder of all state; reused by later runs.")]
OutputUri = Annotated[str, typer.Option(help="Folder of what is published.")]
EngineName = Annotated[str, typer.Option(help="`ray` or `local` (this process alone).")]
Address = Annotated[str | None, typer.Option(help="Ray cluster; default RAY_ADDRESS or local.")]
Gpus = Annotated[int, typer.Option(min=0, help="Have an autoscaler bring so many to embed.")]
Cpus = Annotated[int, typer.Option(min=0, help="Have an autoscaler bring so many to embed.")]
Lease = Annotated[
    float,
    typer.Option(min=0.1, help="Seconds without a sign of life after which others may take over."),
]
LogFragments = Annotated[
    bool | None,
    typer.Option(
        help="A line of JSON for each fragment in the log of its worker; on but for a terminal.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Decide, but write no output.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any recipe key: `encoder.model=ViT-B-32`.")
]


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
        return strict_yaml.load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {key}={text} must be YAML: {error.__class__.__name__}") from error


def make_engine(
    name: str,
    address: str | None = None,
    gpus: int = 0,
    cpus: int = 0,
    *,
    log_fragments: bool | None = False,
) -> Engine:
    """Return the engine of a name.

    With `log_fragments` None it tells of every fragment unless on a terminal.

    Raises
    ------
    RecipeError
        If the address is one of a cluster that is spoken to from outside.
    """
    if name not in ("ray", "local"):
        raise typer.BadParameter(f"engine {name!r} must be ray or local")
    if address and "://" in address:
        raise RecipeError(
            f"--address {address} must be HOST:PORT of a cluster that this machine is a node of; "
            "to reach one from outside: winnow submit --address http://HEAD:8265"
        )
    engine = ray_engine(address, gpus, cpus) if name == "ray" else LocalEngine()
    is_told = not sys.stderr.isatty() if log_fragments is None else log_fragments
    return JournalEngine(engine) if is_told else engine


def ray_engine(address: str | None, gpus: int, cpus: int) -> Engine:
    """Return the engine on Ray, which is imported only where it is asked for."""
    from pipeline.engine.ray import RayEngine

    return RayEngine(address, num_gpus=gpus, num_cpus=cpus)
