"""The beginning of a night: the shards that it takes, written down before any work is done."""

from collections.abc import Iterable, Mapping, Sequence

from pipeline.corpus import Corpus
from pipeline.errors import RecipeError, ShardError
from pipeline.shards import files
from pipeline.shards.find import Shard
from pipeline.store.history import learned
from pipeline.store.news import news, taken
from pipeline.store.nights import Night, Nights, Taken
from pipeline.store.run import Run

RESUMED = ("open", "held", "withdrawn")
"""Nights that a later call may go on with."""


def begin(run: Run, corpus: Corpus, nights: Nights, night: Night) -> tuple[Night, Corpus]:
    """Return a night with its shards, and their corpus.

    A night that was begun before goes on with the shards that it had, so that it ends in the same
    bytes; one that was never finished leaves its shards to the next night.

    Raises
    ------
    RecipeError
        If the night was discarded, its shards went to another, or it waits with another --rescore.
    ShardError
        If shards of a night that was held are gone.
    """
    others = {each.name: each for each in nights.all()}
    before = others.pop(night.name, None)
    if before and before.state == "published":
        return before, corpus
    if before and before.state not in RESUMED:
        told = "; ".join(before.why)
        raise RecipeError(f"night {night.name} is {before.state} ({told}); name another --night")
    is_same = before is not None and before.replaces == night.replaces
    if before and before.state != "open" and not is_same:
        option = f"with --rescore {before.replaces}" if before.replaces else "without --rescore"
        raise RecipeError(f"night {night.name}, which is {before.state}, was curated {option}")
    for other in others.values():
        if other.state == "open":
            nights.save(other.changed("left", f"its shards went to night {night.name}"))
    if before and is_same and (shards := recalled(corpus, before)):
        same = {"shards": before.shards, "repeated": before.repeated, "why": before.why}
        return night.model_copy(update=same), corpus.only(shards)
    return fresh(run, corpus, nights, night, others)


def fresh(
    run: Run, corpus: Corpus, nights: Nights, night: Night, others: Mapping[str, Night]
) -> tuple[Night, Corpus]:
    """Return a night with the shards that no other has taken, and write it down.

    One whose scores replace all others takes the shards of all that stand as well; one that only
    decides anew takes those and none that is new.
    """
    if night.replaces == "decisions":
        shards, before = taken_before(corpus, learned([*others.values()]))
        night = night.model_copy(update={"shards": tuple(before)})
    else:
        apart = [n for n in others.values() if not (night.replaces and n.state == "published")]
        found = news(run, corpus.shards, apart)
        if night.replaces:
            require_all(others, {*found.digests.values()})
        shards = [*found.shards]
        night = night.model_copy(
            update={
                "shards": tuple(taken(shard, found.digests) for shard in found.shards),
                "repeated": tuple(taken(shard, found.digests) for shard in found.repeated),
            }
        )
    if night.shards:
        nights.save(night)
    return night, corpus.only(shards)


def recalled(corpus: Corpus, night: Night) -> list[Shard]:
    """Return the shards of a night that was begun; none if it must begin anew.

    Raises
    ------
    ShardError
        If the night is complete, but its shards are not there any more.
    """
    found = chosen(corpus, night.shards)
    if night.state == "open" and len(found) < len(night.shards):
        return []
    require_there(found, night.shards, f"put it back, or discard night {night.name}")
    return found


def taken_before(corpus: Corpus, nights: Iterable[Night]) -> tuple[list[Shard], list[Taken]]:
    """Return the shards of nights, as they are found and as they were taken.

    Raises
    ------
    ShardError
        If one is not there any more.
    """
    taken = [shard for night in nights for shard in night.shards]
    found = chosen(corpus, taken)
    require_there(found, taken, "put it back, or go on without --rescore")
    return found, taken


def require_there(found: Sequence[Shard], taken: Sequence[Taken], remedy: str) -> None:
    """Raise a ShardError if a shard that was taken is not among those that are found."""
    there = {shard.identity for shard in found}
    for shard in taken:
        if shard.identity not in there:
            raise ShardError(
                f"source shard {files.redact(shard.uri)} was replaced or removed since a night "
                f"has taken it; {remedy}"
            )


def chosen(corpus: Corpus, taken: Iterable[Taken]) -> list[Shard]:
    """Return the shards of a corpus that were taken and are unchanged."""
    identities = {shard.identity for shard in taken}
    return [shard for shard in corpus.shards if shard.identity in identities]


def require_all(others: Mapping[str, Night], digests: set[str]) -> None:
    """Check that the shards of every published night are still there.

    Raises
    ------
    ShardError
        If one is not: its rows would be missing from what stands for all nights.
    """
    for night in others.values():
        for shard in night.shards if night.state == "published" else ():
            if shard.digest not in digests:
                raise ShardError(
                    f"source shard {files.redact(shard.uri)} of night {night.name} is not there "
                    "any more, so its rows cannot be curated anew; put it back, or go on without "
                    "--rescore"
                )
