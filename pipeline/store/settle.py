"""Decide about every fragment, and sum the decisions up for the report and for packing."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.policy.decide import decide
from pipeline.policy.rules import Policy
from pipeline.report.summary import Summary, merge
from pipeline.schema import ANSWERED, CANDIDATES, LABEL, LABEL_TEXT
from pipeline.store.attach import Attached
from pipeline.store.place import EMITTED
from pipeline.store.rows import GROUP, StoredRows, in_order
from pipeline.store.run import Run
from pipeline.store.workspace import Readable, Step, num_promised

INPUT = (
    *("uid", "key", "shard", "row", "extension", "caption", "fault"),
    *(LABEL, LABEL_TEXT, CANDIDATES, ANSWERED),
)
"""What a decision needs beside the scores."""
SUMMED_ROWS = 16_384
"""Most rows of several fragments that are summed up at once: most of the work is not by row."""


def settle(run: Run, rows: StoredRows, policy: Policy, scores: Sequence[str], total: int) -> Step:
    """Write the ledger of every fragment and return the step.

    Parameters
    ----------
    run
        The run.
    rows
        The corpus with the columns of every cleaner.
    policy
        What to do with which score.
    scores
        The score columns, in ledger order.
    total
        Number of rows, for the progress.
    """
    step = run.workspace.step(
        "decide", [policy.model_dump(), rows.classes.name, scores], [s for s, _ in rows.steps]
    )
    done = step.done()
    todo = [fragment for fragment in rows.fragments if fragment not in done]
    judge = Judge(rows.detached(), policy, tuple(scores), step)
    with run.step("decide", total, step.uri) as advance:
        advance(total - num_promised(todo))
        for _, decided in run.engine.each(judge, todo):
            advance(decided)
    return step


@dataclass(frozen=True)
class Judge:
    """Decides about one fragment and commits its ledger."""

    rows: StoredRows
    policy: Policy
    scores: tuple[str, ...]
    step: Step

    def __call__(self, fragment: str) -> int:
        table = self.rows.stored(fragment, [*INPUT, *self.scores])
        self.step.write(fragment, decide(self.policy, table, self.rows.classes.name))
        return len(table)


def summarise(
    run: Run, step: Step, samples: Readable, policy: Policy, names: Sequence[str]
) -> Summary:
    """Return the numbers and examples of the report, over all fragments."""
    groups = [tuple(names[start : start + GROUP]) for start in range(0, len(names), GROUP)]
    summary = reduce(merge, in_order(run.engine.each(Summarise(step, samples, policy), groups)))
    reasons = summary.reasons.items()
    faults = {reason: num for (reason, action), num in reasons if action == "quarantine"}
    run.engine.observer.judged(summary.actions, faults)
    return summary


@dataclass(frozen=True)
class Summarise:
    """The summary of a group of fragments."""

    step: Step
    samples: Readable
    policy: Policy

    def __call__(self, fragments: Sequence[str]) -> Summary:
        is_small = num_promised(fragments) <= SUMMED_ROWS
        parts = [fragments] if is_small else [[fragment] for fragment in fragments]
        return reduce(merge, map(self.of, parts))

    def of(self, fragments: Sequence[str]) -> Summary:
        """Return the summary of fragments that are held in memory together."""
        table = pa.concat_tables(map(self.read, fragments)).combine_chunks()
        return Summary.of(table, self.policy.thresholds)

    def read(self, fragment: str) -> pa.Table:
        """Return the ledger of a fragment with its captions."""
        caption = self.samples.read(fragment, ["caption"])
        return self.step.read(fragment).append_column("caption", caption["caption"])


@dataclass(frozen=True)
class CountEmitted:
    """Counts the rows of one fragment that go into the output."""

    step: Step | Attached
    actions: tuple[str, ...] = EMITTED

    def __call__(self, fragment: str) -> int:
        table = self.step.read(fragment, ["action", "extension"])
        return int(pc.sum(emitted(table, self.actions)).as_py() or 0)


def count_cut(run: Run, samples: Readable, names: Sequence[str]) -> int:
    """Return how many captions are longer than the encoder's context."""
    return sum(cut for _, cut in run.engine.each(CountCut(samples), names))


@dataclass(frozen=True)
class CountCut:
    """Counts the captions of one fragment that are longer than the encoder's context."""

    samples: Readable

    def __call__(self, fragment: str) -> int:
        return int(pc.sum(self.samples.read(fragment, ["caption_cut"])["caption_cut"]).as_py() or 0)


def emitted(table: pa.Table, actions: Sequence[str] = EMITTED) -> pa.ChunkedArray:
    """Return which rows of a ledger go into the output: kept, and with a picture to write."""
    wanted = pc.is_in(table["action"], value_set=pa.array(actions))
    return pc.and_(wanted, pc.is_valid(table["extension"]))
