"""Memory is bounded by the configuration: eight times the corpus takes hardly more of it.

`WINNOW_SOAK=1` takes corpora ten times as large, and output shards no larger.
"""

import pytest

from jobs.bench.audit import audit
from jobs.bench.corpus import Corpus, write
from jobs.bench.processes import alone, peak
from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.recipe import parse_recipe
from pipeline.shards import spans, spool
from tests.conftest import untracked
from tests.faults.soak import IS_SOAK

FACTOR = 10 if IS_SOAK else 1
SMALL, LARGE = 200 * FACTOR, 1600 * FACTOR
SHARD_ROWS = 200
PACK_ROWS = 1600
"""Rows of an output shard, and rows that are shuffled together: each is about 1 kB in memory."""
PICTURE_BLOCKS = 100
"""Pictures of 50 kB: 80 MB of them in an output shard."""
BUDGET_BYTES = 4 * 2**20
"""Less than the usual, so that the smaller corpus fills it too."""
MAX_GROWTH_BYTES = 40 * 2**20


def peak_of(corpus):
    """Return the memory of a process that curates a corpus."""
    spool.MEMORY_BYTES = spans.BATCH_BYTES = BUDGET_BYTES
    raw = corpus.recipe() | {"cleaners": [], "policy": {"name": "none", "rules": []}}
    raw["pack"] = {"shard_rows": PACK_ROWS, "window_rows": PACK_ROWS}
    raw["source"] |= {"fragment_rows": 100}
    folder = corpus.folder.parent
    curate(
        parse_recipe(raw),
        str(folder / "workspace"),
        str(folder / "output"),
        LocalEngine(),
        untracked,
    )
    return peak()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(tmp_path):
    peaks = []
    for num_rows in (SMALL, LARGE):
        corpus = Corpus(
            tmp_path / str(num_rows) / "crawl", num_rows, num_rows // SHARD_ROWS, PICTURE_BLOCKS
        )
        write(corpus)

        peaks.append(alone(peak_of, corpus))

        assert audit(corpus, tmp_path / str(num_rows) / "output") == []
    assert peaks[1] - peaks[0] < MAX_GROWTH_BYTES
