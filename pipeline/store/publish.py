"""Write the output: shuffled shards, the ledger, the report, and the manifest last of all."""

import hashlib
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from pipeline.contract import Sample
from pipeline.errors import ShardError
from pipeline.report.summary import Summary
from pipeline.shards import files
from pipeline.shards.find import Shard
from pipeline.shards.index import read
from pipeline.shards.manifest import LEDGER, MANIFEST, MARK, rows_name, stats_name, tar_name
from pipeline.shards.pack import plan, write_index, write_shard
from pipeline.store.attach import Attached
from pipeline.store.catalog import Catalog, Fragment
from pipeline.store.run import Run, versions
from pipeline.store.settle import CountEmitted, emitted
from pipeline.store.workspace import Step, from_parquet, key_of, to_parquet

LEDGER_FRAGMENTS = 64
"""Fragments in one ledger file of the output."""
OURS = re.compile(r"\d{5,}(\.tar|\.parquet|_stats\.json)")


@dataclass(frozen=True, kw_only=True)
class PackSpec:
    """How the output is cut and shuffled."""

    shard_rows: Annotated[int, Field(ge=1)] = 10_000
    """Most rows of an output shard; all have the same number but for one."""
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    """Of the shuffle."""
    window_rows: Annotated[int, Field(ge=1)] = 1_000_000
    """Rows shuffled together; source shards are shuffled whole before that."""
    attach: tuple[str, ...] = ()
    """Columns of the cleaners that are written into the json of every sample."""


@dataclass(frozen=True)
class Window:
    """Fragments whose rows are shuffled together, and where they stand in the output."""

    fragments: tuple[Fragment, ...]
    start: int
    stop: int


def windows(fragments: Sequence[Fragment], counts: Sequence[int], spec: PackSpec) -> list[Window]:
    """Return the shuffled fragments, cut into windows of about `spec.window_rows` kept rows."""
    order = list(range(len(fragments)))
    random.Random(spec.seed).shuffle(order)
    found: list[Window] = []
    members: list[Fragment] = []
    start = stop = 0
    for i in order:
        members.append(fragments[i])
        stop += counts[i]
        if stop - start >= spec.window_rows:
            found.append(Window(tuple(members), start, stop))
            members, start = [], stop
    return [*found, Window(tuple(members), start, stop)] if members else found


@dataclass(frozen=True)
class Packer:
    """Writes one output shard, unless it is there."""

    output: str
    decided: Step | Attached
    windows: tuple[Window, ...]
    spec: PackSpec
    caption: str | None
    key: str

    def __call__(self, piece: tuple[int, int, int]) -> dict[str, Any]:
        number, start, stop = piece
        done = self.committed(number)
        if done is not None:
            return done
        chosen = pa.concat_tables(list(self.rows(start, stop)))
        samples = dict(self.samples(chosen))
        order = zip(chosen["fragment"].to_pylist(), chosen["row"].to_pylist(), strict=True)
        rows = chosen.drop_columns("fragment")
        ordered = [samples[place] for place in order]
        return write_shard(self.output, number, ordered, rows, self.key, self.spec.attach)

    def committed(self, number: int) -> dict[str, Any] | None:
        """Return the stats of a shard that an earlier attempt of the same plan has written."""
        names = (stats_name(number), tar_name(number), rows_name(number))
        uris = [files.join(self.output, name) for name in names]
        stats = json.loads(files.read_bytes(uris[0])) if all(map(files.exists, uris)) else {}
        return stats if stats.get("plan") == self.key else None

    def rows(self, start: int, stop: int) -> Iterator[pa.Table]:
        """Yield the ledger rows at the output positions `start` to `stop`, window by window."""
        for window in self.windows:
            if window.start < stop and window.stop > start:
                first, last = max(start, window.start), min(stop, window.stop)
                yield self.shuffled(window).slice(first - window.start, last - first)

    def shuffled(self, window: Window) -> pa.Table:
        """Return the emitted rows of a window, in the order of a seeded hash of their uid."""
        parts = []
        for fragment in window.fragments:
            table = self.decided.read(fragment.name)
            name = pa.array([fragment.name] * len(table), pa.string())
            parts.append(table.append_column("fragment", name).filter(emitted(table)))
        table = pa.concat_tables(parts)
        salt = self.spec.seed.to_bytes(8, "little", signed=True)
        places = zip(*(table[c].to_pylist() for c in ("uid", "shard", "row")), strict=True)
        rank = [
            hashlib.blake2b(f"{shard}:{row}".encode() + uid, digest_size=8, key=salt).digest()
            for uid, shard, row in places
        ]
        return table.take(np.argsort(np.array(rank, dtype="S8"), kind="stable"))

    def samples(self, chosen: pa.Table) -> Iterator[tuple[tuple[str, int], Sample]]:
        """Yield the source samples of the chosen rows, fragment by fragment."""
        wanted: dict[str, list[int]] = {}
        pairs = zip(chosen["fragment"].to_pylist(), chosen["row"].to_pylist(), strict=True)
        for name, row in pairs:
            wanted.setdefault(name, []).append(row)
        for window in self.windows:
            for fragment in window.fragments:
                if fragment.name in wanted:
                    listed = from_parquet(fragment.catalog).take(sorted(wanted[fragment.name]))
                    for sample in read(fragment.shard, listed, self.caption):
                        yield (fragment.name, sample.row), sample


