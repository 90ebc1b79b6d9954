"""Which shards are new: told by their content, never by their names alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from pipeline.shards import files
from pipeline.shards.find import Shard
from pipeline.shards.listing import list_stats
from pipeline.store.nights import SEEN, Night, Taken
from pipeline.store.run import Run

CHUNK_BYTES = 16 * 2**20
NAME = re.compile(r"([0-9a-f]{16})\.([0-9a-f]{32})")
"""How the file is called that says the digest of a shard; it is empty."""


@dataclass(frozen=True)
class News:
    """What of a source a night has to curate."""

    shards: tuple[Shard, ...]
    digests: Mapping[str, str]
    """By identity, of `shards` and `repeated`."""
    repeated: tuple[Shard, ...]
    """Under a new name or with a new date, but with bytes that were taken before."""


def news(run: Run, shards: Sequence[Shard], nights: Sequence[Night]) -> News:
    """Return the shards that no night has taken.

    A shard that changed under its name is new; one that was copied, moved or crawled again with
    the same bytes is not. Every new shard is read once to tell.
    """
    taken = [t for night in nights if night.state in SEEN for t in (*night.shards, *night.repeated)]
    identities = {shard.identity for shard in taken}
    unknown = [shard for shard in shards if shard.identity not in identities]
    digests = digest_all(run, unknown)
    seen = {shard.digest for shard in taken}
    fresh: list[Shard] = []
    repeated: list[Shard] = []
    for shard in unknown:
        (repeated if digests[shard.identity] in seen else fresh).append(shard)
        seen.add(digests[shard.identity])
    return News(tuple(fresh), digests, tuple(repeated))


def taken(shard: Shard, digests: Mapping[str, str], rows: int = 0) -> Taken:
    """Return how a night records a shard."""
    return Taken(uri=shard.uri, identity=shard.identity, digest=digests[shard.identity], rows=rows)


def digest_all(run: Run, shards: Sequence[Shard]) -> dict[str, str]:
    """Return the digests of shards by identity, from the workspace where they are known."""
    folder = files.join(run.workspace.uri, "digests")
    known = listed(folder)
    todo = [shard for shard in shards if shard.identity not in known]
    with run.step("digest", len(shards)) as advance:
        advance(len(shards) - len(todo))
        for _ in run.engine.each(Digester(folder), todo):
            advance(1)
    known = listed(folder) if todo else known
    return {shard.identity: known[shard.identity] for shard in shards}


def listed(folder: str) -> dict[str, str]:
    """Return the digests that the names in a folder say."""
    names = (uri.rsplit("/", 1)[-1] for uri in files.list_files(folder))
    found = (NAME.fullmatch(name) for name in names)
    return {match[1]: match[2] for match in found if match}


@dataclass(frozen=True)
class Digester:
    """Reads one shard and writes its digest."""

    folder: str

    def __call__(self, shard: Shard) -> None:
        name = f"{shard.identity}.{digest(shard)}"
        files.write(files.join(self.folder, name), b"")


def digest(shard: Shard) -> str:
    """Return 32 hex digits that name the content of a shard, whatever it is called.

    Of a folder of images the names in it count, of a tar those in it, and the sidecar.
    """
    found = blake2b(digest_size=16)
    uris = [uri for uri, _ in shard.versions]
    if not uris:
        uris = sorted(list_stats(shard.uri))
    for uri in uris:
        name = "" if shard.versions else uri.removeprefix(shard.uri)
        found.update(f"{name}\0{files.stat(uri).size}\0".encode("utf-8", "surrogateescape"))
        with files.open_read(uri) as source:
            while chunk := source.read(CHUNK_BYTES):
                found.update(chunk)
    return found.hexdigest()
