"""The beginning of a night: the shards that it takes, written down before any work is done."""

from collections.abc import Mapping

from pipeline.corpus import Corpus
from pipeline.errors import RecipeError, ShardError
from pipeline.shards import files
from pipeline.shards.find import Shard
from pipeline.store.news import news, taken
from pipeline.store.nights import Night, Nights
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
        If the night was discarded, or its shards went to another.
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
    for other in others.values():
        if other.state == "open":
            nights.save(other.changed("left", f"its shards went to night {night.name}"))
    if before and (shards := recalled(corpus, before)):
        same = {"shards": before.shards, "repeated": before.repeated, "why": before.why}
        return night.model_copy(update=same), corpus.only(shards)
    return fresh(run, corpus, nights, night, others)


def fresh(
    run: Run, corpus: Corpus, nights: Nights, night: Night, others: Mapping[str, Night]
) -> tuple[Night, Corpus]:
    """Return a night with the shards that no other has taken, and write it down.

    One that stands for all nights takes the shards of all that stand.
    """
    apart = [n for n in others.values() if not (night.replaces and n.state == "published")]
    found = news(run, corpus.shards, apart)
    if night.replaces:
        require_all(others, {*found.digests.values()})
    night = night.model_copy(
        update={
            "shards": tuple(taken(shard, found.digests) for shard in found.shards),
            "repeated": tuple(taken(shard, found.digests) for shard in found.repeated),
        }
    )
    if night.shards:
        nights.save(night)
    return night, corpus.only(found.shards)


def recalled(corpus: Corpus, night: Night) -> list[Shard]:
    """Return the shards of a night that was begun; none if it must begin anew.

    Raises
    ------
    ShardError
        If the night is complete, but its shards are not there any more.
    """
    wanted = {shard.identity: shard.uri for shard in night.shards}
    found = [shard for shard in corpus.shards if shard.identity in wanted]
    gone = wanted.keys() - {shard.identity for shard in found}
    if not gone:
        return found
    if night.state == "open":
        return []
    raise ShardError(
        f"source shard {files.redact(wanted[min(gone)])} of night {night.name}, which is "
        f"{night.state}, was replaced or removed; put it back, or discard the night"
    )


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
