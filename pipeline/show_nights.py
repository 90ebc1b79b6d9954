"""What the commands about nights print."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline import show
from pipeline.night import Tonight
from pipeline.report.text import visible
from pipeline.schema import ACTIONS
from pipeline.store.garbage import Scattered, Waste
from pipeline.store.nights import Night


def tonight(console: Console, made: Tonight, name: str) -> None:
    """Print what became of a night."""
    if made.outcome is not None:
        show.outcome(console, made.outcome)
        say(console, f"night {name} is published; report: {made.outcome.report}")
    elif made.night is not None:
        say(console, f"night {name} was published before: {made.output}")
    else:
        say(console, f"night {name}: nothing new, nothing is published")


def listed(console: Console, nights: Sequence[Night], workspace: str) -> None:
    """Print every night of a workspace."""
    if not nights:
        say(console, f"workspace {workspace} has no nights yet")
        return
    table = Table("night", "state", "shards", "rows", *ACTIONS)
    for night in nights:
        counts = [f"{night.actions.get(action, 0):,}" for action in ACTIONS]
        shards = f"{len(night.shards):,}"
        table.add_row(night.name, night.state, shards, f"{night.num_rows:,}", *counts)
    console.print(table)
    for night in nights:
        for why in night.why:
            say(console, f"{night.name}: {visible(why)}")
        if night.repeated:
            say(console, f"{night.name}: {len(night.repeated):,} shards were taken before")


def waste(
    console: Console, found: Sequence[Waste], spread: Sequence[Scattered], *, is_done: bool
) -> None:
    """Print what can be deleted and compacted, or was."""
    for each in found:
        size = f"{each.num_bytes / 1e6:,.1f} MB, {each.num_files:,} files"
        say(console, f"{visible(each.uri)}: {size}, {each.why}")
    for part in spread:
        told = f"{len(part.fragments):,} files of night {part.night}"
        say(console, f"{visible(part.step)}: {told} into one")
    total, num_files = sum(w.num_bytes for w in found) / 1e6, sum(len(p.fragments) for p in spread)
    verbs = ("deleted", "compacted") if is_done else ("to delete", "to compact; --delete does it")
    say(
        console,
        f"{len(found):,} folders, {total:,.1f} MB {verbs[0]}; {num_files:,} files {verbs[1]}",
    )


def say(console: Console, line: str) -> None:
    """Print a line as it is."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)
