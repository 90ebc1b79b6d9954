"""Which shards and fragments exist: each shard is indexed once, by its identity."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract import Engine, Sample
from pipeline.errors import SchemaError
from pipeline.shards import files
from pipeline.shards.find import Shard
from pipeline.shards.index import INDEX, Index, index, read
from pipeline.shards.sample import SHARD_FAULTS
from pipeline.store.attempts import Attempts
from pipeline.store.workspace import Workspace

GROUP_ROWS = 8192
"""Rows of an index that are read at once: a fragment of a long shard must not read all of it."""

NAME = re.compile(r"([0-9a-f]+)\.(\d+)\.([a-z-]+)\.parquet")
"""How an index file is called."""


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
        return name_of(self.shard.identity, self.start, self.stop)

    def listed(self) -> pa.Table:
        """Return the part of the shard's index that lists the samples of the fragment."""
        return rows_of(self.catalog, self.start, self.stop)

    def samples(self, caption: str | None) -> Iterator[Sample]:
        """Yield the samples of the fragment, in row order."""
        yield from read(self.shard, self.listed(), caption)


def name_of(identity: str, start: int, stop: int) -> str:
    """Return what the fragment with the rows `[start, stop)` of a shard is called."""
    return f"{identity}-{start:09d}-{stop - start:05d}"


def spans(num_rows: int, fragment_rows: int) -> list[tuple[int, int]]:
    """Return the row ranges of the fragments of a shard.

    Examples
    --------
    >>> spans(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(a, min(a + fragment_rows, num_rows)) for a in range(0, num_rows, fragment_rows)]


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

    @property
    def emptiness(self) -> str:
        """Why there are no rows, in words: what is wrong with the first shard."""
        if not self.faults:
            return "they hold none"
        uri, fault = self.faults[0]
        return f"of {files.redact(uri)}, {SHARD_FAULTS.get(fault, fault)}"


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
    attempts = Attempts(files.join(workspace.uri, "attempts", "index"))
    for _ in engine.each(Indexer(folder, attempts, engine.limits.tries), new):
        progress(1)
    known = listed(folder) if new else known
    fragments, faults, num_rows = [], [], 0
    for shard in shards:
        uri, rows, fault = known[shard.identity]
        faults += [(shard.uri, fault)] if fault else []
        num_rows += rows
        fragments += [Fragment(shard, uri, a, b) for a, b in spans(rows, fragment_rows)]
    return Catalog(tuple(fragments), num_rows, tuple(faults))


@dataclass(frozen=True)
class Indexer:
    """Indexes one shard and commits the index; one that was begun too often has no rows."""

    folder: str
    attempts: Attempts
    tries: int

    def __call__(self, shard: Shard) -> None:
        failed = self.attempts.failed(shard.identity)
        if failed >= self.tries:
            self.write(shard, Index(INDEX.empty_table(), "kills-reader"))
            self.attempts.forget(shard.identity, failed)
            return
        with self.attempts.attempt(shard.identity, failed + 1):
            self.write(shard, index(shard))

    def write(self, shard: Shard, found: Index) -> None:
        """Commit the index of a shard."""
        name = f"{shard.identity}.{len(found.table)}.{found.fault or 'whole'}.parquet"
        buffer = io.BytesIO()
        pq.write_table(
            found.table,
            buffer,
            row_group_size=GROUP_ROWS,
            compression="zstd",
            write_page_checksum=True,
        )
        files.write(files.join(self.folder, name), buffer.getvalue())


def listed(folder: str) -> dict[str, tuple[str, int, str | None]]:
    """Return `identity -> (uri, rows, fault)` of the indices in a folder; others do not count."""
    entries = {}
    for uri in files.list_files(folder):
        if named := NAME.fullmatch(uri.rsplit("/", 1)[-1]):
            identity, rows, fault = named.groups()
            entries[identity] = (uri, int(rows), None if fault == "whole" else fault)
    return entries


def rows_of(uri: str, start: int, stop: int) -> pa.Table:
    """Return the rows `[start, stop)` of an index, reading the row groups that hold them.

    Raises
    ------
    SchemaError
        If the file is damaged, or has fewer rows.
    """
    try:
        with (
            files.open_read(uri) as source,
            pq.ParquetFile(source, page_checksum_verification=True) as file,
        ):
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            bounds = list(pairwise(accumulate(sizes, initial=0)))
            held = [i for i, (a, b) in enumerate(bounds) if a < stop and b > start]
            table = file.read_row_groups(held, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SchemaError(
            f"{files.redact(uri)} cannot be read: {error}; delete the file and run again to make "
            "it anew"
        ) from error
    if sum(sizes) < stop:
        raise SchemaError(
            f"{files.redact(uri)} must have {stop} rows, got {sum(sizes)}; delete the file and run "
            "again to make it anew"
        )
    return table.slice(start - bounds[held[0]][0] if held else 0, stop - start)
