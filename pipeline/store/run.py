"""What every step of one run shares: where its state lies, who works, who watches."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from pipeline.contract import Engine
from pipeline.observer import Watched
from pipeline.shards import files
from pipeline.store.workspace import Workspace

Advance = Callable[[int], None]
Track = Callable[[str, int], AbstractContextManager[Advance]]


PACKAGES = ("webwinnow", "ray", "torch", "open-clip-torch", "pyarrow", "faiss-cpu", "numpy")


def versions() -> dict[str, str]:
    """Return the version of every package that has a say in the result."""
    return {package: version(package) for package in PACKAGES}


@dataclass(frozen=True)
class Timing:
    """What one step cost."""

    name: str
    rows: int
    reused: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """One run of one recipe."""

    id: str
    workspace: Workspace
    engine: Engine
    track: Track
    timings: list[Timing] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, rows: int, uri: str = "") -> Iterator[Advance]:
        """Show and time a step, and write into the workspace that it is under way.

        Rows that are reported before any work (the first call) count as reused.
        """
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        begun = {"rows": rows, "uri": uri, "state": "running", "since": since}
        self.note(name, begun)
        done: list[int] = []
        started = time.perf_counter()
        with self.track(name, rows) as advance, self.engine.observer.step(name, rows) as tell:

            def count(more: int) -> None:
                if not done:  # what is committed later tells how fast the step is
                    self.note(name, begun | {"reused": more})
                done.append(more)
                advance(more)
                tell(more)

            yield count
        seconds = time.perf_counter() - started
        reused = done[0] if done else 0
        self.timings.append(Timing(name, rows, reused, seconds))
        said = {"rows": rows, "reused": reused, "uri": uri, "state": "done"}
        self.note(name, said | {"seconds": round(seconds, 3)})

    def note(self, name: str, value: dict[str, Any]) -> None:
        """Write one small file about the run: `runs/<id>/<name>.json`."""
        uri = files.join(self.folder, f"{name}.json")
        files.write(uri, json.dumps(value, indent=1, sort_keys=True, default=str).encode())

    @property
    def folder(self) -> str:
        """Where the notes of the run lie."""
        return files.join(self.workspace.uri, "runs", self.id)


@contextmanager
def observed(run: Run, recipe: str, attempt: int | None = None) -> Iterator[Run]:
    """Have a run watched inside the block, as the engine can: it goes on as the run given back.

    Parameters
    ----------
    run
        The run.
    recipe
        Name of its recipe.
    attempt
        The attempt to write the output; None where none is written.
    """
    engine = run.engine.observed(Watched(run=run.id, recipe=recipe, attempt=attempt))
    try:
        yield replace(run, engine=engine)
    finally:
        engine.observer.ended()
