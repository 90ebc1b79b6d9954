"""What people decide about nights: publish one that is held, discard it, go back to an earlier one.

Nothing of that deletes a file; who wants the room back collects the garbage.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline import strict_yaml
from pipeline.contract import Engine
from pipeline.engine.local import LocalEngine
from pipeline.errors import RecipeError
from pipeline.night import Tonight, nightly
from pipeline.recipe import parse_recipe
from pipeline.store import garbage
from pipeline.store.garbage import Scattered, Waste
from pipeline.store.generations import announce
from pipeline.store.history import every, published
from pipeline.store.lease import hold
from pipeline.store.nights import Night, Nights
from pipeline.store.run import Run, Track
from pipeline.store.workspace import Workspace

WAITING = ("held", "withdrawn")
"""Nights that a person may publish or discard."""


def publish(
    workspace: str, output: str, engine: Engine, track: Track, *, name: str, because: str
) -> Tonight:
    """Publish a night that is held or was withdrawn, with the recipe that it was judged by.

    Raises
    ------
    RecipeError
        If the night is in another state.
    """
    night = waiting(Nights(Workspace(workspace)), name)
    recipe = parse_recipe(strict_yaml.load(night.recipe), f"recipe of night {name}")
    return nightly(
        recipe,
        workspace,
        output,
        engine,
        track,
        name=name,
        rescore=night.replaces,
        override=because,
    )


def discard(workspace: str, output: str, track: Track, *, name: str, because: str) -> Night:
    """Decide that a night is never published; its shards do not come again.

    Raises
    ------
    RecipeError
        If the night is neither held nor withdrawn.
    """
    with changing(workspace, output, track, name) as nights:
        night = waiting(nights, name).changed("discarded", because)
        nights.save(night)
    return night


def roll_back(
    workspace: str, output: str, track: Track, *, name: str, because: str
) -> tuple[Night, ...]:
    """Withdraw every night after one that stands, and make that one the latest.

    Raises
    ------
    RecipeError
        If the night does not stand.
    """
    with changing(workspace, output, track, name) as nights:
        standing = every(nights.all())
        names = [night.name for night in standing]
        if name not in names:
            raise RecipeError(
                f"night {name!r} is not one that stands ({', '.join(names) or 'none does'})"
            )
        later = standing[names.index(name) + 1 :]
        for night in reversed(later):
            nights.save(night.changed("withdrawn", because))
    return tuple(later)


def collect(workspace: str, output: str, track: Track) -> tuple[list[Waste], list[Scattered]]:
    """Delete what no night needs any more, compact the steps of earlier ones; return both.

    No night may run meanwhile.

    Raises
    ------
    LeaseError
        If one does.
    """
    run = Run("gc", Workspace(workspace), LocalEngine(), track)
    with hold(run, output) as fence:
        found = garbage.find(workspace, output)
        for waste in found:
            fence.check()
            waste.remove()
        spread = garbage.scattered(workspace)
        for files in spread:
            fence.check()
            files.compact()
    return found, spread


@contextmanager
def changing(workspace: str, output: str, track: Track, name: str) -> Iterator[Nights]:
    """Hold the lease of the output while nights are changed, and write its index after."""
    run = Run(name, Workspace(workspace), LocalEngine(), track)
    nights = Nights(run.workspace)
    nights.find(name)
    with hold(run, output) as fence:
        yield nights
        fence.check()
        announce(output, published(nights.all()))


def waiting(nights: Nights, name: str) -> Night:
    """Return a night that waits for a person, or raise a RecipeError."""
    night = nights.find(name)
    if night.state not in WAITING:
        raise RecipeError(f"night {name} is {night.state}, it must be held or withdrawn")
    return night
