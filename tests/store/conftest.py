from types import SimpleNamespace

import pyarrow as pa
import pytest

from pipeline.schema import LEDGER
from pipeline.shards.find import find_shards
from pipeline.store import catalog as catalogs


def ignore(rows):
    pass


def ledger_row(fragment, sample):
    return {
        "uid": sample.key.encode().ljust(16),
        "key": sample.key,
        "shard": fragment.shard.uri,
        "row": sample.row,
        "extension": sample.extension,
        "action": "quarantine" if sample.fault else ["keep", "relabel", "drop"][sample.row % 3],
        "label": "oak",
        "new_label": None,
        "weight": 1.0,
        "reasons": [],
    }


@pytest.fixture
def make_decided(run):
    """Indexes the shards of a folder and decides: rows are kept, relabelled and dropped in turn."""

    def make(folder, fragment_rows=4):
        shards = find_shards(str(folder))
        catalog = catalogs.build(
            run.workspace, shards, run.engine, fragment_rows, lambda _rows: None
        )
        step = run.workspace.step("decide", str(folder))
        for fragment in catalog.fragments:
            rows = [ledger_row(fragment, sample) for sample in fragment.samples("auto")]
            step.write(fragment.name, pa.Table.from_pylist(rows, LEDGER))
        return SimpleNamespace(catalog=catalog, step=step)

    return make


@pytest.fixture
def decided(make_decided, crawl):
    """A catalog, and a ledger with every action."""
    return make_decided(crawl.folder)
