"""What the commands print."""

import json

from rich.console import Console
from rich.table import Table

from pipeline.curate import Outcome
from pipeline.demo import Found
from pipeline.errors import ShardError
from pipeline.plan import Plan
from pipeline.schema import ACTIONS
from pipeline.shards import files
from pipeline.shards.check import Checked
from pipeline.shards.manifest import MANIFEST, REPORT


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
    """Print the steps of every run of a workspace and how many fragments each has committed."""
    folder = files.join(workspace, "runs")
    notes = [uri for uri in files.list_files(folder) if uri.endswith(".json")]
    if not notes:
        raise ShardError(f"workspace {workspace} holds no run; is the path right?")
    table = Table("run", "step", "state", "rows", "fragments committed", "seconds")
    for uri in notes:
        note = json.loads(files.read_bytes(uri))
        run, name = uri.rsplit("/", 2)[-2:]
        is_step = "/steps/" in note.get("uri", "")
        committed = f"{len(files.list_files(note['uri'])):,}" if is_step else ""
        step = name.removesuffix(".json")
        table.add_row(
            run, step, note["state"], f"{note['rows']:,}", committed, str(note.get("seconds", ""))
        )
    console.print(table)


def published(console: Console, output: str) -> None:
    """Print what the manifest of an output says."""
    uri = files.join(output, MANIFEST)
    if not files.exists(uri):
        raise ShardError(f"{output} has no {MANIFEST}: nothing is published there yet")
    manifest = json.loads(files.read_bytes(uri))
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


def checked(console: Console, result: Checked) -> None:
    """Print the problems that a training job would meet."""
    for problem in result.problems:
        console.print(str(problem), markup=False)
    console.print(
        f"{result.num_shards} shards, {result.num_samples} samples, {len(result.problems)} problems"
    )
