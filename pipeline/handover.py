"""`winnow submit`: hand a job to a cluster, show what it writes there, and say how it ended."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.complaint import complain
from pipeline.engine.ray_jobs import Command, Ended, JobServer, Submitted
from pipeline.options import RecipeFile, WorkspaceUri
from pipeline.recipe import load_recipe
from pipeline.submit import Job, Travel

INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell tells it."""


def submit(  # noqa: PLR0913  (one parameter per option)
    context: typer.Context,
    recipe: RecipeFile,
    address: Annotated[
        str, typer.Option(envvar="RAY_API_SERVER_ADDRESS", help="Job server: http://HEAD:8265.")
    ],
    workspace: WorkspaceUri,
    output: Annotated[str | None, typer.Option(help="Folder of what is published.")] = None,
    job: Annotated[str, typer.Option(help="`curate`, `nightly` or `embed`.")] = "curate",
    night: Annotated[str | None, typer.Option(help="Runs once per name; default today.")] = None,
    working_dir: Annotated[str, typer.Option(help="Folder that travels along.")] = ".",
    env: Annotated[list[str] | None, typer.Option(help="Variable to hand on, by name.")] = None,
    pip: Annotated[list[str] | None, typer.Option(help="Requirement to install there.")] = None,
    *,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not follow the job.")] = False,
) -> None:
    """Run a job on a cluster, once; options of the job itself follow after `--`."""
    wanted = Job(
        name=job,
        recipe=recipe,
        workspace=workspace,
        output=output,
        night=night,
        more=context.args,
    )
    travel = Travel(folder=Path(working_dir), variables=env or (), requirements=pip or ())
    command = wanted.command(load_recipe(recipe), travel)
    job_id, ended = hand_over(Console(), JobServer(address), command, is_followed=not no_wait)
    if ended.code:
        complain(f"job {job_id} ended with exit code {ended.code}: {ended.reason}")
    raise typer.Exit(ended.code)


def hand_over(
    console: Console, server: JobServer, command: Command, *, is_followed: bool
) -> tuple[str, Ended]:
    """Submit a command once, follow it if wished, and return its id and how it ended.

    Ctrl-C stops the following, not the job.
    """
    job = server.submit(command)
    tell(console, announcement(job))
    if not is_followed and not job.has_ended:
        tell(console, remedies(server.address, job.id))
        return job.id, Ended(0, "")
    try:
        return job.id, server.follow(job.id, lambda text: show(console, text))
    except KeyboardInterrupt:
        tell(console, f"job {job.id} goes on; {remedies(server.address, job.id)}")
        return job.id, Ended(INTERRUPTED, "it is not followed any longer")


def announcement(job: Submitted) -> str:
    """Return what has become of a submission."""
    if job.is_new:
        return f"submitted job {job.id}"
    if job.has_ended:
        return f"job {job.id} has succeeded before and is not run again; --night NAME runs it anew"
    return f"job {job.id} runs already: following it"


def remedies(address: str, job_id: str) -> str:
    """Return how to come back to a job, and how to stop it."""
    return (
        "submit it again to follow it, or "
        f"ray job logs --follow --address {address} {job_id}; "
        f"to stop it: ray job stop --address {address} {job_id}"
    )


def tell(console: Console, line: str) -> None:
    """Print a line of our own."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def show(console: Console, text: str) -> None:
    """Print what a job wrote, as it wrote it."""
    console.file.write(text)
    console.file.flush()
