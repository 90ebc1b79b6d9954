"""Which shards and fragments exist: each shard is indexed once, by its identity."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.contract import Engine, Sample
from pipeline.shards import files
from pipeline.shards.find import Shard
from pipeline.shards.index import index, read
from pipeline.store.workspace import Workspace, from_parquet, to_parquet


@dataclass(frozen=True)
class Fragment:
    """A fixed run of rows of one shard: the unit of work, of retry and of commit."""

    shard: Shard
    catalog: str
    """URI of the shard's index."""
    start: int
    stop: int

    @property
    def name(self) -> str:
        """A pure function of the shard's identity and the row range."""
        return f"{self.shard.identity}-{self.start:09d}-{self.stop - self.start:05d}"

    def samples(self, caption: str | None) -> Iterator[Sample]:
        """Yield the samples of the fragment, in row order."""
        listed = from_parquet(self.catalog)
        yield from read(self.shard, listed.slice(self.start, self.stop - self.start), caption)


@dataclass(frozen=True)
class Catalog:
    """The shards of a run, all indexed."""

    fragments: tuple[Fragment, ...]
    num_rows: int
    faults: tuple[tuple[str, str], ...]
    """`(shard, fault)` of every shard that could not be read to its end."""

    @property
    def identity(self) -> list[str]:
        """What names the corpus: the fragments, in order."""
        return [fragment.name for fragment in self.fragments]


def build(
    workspace: Workspace,
    shards: Sequence[Shard],
    engine: Engine,
    fragment_rows: int,
    progress: Callable[[int], None],
) -> Catalog:
    """Index the shards that the workspace does not know yet and return the catalog.

    The name of an index file says all that a plan needs, `<identity>.<rows>.<fault>.parquet`,
    so a million shards cost one listing.
    """
    folder = files.join(workspace.uri, "catalog")
    known = listed(folder)
    new = [shard for shard in shards if shard.identity not in known]
    progress(len(shards) - len(new))
    for _ in engine.each(Indexer(folder), new):
        progress(1)
    known = listed(folder) if new else known
    fragments, faults, num_rows = [], [], 0
    for shard in shards:
        uri, rows, fault = known[shard.identity]
        faults += [(shard.uri, fault)] if fault else []
        num_rows += rows
        starts = range(0, rows, fragment_rows)
        fragments += [Fragment(shard, uri, a, min(a + fragment_rows, rows)) for a in starts]
    return Catalog(tuple(fragments), num_rows, tuple(faults))


@dataclass(frozen=True)
class Indexer:
    """Indexes one shard and commits the index."""

    folder: str

    def __call__(self, shard: Shard) -> None:
        found = index(shard)
        name = f"{shard.identity}.{len(found.table)}.{found.fault or 'whole'}.parquet"
        files.write(files.join(self.folder, name), to_parquet(found.table))


def listed(folder: str) -> dict[str, tuple[str, int, str | None]]:
    """Return `identity -> (uri, rows, fault)` of the indices in a folder."""
    entries = {}
    for uri in files.list_files(folder):
        identity, rows, fault, _ = uri.rsplit("/", 1)[-1].split(".")
        entries[identity] = (uri, int(rows), None if fault == "whole" else fault)
    return entries
