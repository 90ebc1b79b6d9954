"""Look before the run: check all that can be checked without a GPU, and price it."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice

from pipeline.curate import given
from pipeline.embed.decode import Picture, decode
from pipeline.embed.frontend import frontend
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.shards import files
from pipeline.shards.find import Shard, find_shards
from pipeline.shards.index import index, read
from pipeline.store.catalog import listed
from pipeline.store.classes import load_entries
from pipeline.store.embed import embed_step
from pipeline.store.label import Labeller
from pipeline.store.publish import claimable
from pipeline.store.workspace import Workspace

PEEK_ROWS = 64


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    num_shards: int
    num_bytes: int
    num_rows: int
    is_estimate: bool
    """Whether some shards are not indexed yet, so that their rows are guessed from their size."""
    num_fragments: int
    num_embedded: int
    """Fragments that the workspace already has vectors of."""
    peeked: int
    faults: Counter[str]
    unlabelled: int
    """Rows, of those peeked at, whose label is in no class."""

    def lines(self) -> list[tuple[str, str]]:
        """Return what to print."""
        about = "about " if self.is_estimate else ""
        faults = ", ".join(f"{n} {fault}" for fault, n in self.faults.most_common()) or "none"
        return [
            ("shards", f"{self.num_shards:,} ({self.num_bytes / 1e6:,.1f} MB)"),
            ("rows", f"{about}{self.num_rows:,}"),
            ("fragments", f"{about}{self.num_fragments:,}"),
            ("embedded already", f"{self.num_embedded:,} fragments"),
            (f"faults in the first {self.peeked} rows", faults),
            (f"labels of no class in the first {self.peeked} rows", str(self.unlabelled)),
        ]


def plan(recipe: Recipe, workspace: str, output: str) -> Plan:
    """Return what a run would do; nothing is written.

    Raises
    ------
    CurationError
        Whatever would stop the run: no shards, a bad class file, an unknown encoder, an output
        that belongs to somebody else.
    """
    shards = find_shards(given(recipe.source.path, "source.path", "--source"))
    entries = load_entries(given(recipe.classes, "classes", "--classes"))
    claimable(output, shards)
    labeller = Labeller(recipe.source.label, entries)
    step = embed_step(Workspace(workspace), recipe.encoder, recipe.source.caption)
    known = listed(files.join(workspace, "catalog"))
    sizes = {
        shard.identity: known[shard.identity][1] for shard in shards if shard.identity in known
    }
    rows, faults, unlabelled, density = peek(recipe, shards[0], labeller)
    guessed = [sizes.get(s.identity, round(s.size * density)) for s in shards]
    per = recipe.source.fragment_rows
    return Plan(
        num_shards=len(shards),
        num_bytes=sum(shard.size for shard in shards),
        num_rows=sum(guessed),
        is_estimate=len(sizes) < len(shards),
        num_fragments=sum(-(-n // per) for n in guessed),
        num_embedded=len(step.done()),
        peeked=rows,
        faults=faults,
        unlabelled=unlabelled,
    )


def peek(recipe: Recipe, shard: Shard, labeller: Labeller) -> tuple[int, Counter[str], int, float]:
    """Return rows, faults and unknown labels at the head of a shard, and its rows per byte."""
    found = index(shard)
    front = frontend(recipe.encoder)
    head = found.table.slice(0, PEEK_ROWS)
    faults: Counter[str] = Counter()
    unlabelled = 0
    for sample in islice(read(shard, head, recipe.source.caption), PEEK_ROWS):
        decoded = sample.fault or decode(sample.image or b"", front)
        if not isinstance(decoded, Picture):
            faults[decoded] += 1
        elif labeller.find(labeller.raw(sample.fields, sample.caption)) is None:
            unlabelled += 1
    if len(head) and faults.total() == len(head):
        worst = faults.most_common(1)[0][0]
        raise RecipeError(
            f"all of the first {len(head)} rows of {shard.uri} are unusable ({worst}); "
            "if the corpus has no captions set source.caption to null"
        )
    return len(head), faults, unlabelled, len(found.table) / max(shard.size, 1)
