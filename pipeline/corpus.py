"""What a recipe points at: the shards, the classes, and what a teacher has answered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pipeline.contract import Limits
from pipeline.errors import RecipeError, ShardError
from pipeline.recipe import Recipe
from pipeline.shards import files
from pipeline.shards.find import Shard, find_shards
from pipeline.store.answers import Answers, load_answers
from pipeline.store.catalog import listed
from pipeline.store.classes import ClassEntry, load_entries
from pipeline.store.label import Labeller
from pipeline.store.vectors import VectorSpec, narrowed
from pipeline.store.workspace import Workspace, key_of

Value = TypeVar("Value")


@dataclass(frozen=True)
class Corpus:
    """The input of a run, as it was found."""

    path: str | Sequence[str]
    shards: tuple[Shard, ...]
    entries: tuple[ClassEntry, ...]
    told: Answers
    among: tuple[Shard, ...] = ()
    """All shards that `path` names, where the corpus is some of them: those of one night."""

    def key(self, recipe: Recipe) -> str:
        """Return what names a run of a recipe over this corpus: not its limits or gates."""
        identities = [shard.identity for shard in self.shards]
        named = recipe.model_copy(update={"limits": Limits()}).to_yaml(leave_out={"gates"})
        return key_of(named, self.entries, self.told.digest, identities)

    def only(self, shards: Sequence[Shard]) -> "Corpus":
        """Return the corpus of some of the shards."""
        return replace(self, shards=tuple(shards), among=self.shards)

    def beside(self, spec: VectorSpec, workspace: Workspace) -> VectorSpec:
        """Return where the vectors of these shards lie: files are aligned with all of `among`."""
        if not self.among:
            return spec
        known = listed(files.join(workspace.uri, "catalog"))
        empty = {identity for identity, (_, rows, _) in known.items() if not rows}
        mine, every = (
            [shard.uri for shard in some if shard.identity not in empty]
            for some in (self.shards, self.among)
        )
        return narrowed(spec, mine, every)

    def require_unchanged(self) -> None:
        """Check that every shard is still the one that was found.

        Raises
        ------
        ShardError
            If one was replaced or removed: some of its rows may be the old ones, some the new.
        """
        now = {shard.uri: shard.identity for shard in find_shards(self.path)}
        changed = [shard.uri for shard in self.shards if now.get(shard.uri) != shard.identity]
        if changed:
            more = f", as were {len(changed) - 1} more" if len(changed) > 1 else ""
            raise ShardError(
                f"source shard {files.redact(changed[0])} must stay as it was found, it was "
                f"replaced or removed during the run{more}; nothing is published; run again once "
                "the source is complete, the other shards are reused"
            )


def gather(recipe: Recipe) -> Corpus:
    """Find what a recipe points at.

    Raises
    ------
    RecipeError
        If something is missing or malformed.
    """
    path = given(recipe.source.path, "source.path", "--source")
    shards = find_shards(path)
    entries = load_entries(given(recipe.classes, "classes", "--classes"))
    told = load_answers(recipe.source.answers, Labeller(recipe.source.label, entries).find)
    return Corpus(path, tuple(shards), entries, told)


def given(value: Value | None, key: str, option: str) -> Value:
    """Return a value that a run cannot do without."""
    if value is None:
        raise RecipeError(f"the recipe has no {key}; set it there or give {option}")
    return value