def pack(
    run: Run,
    output: str,
    catalog: Catalog,
    decided: Step | Attached,
    spec: PackSpec,
    caption: str | None,
) -> list[dict[str, Any]]:
    """Write the shards of the output and return their stats."""
    counts = dict(run.engine.each(CountEmitted(decided), catalog.identity))
    found = windows(catalog.fragments, [counts[i] for i in range(len(counts))], spec)
    total = sum(counts.values())
    pieces = [(n, a, b) for n, (a, b) in enumerate(plan(total, spec.shard_rows))]
    packer = Packer(
        output,
        decided,
        tuple(found),
        spec,
        caption,
        key_of(decided.key, vars(spec), catalog.identity),
    )
    with run.step("pack", total, output) as advance:
        advance(0)
        stats = []
        for _, stat in run.engine.each(packer, pieces):
            stats.append(stat)
            advance(stat["count"])
    write_index(output, stats)
    return sorted(stats, key=lambda stat: stat["number"])


def shard_sizes(run: Run, catalog: Catalog, decided: Step, spec: PackSpec) -> tuple[int, ...]:
    """Return the rows of each shard that `pack` would write."""
    total = sum(count for _, count in run.engine.each(CountEmitted(decided), catalog.identity))
    return tuple(stop - start for start, stop in plan(total, spec.shard_rows))


def write_ledger(run: Run, output: str, catalog: Catalog, decided: Step) -> int:
    """Write the ledger of the output, one row per input row; return its number of files."""
    names = catalog.identity
    starts = range(0, len(names), LEDGER_FRAGMENTS)
    parts = [(n, tuple(names[s : s + LEDGER_FRAGMENTS])) for n, s in enumerate(starts)]
    for _ in run.engine.each(LedgerPart(files.join(output, LEDGER), decided), parts):
        pass
    return len(parts)


@dataclass(frozen=True)
class LedgerPart:
    """Writes one file of the output's ledger."""

    folder: str
    decided: Step

    def __call__(self, part: tuple[int, tuple[str, ...]]) -> None:
        number, names = part
        table = pa.concat_tables([self.decided.read(name) for name in names])
        files.write(files.join(self.folder, f"{number:05d}.parquet"), to_parquet(table))


def claimable(output: str, shards: Sequence[Shard]) -> None:
    """Check that an output folder is empty or was written by this program.

    Raises
    ------
    ShardError
        If it holds files of somebody else, or the source.
    """
    folder = files.canonical(output)
    inside = [shard.uri for shard in shards if f"{shard.uri}/".startswith(f"{folder}/")]
    if inside:
        raise ShardError(f"output {output} holds the source {inside[0]}; name another folder")
    names = [uri.rsplit("/", 1)[-1] for uri in files.list_files(output)]
    if names and not {MARK, MANIFEST} & set(names):
        raise ShardError(
            f"output {output} is not empty and was not written by winnow, it holds {names[0]!r}; "
            "name an empty folder"
        )


def claim(output: str, key: str, shards: Sequence[Shard]) -> None:
    """Make an output folder ready: what an earlier, other run published there is withdrawn."""
    claimable(output, shards)
    files.write(files.join(output, MARK), b"")
    manifest = files.join(output, MANIFEST)
    if files.exists(manifest) and json.loads(files.read_bytes(manifest)).get("key") != key:
        files.remove(manifest)


def sweep(output: str, num_shards: int, num_ledgers: int) -> None:
    """Delete shards and ledger files that an earlier, longer run has left."""
    limits = {files.canonical(output): num_shards}
    limits[files.canonical(files.join(output, LEDGER))] = num_ledgers
    for uri in files.list_files(output):
        folder, name = uri.rsplit("/", 1)
        is_ours = folder in limits and OURS.fullmatch(name)
        if is_ours and int(re.split(r"\D", name)[0]) >= limits[folder]:
            files.remove(uri)


def publish(
    run: Run,
    output: str,
    stats: Sequence[dict[str, Any]],
    summary: Summary,
    shard_faults: Sequence[tuple[str, str]],
    captions_cut: int,
) -> None:
    """Write the manifest, which makes the output valid: readers trust only what it lists."""
    manifest = {
        "key": run.id,
        "rows": summary.rows,
        "actions": dict(sorted(summary.actions.items())),
        "shards": {tar_name(stat["number"]): stat["count"] for stat in stats},
        "hashes": {tar_name(stat["number"]): stat["tar_blake2b"] for stat in stats},
        "shard_faults": dict(shard_faults),
        "captions_cut": captions_cut,
        "versions": versions(),
    }
    text = json.dumps(manifest, indent=1, sort_keys=True)
    files.write(files.join(output, MANIFEST), text.encode())
