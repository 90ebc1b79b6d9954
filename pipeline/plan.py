"""Look before the run: check all that can be checked without a GPU, and price it."""

from collections import Counter
from dataclasses import dataclass

from pipeline.contract import Sample
from pipeline.corpus import given
from pipeline.embed.decode import Picture, decode
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.shards import files
from pipeline.shards.find import Shard, find_shards
from pipeline.shards.index import index, read
from pipeline.shards.sample import SHARD_FAULTS
from pipeline.store.answers import load_answers
from pipeline.store.catalog import listed
from pipeline.store.classes import load_entries
from pipeline.store.embed import embed_step
from pipeline.store.label import MAX_UNKNOWN, Labeller
from pipeline.store.publish import claimable
from pipeline.store.tally import several_hint
from pipeline.store.vectors import NEEDLESS
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
    shard_fault: str | None
    """What is wrong with the shard that was peeked at, as a whole."""

    def lines(self) -> list[tuple[str, str]]:
        """Return what to print."""
        about = "about " if self.is_estimate else ""
        faults = ", ".join(f"{n} {fault}" for fault, n in self.faults.most_common()) or "none"
        return [
            ("shards", f"{self.num_shards:,} ({self.num_bytes / 1e6:,.1f} MB)"),
            ("rows", f"{about}{self.num_rows:,}"),
            ("fragments", f"{about}{self.num_fragments:,}"),
            ("embedded already", f"{self.num_embedded:,} fragments"),
            ("fault of the first shard", self.shard_fault or "none"),
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
    labeller = Labeller(recipe.source.label, entries, recipe.source.labels)
    load_answers(recipe.source.answers, labeller.find)
    spec = recipe.vectors or recipe.encoder
    step = embed_step(Workspace(workspace), spec, recipe.source.caption)
    known = listed(files.join(workspace, "catalog"))
    sizes = {
        shard.identity: known[shard.identity][1] for shard in shards if shard.identity in known
    }
    seen = peek(recipe, shards[0], labeller)
    if len(shards) == 1 and not seen.rows:
        fault = SHARD_FAULTS.get(seen.shard_fault or "", "it holds none")
        raise RecipeError(f"{shards[0].uri} has no samples: {fault}; check source.path")
    refuse_hopeless(recipe, shards[0], seen)
    guessed = [sizes.get(s.identity, round(s.size * seen.rows_per_byte)) for s in shards]
    per = recipe.source.fragment_rows
    return Plan(
        num_shards=len(shards),
        num_bytes=sum(shard.size for shard in shards),
        num_rows=sum(guessed),
        is_estimate=len(sizes) < len(shards),
        num_fragments=sum(-(-n // per) for n in guessed),
        num_embedded=len(step.done()),
        peeked=seen.rows,
        faults=seen.faults,
        unlabelled=seen.unlabelled,
        shard_fault=seen.shard_fault,
    )


@dataclass(frozen=True)
class Peek:
    """What the first rows of a shard are like."""

    rows: int
    faults: Counter[str]
    unlabelled: int
    """Readable rows whose label is in no class."""
    fields: frozenset[str]
    """Names of the source fields of those."""
    rows_per_byte: float
    shard_fault: str | None
    hint: str
    """Which key to set if a row has several labels."""


def peek(recipe: Recipe, shard: Shard, labeller: Labeller) -> Peek:
    """Read the head of a shard as the run will."""
    found = index(shard)
    head = found.table.slice(0, PEEK_ROWS)
    faults: Counter[str] = Counter()
    fields: set[str] = set()
    texts: set[str] = set()
    unlabelled = 0
    for sample in read(shard, head, recipe.source.caption):
        fault = find_fault(recipe, sample)
        if fault is not None:
            faults[fault] += 1
            continue
        named = labeller.named_by(sample.fields, sample.caption)
        if labeller.classes(named) is None:
            unlabelled += 1
            fields |= set(sample.fields)
            texts.add(named.text or "")
    density = len(found.table) / max(shard.size, 1)
    hint = several_hint(texts, recipe.source.labels)
    return Peek(len(head), faults, unlabelled, frozenset(fields), density, found.fault, hint)


def find_fault(recipe: Recipe, sample: Sample) -> str | None:
    """Return why a run would quarantine a sample."""
    if recipe.vectors is not None:
        return None if sample.fault in NEEDLESS else sample.fault
    from pipeline.embed.frontend import frontend

    decoded = sample.fault or decode(sample.image or b"", frontend(recipe.encoder))
    return None if isinstance(decoded, Picture) else decoded


def refuse_hopeless(recipe: Recipe, shard: Shard, seen: Peek) -> None:
    """Raise a RecipeError if hardly a row at the head of a shard is of use."""
    usable = seen.rows - seen.faults.total()
    if seen.rows and not usable:
        worst = seen.faults.most_common(1)[0][0]
        raise RecipeError(
            f"all of the first {seen.rows} rows of {shard.uri} are unusable ({worst}); "
            "if the corpus has no captions set source.caption to null"
        )
    if recipe.source.label != "none" and seen.unlabelled > MAX_UNKNOWN * usable:
        raise RecipeError(
            f"{seen.unlabelled} of the first {usable} readable rows of {shard.uri} have no label "
            f"that is a class; source.label is {recipe.source.label!r}, the rows have the fields "
            f"{sorted(seen.fields)}; set it to field:NAME, or to none for a corpus without labels"
            f"{seen.hint}"
        )
