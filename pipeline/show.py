"""What the commands print."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.curate import Outcome
from pipeline.demo import Found
from pipeline.drift.changes import changes
from pipeline.drift.profile import Profile
from pipeline.errors import ShardError
from pipeline.plan import Plan
from pipeline.report.drift import NUM_CHANGES, change_row, percentage
from pipeline.report.text import clip, visible
from pipeline.schema import ACTIONS
from pipeline.shards import files
from pipeline.shards.check import Checked
from pipeline.shards.manifest import MANIFEST, REPORT
from pipeline.store.fence import holder_of
from pipeline.store.generations import ALL, INDEX, train_data
from pipeline.store.lease import NOTE as LEASE_NOTE
from pipeline.store.run import Timing
from pipeline.store.workspace import Step, num_promised

REUSABLE = {
    "index": "shards indexed",
    "embed": "rows embedded",
    "score": "scores",
    "decide": "decisions",
    "pack": "rows packed",
}
"""Steps that a run may find done, by how their names begin, and what they make."""

TOLD = {"rows", "actions", "shards", "shard_faults", "captions_cut"}
"""What is told of a manifest."""


def outcome(console: Console, made: Outcome) -> None:
    """Print the counts of a run and where its output is."""
    rows = max(made.summary.rows, 1)
    table = Table("action", "rows", "share", title=f"{made.summary.rows:,} rows")
    for action in ACTIONS:
        count = made.summary.actions.get(action, 0)
        table.add_row(action, f"{count:,}", f"{count / rows:.1%}")
    console.print(table)
    written = "dry run, not written" if made.is_dry_run else "output"
    shards = f"{len(made.shards)} shards of at most {max(made.shards, default=0):,} rows"
    line = f"{written}: {made.output}, {shards}  ({made.seconds:.1f} s)"
    console.print(line, soft_wrap=True, markup=False)
    if found := reused(made.timings):
        console.print(f"reused: {found}", soft_wrap=True, markup=False)


def reused(timings: Sequence[Timing]) -> str:
    """Return what a run has found done, in few words; empty if nothing."""
    parts = []
    for begin, what in REUSABLE.items():
        chosen = [timing for timing in timings if timing.name.startswith(begin)]
        done = sum(timing.reused for timing in chosen)
        if done:
            parts.append(f"{done:,} of {sum(timing.rows for timing in chosen):,} {what}")
    return ", ".join(parts)


def found(console: Console, groups: list[Found]) -> None:
    """Print how many planted faults were found and what was wrongly removed."""
    table = Table("planted fault", "rows", "kept", "relabelled", "dropped", "quarantined")
    for group in groups:
        name = group.fault or "none (clean)"
        counts = [group.actions.get(action, 0) for action in ACTIONS]
        relabelled = (
            f"{counts[1]} ({group.right} right)" if group.fault == "wrong-label" else str(counts[1])
        )
        table.add_row(name, str(group.rows), str(counts[0]), relabelled, *map(str, counts[2:]))
    console.print(table)


def plan(console: Console, made: Plan) -> None:
    """Print what a run would do."""
    table = Table("what", "", title="plan")
    for name, value in made.lines():
        table.add_row(name, value)
    console.print(table)


def status(console: Console, workspace: str) -> None:
    """Print the steps of every run of a workspace, what is committed, and who writes its output.

    Works while a run goes on: every note is read whole, or not there yet.
    """
    folder = files.join(workspace, "runs")
    notes = [uri for uri in files.list_files(folder) if uri.endswith(".json")]
    if not notes:
        raise ShardError(f"workspace {workspace} holds no run; is the path right?")
    names = ("run", "step", "state", "rows", "fragments committed", "reused", "seconds", "pace")
    table = Table(*names)
    leases = []
    for uri, data in zip(notes, files.read_many(notes), strict=True):
        run, name = uri.rsplit("/", 2)[-2:]
        note = parse_note(data)
        if name == f"{LEASE_NOTE}.json":
            leases.append(lease(note))
        else:
            table.add_row(run, name.removesuffix(".json"), *step(note))
    console.print(table)
    for line in leases:
        console.print(line, soft_wrap=True, markup=False)


def parse_note(data: bytes | None) -> dict[str, Any]:
    """Return a note, empty if it is gone or damaged."""
    try:
        note = json.loads(data or b"")
    except (ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def step(note: dict[str, Any]) -> list[str]:
    """Return the cells of one step: its note, and the fragments that are committed by now."""
    uri = str(note.get("uri", ""))
    done = Step(uri, "").done() if "/steps/" in uri else None
    committed = "" if done is None else f"{len(done):,}"
    shown = [note.get(key, "") for key in ("state", "rows", "reused", "seconds")]
    state, *cells = (f"{value:,}" if isinstance(value, int) else str(value) for value in shown)
    return [state or "illegible", cells[0], committed, *cells[1:], pace(note, done or set())]


def pace(note: dict[str, Any], done: set[str]) -> str:
    """Return how fast a step is that is under way, and how long it will take; empty if unknown."""
    try:
        is_running, since = note["state"] == "running", datetime.fromisoformat(note["since"])
        seconds = (datetime.now(timezone.utc) - since).total_seconds()
        rows = num_promised(done)
        rate = (rows - note["reused"]) / seconds
        left = timedelta(seconds=round((note["rows"] - rows) / rate))
    except (LookupError, TypeError, ValueError, ArithmeticError):  # none yet, or a damaged note
        return ""
    return f"{rate:,.0f} rows/s, {left} left" if is_running and rate > 0 else ""


def lease(note: dict[str, Any]) -> str:
    """Return who writes the output of a run now: it may be another run."""
    output = str(note.get("output", ""))
    holder = holder_of(output) if output else None
    if holder is None:
        return f"output {output}: its lease is illegible"
    who = f"output {output}: attempt {holder.attempt} ({holder})"
    if not holder.is_held:
        return f"{who} has ended"
    if holder.process.is_gone:
        return f"{who} has died; the next run takes over"
    age = datetime.now(timezone.utc) - holder.since
    return f"{who} holds the lease for {age.total_seconds():,.0f} s, beat {holder.beat}"


def published(console: Console, output: str) -> None:
    """Print what the manifest of an output says."""
    uri = files.join(output, MANIFEST)
    if files.exists(files.join(output, INDEX)):
        generations(console, output)
        return
    if not files.exists(uri):
        raise ShardError(f"{output} has no {MANIFEST}: nothing is published there yet")
    manifest = parse_note(files.read_bytes(uri))
    if not manifest.keys() >= TOLD:
        raise ShardError(f"{uri} is damaged; run the recipe again, which publishes it anew")
    table = Table("action", "rows", "share", title=f"{manifest['rows']:,} rows")
    for action in ACTIONS:
        count = manifest["actions"].get(action, 0)
        table.add_row(action, f"{count:,}", f"{count / max(manifest['rows'], 1):.1%}")
    console.print(table)
    for shard, fault in manifest["shard_faults"].items():
        console.print(f"{fault}: {shard}", markup=False)
    console.print(f"captions cut at the encoder's context: {manifest['captions_cut']:,}")
    console.print(f"shards: {len(manifest['shards'])}")
    console.print(f"report: {files.join(output, REPORT)}", soft_wrap=True, markup=False)


def generations(console: Console, output: str) -> None:
    """Print the nights of an output, and how OpenCLIP reads them all."""
    uri = files.join(output, INDEX)
    index = parse_note(files.read_bytes(uri))
    try:
        table = Table("night", "shards", "rows", *ACTIONS, title=f"{index['rows']:,} rows")
        for night in index["nights"]:
            counts = [f"{night['actions'].get(action, 0):,}" for action in ACTIONS]
            name, rows = escape(visible(str(night["night"]))), f"{night['rows']:,}"
            table.add_row(name, str(night["shards"]), rows, *counts)
        source = train_data(output, index)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ShardError(f"{uri} is damaged; the next night writes it anew") from error
    console.print(table)
    for tier, pattern in source.items():
        line = f"--train-data '{pattern}'" + ("" if tier == ALL else f"  # {tier}")
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def checked(console: Console, result: Checked) -> None:
    """Print the problems that a training job would meet."""
    for problem in result.problems:
        console.print(str(problem), markup=False)
    console.print(
        f"{result.num_shards} shards, {result.num_samples} samples, {len(result.problems)} problems"
    )


def diff(console: Console, one_name: str, one: Profile, other_name: str, other: Profile) -> None:
    """Print two nights side by side, and what is different in the second."""
    told = [escape(visible(name)) for name in (one_name, other_name)]
    table = Table("action", *told)
    table.add_row("rows", f"{one.rows:,}", f"{other.rows:,}")
    for action in ACTIONS:
        table.add_row(action, percentage(one.shares[action]), percentage(other.shares[action]))
    console.print(table)
    found = changes(one, other)
    if not found:
        console.print("nothing is different that chance would not explain")
        return
    title = f"{len(found):,} changes" + f", the first {NUM_CHANGES}" * (len(found) > NUM_CHANGES)
    table = Table("where", "what", *told, "effect", title=title)
    for row in map(change_row, found[:NUM_CHANGES]):
        where = row.subject if row.name is None else f"{row.subject} {clip(visible(row.name), 60)}"
        cells = (where, visible(row.what), row.before, row.now, f"{row.effect:+.1f}")
        table.add_row(*map(escape, cells))
    console.print(table)
