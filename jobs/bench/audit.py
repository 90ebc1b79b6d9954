"""Hold an output against the crawl it was made of: every row once, and broken ones nowhere."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.bench.corpus import BROKEN_EVERY, Corpus
from pipeline.store.settle import EMITTED


def audit(corpus: Corpus, output: Path) -> list[str]:
    """Return what is wrong with an output; each row is looked for by its shard and position."""
    actions = ("keep", "relabel", "drop", "quarantine")
    said = {action: np.zeros(corpus.num_rows, np.uint8) for action in actions}
    for table in tables(output / "ledger", "action"):
        for action, count in said.items():
            tally(corpus, table.filter(pc.equal(table["action"], action)), count)
    packed = np.zeros(corpus.num_rows, np.uint8)
    for table in tables(output):
        tally(corpus, table, packed)
    broken = np.arange(corpus.num_rows) % corpus.shard_rows % BROKEN_EVERY == 0
    uids = np.load(output / "uids.npy", mmap_mode="r")
    sizes = json.loads((output / "sizes.json").read_bytes())
    found = {
        "rows lost or twice in the ledger": (sum(said.values()) != 1).sum(),
        "rows wrongly in quarantine or out of it": (said["quarantine"] != broken).sum(),
        "rows lost or twice in the shards": (packed != sum(said[a] for a in EMITTED)).sum(),
        "rows too many or too few in sizes.json": abs(sum(sizes.values()) - packed.sum()),
        "uids lost or twice": abs(len(uids) - packed.sum()) + (uids[1:] == uids[:-1]).sum(),
    }
    return [f"{count} {what}" for what, count in found.items() if count]


def tables(folder: Path, *columns: str) -> Iterable[pa.Table]:
    """Yield the tables of a folder one by one."""
    for path in sorted(folder.glob("*.parquet")):
        yield pq.read_table(path, columns=["shard", "row", *columns])


def tally(corpus: Corpus, table: pa.Table, count: NDArray[np.uint8]) -> None:
    """Count the rows of a table at their positions in the crawl."""
    stem = pc.utf8_slice_codeunits(pc.cast(table["shard"], pa.string()), -9, -4)
    at = pc.cast(stem, pa.int64()).to_numpy() * corpus.shard_rows + table["row"].to_numpy()
    np.add.at(count, at, 1)
