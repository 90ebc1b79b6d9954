"""Claim an output, write its ledger, and publish it: the manifest comes last of all."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from pipeline.errors import ShardError
from pipeline.report.summary import Summary
from pipeline.shards import files
from pipeline.shards.find import Shard
from pipeline.shards.manifest import LEASE, LEDGER, MANIFEST, MARK
from pipeline.store.catalog import Catalog
from pipeline.store.place import TIERS
from pipeline.store.run import Run, versions
from pipeline.store.workspace import Step, to_parquet

LEDGER_FRAGMENTS = 64
"""Fragments in one ledger file of the output."""
OURS = re.compile(rf"((?:(?:{'|'.join(TIERS)}|{LEDGER})/)?\d{{5,}})(\.tar|\.parquet|_stats\.json)")


@dataclass(frozen=True)
class Edition:
    """What tells one content of an output from another."""

    key: str
    """The run: its recipe, classes, answers and source."""
    decided: str
    """The decisions, and with them the weights of the encoder and all that led to them."""

    @classmethod
    def read(cls, uri: str) -> "Edition | None":
        """Return the edition that a manifest lists, or None if it is damaged."""
        try:
            manifest = json.loads(files.read_bytes(uri))
            return cls(manifest["key"], manifest["decided"])
        except (ValueError, TypeError, LookupError, RecursionError):
            return None


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
    leases = files.canonical(files.join(output, LEASE)) + "/"
    found = [uri for uri in files.list_files(output) if not uri.startswith(leases)]
    names = [uri.rsplit("/", 1)[-1] for uri in found]
    if names and not {MARK, MANIFEST} & set(names):
        raise ShardError(
            f"output {output} is not empty and was not written by winnow, it holds {names[0]!r}; "
            "name an empty folder"
        )


def claim(output: str, edition: Edition, shards: Sequence[Shard]) -> None:
    """Make an output folder ready: a manifest of anything else than `edition` is withdrawn."""
    claimable(output, shards)
    files.write(files.join(output, MARK), b"")
    manifest = files.join(output, MANIFEST)
    if files.exists(manifest) and Edition.read(manifest) != edition:
        files.remove(manifest)


def sweep(output: str, tars: Collection[str], num_ledgers: int) -> None:
    """Delete shards and ledger files that an earlier run has left.

    Parameters
    ----------
    output
        Folder of the output.
    tars
        What it holds now, as paths in it.
    num_ledgers
        Files of its ledger.
    """
    kept = {tar.removesuffix(".tar") for tar in tars}
    kept |= {f"{LEDGER}/{number:05d}" for number in range(num_ledgers)}
    folder = files.canonical(output) + "/"
    for uri in files.list_files(output):
        path = uri.removeprefix(folder)
        if (ours := OURS.fullmatch(path)) and ours[1] not in kept:
            files.remove(uri)


def publish(
    output: str,
    edition: Edition,
    made: Mapping[str, dict[str, Any]],
    summary: Summary,
    shard_faults: Sequence[tuple[str, str]],
    captions_cut: int,
) -> None:
    """Write the manifest, which makes the output valid: readers trust only what it lists.

    `made` holds the stats of every shard by the path of its tar.
    """
    manifest = {
        **asdict(edition),
        "rows": summary.rows,
        "actions": dict(sorted(summary.actions.items())),
        "shards": {tar: stat["count"] for tar, stat in made.items()},
        "hashes": {tar: stat["tar_blake2b"] for tar, stat in made.items()},
        "shard_faults": dict(shard_faults),
        "captions_cut": captions_cut,
        "versions": versions(),
    }
    text = json.dumps(manifest, indent=1, sort_keys=True)
    files.write(files.join(output, MANIFEST), text.encode())
