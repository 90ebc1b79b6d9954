"""What the commands about nights print."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pipeline import show
from pipeline.night import Tonight
from pipeline.schema import ACTIONS
from pipeline.store.garbage import Waste
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
    table = Table("night", "state", "shards", "rows", *ACTIONS, "why")
    for night in nights:
        counts = [f"{night.actions.get(action, 0):,}" for action in ACTIONS]
        shards = f"{len(night.shards):,}" + (f" + {len(r)} seen" if (r := night.repeated) else "")
        table.add_row(
            night.name, night.state, shards, f"{night.num_rows:,}", *counts, "; ".join(night.why)
        )
    console.print(table)


def waste(console: Console, found: Sequence[Waste], *, is_deleted: bool) -> None:
    """Print what can be deleted, or was."""
    table = Table("folder", "files", "MB", "why")
    for each in found:
        table.add_row(each.uri, f"{each.num_files:,}", f"{each.num_bytes / 1e6:,.1f}", each.why)
    if found:
        console.print(table)
    total = sum(each.num_bytes for each in found) / 1e6
    verb = "deleted" if is_deleted else "can be deleted with --delete"
    say(console, f"{len(found):,} folders, {total:,.1f} MB {verb}")


def say(console: Console, line: str) -> None:
    """Print a line as it is."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)
