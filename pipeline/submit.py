"""Describe a job of a recipe for a Ray cluster: what it runs, what travels there, its key."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from pipeline.engine.ray_jobs import Command
from pipeline.errors import RecipeError, did_you_mean
from pipeline.recipe import Recipe
from pipeline.store.nights import require_name
from pipeline.store.workspace import key_of

PUBLISHING = ("curate", "nightly")
"""Jobs that write an output."""
JOBS = (*PUBLISHING, "embed")

STAYS_HERE = (".*/", "/demo-output/", "/demo-workspace/", "/build/", "/dist/", "*.egg-info/")
"""What never travels, beside what `.gitignore` and `.rayignore` name: caches, tools, the demo's."""


@dataclass(frozen=True, kw_only=True)
class Travel:
    """What goes to the cluster with a job."""

    folder: Path = Path()
    """Holds the recipe and its class file; the job's working directory is a copy of it."""
    variables: Sequence[str] = ()
    """Names of environment variables whose values are handed on."""
    requirements: Sequence[str] = ()
    """What pip installs for the job where the cluster's image lacks it."""

    def runtime_env(self) -> dict[str, object]:
        """Return it in Ray's words.

        Raises
        ------
        RecipeError
            If a variable is not set.
        """
        for name in self.variables:
            if name not in os.environ:
                raise RecipeError(f"--env {name} must name a variable that is set here")
        env: dict[str, object] = {
            "working_dir": str(self.folder.resolve()),
            "excludes": list(STAYS_HERE),
            "env_vars": {name: os.environ[name] for name in self.variables},
        }
        return env | ({"pip": list(self.requirements)} if self.requirements else {})


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job of `jobs/` with its options."""

    name: str
    recipe: str
    workspace: str
    output: str | None
    night: str | None = None
    """What the run is called; None = today's date (UTC)."""
    more: Sequence[str] = ()
    """Further options of the job, as they are."""

    def command(self, parsed: Recipe, travel: Travel) -> Command:
        """Return what the cluster is to run.

        Two calls give the same key where job, recipe, options, places and night are the same.

        Raises
        ------
        RecipeError
            If the job, a path or the night is not one that a cluster can work with.
        """
        self.check()
        night = self.night or f"{datetime.now(timezone.utc):%Y-%m-%d}"
        digest = key_of(parsed.to_yaml(), self.workspace, self.output, list(self.more))
        return Command(
            key=f"winnow-{self.name}-{night}-{digest}",
            entrypoint=shlex.join(self.words(parsed, travel.folder)),
            runtime_env=travel.runtime_env(),
            metadata={"job": self.name, "recipe": self.recipe, "night": night},
        )

    def check(self) -> None:
        """Raise a RecipeError if the job, a place or the night is wrong."""
        if self.name not in JOBS:
            hint = did_you_mean(self.name, JOBS)
            raise RecipeError(f"--job {self.name!r} must be one of {', '.join(JOBS)}{hint}")
        if (self.output is not None) != (self.name in PUBLISHING):
            verb = "must be" if self.name in PUBLISHING else "must not be"
            raise RecipeError(f"--output {verb} given for job {self.name}")
        for option, place in (("--workspace", self.workspace), ("--output", self.output)):
            if place is not None and not (place.startswith("/") or "://" in place):
                raise RecipeError(
                    f"{option} {place} must be a URL or an absolute path that every node sees: "
                    "a job runs in a folder that is deleted after it"
                )
        if self.night is not None:
            require_name(self.night)

    def words(self, parsed: Recipe, folder: Path) -> list[str]:
        """Return the command line of the job, in the working directory that travels."""
        words = ["python", "-m", f"jobs.{self.name}", inside(self.recipe, folder, "recipe")]
        if parsed.classes and not ("://" in parsed.classes or parsed.classes.startswith("/")):
            inside(str(folder / parsed.classes), folder, "classes")
        words += ["--workspace", self.workspace]
        words += ["--output", self.output] if self.output else []
        words += ["--night", self.night] if self.night and self.name == "nightly" else []
        return [*words, *self.more]


def inside(path: str, folder: Path, what: str) -> str:
    """Return a file's path relative to the folder that travels, or raise a RecipeError."""
    file, root = Path(path).resolve(), folder.resolve()
    if not file.is_file() or not file.is_relative_to(root):
        raise RecipeError(
            f"{what} {path} must be a file inside {root}, which travels to the cluster; "
            "move it there or set --working-dir"
        )
    return file.relative_to(root).as_posix()
