from collections import Counter
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from pipeline import demo
from pipeline.cli import demo_recipe
from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.engine.ray import RayEngine
from pipeline.progress import log

pytestmark = [pytest.mark.slow, pytest.mark.ray]

BROKEN = {
    "bad-json", "bad-utf8-text", "empty-image", "huge-dimensions", "missing-image", "missing-text",
    "not-an-image", "truncated-image",
}  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The bundled crawl, curated by the default recipe on both engines."""
    made = {}
    for name, engine in (("local", LocalEngine()), ("ray", RayEngine("local"))):
        folder = tmp_path_factory.mktemp(name)
        made[name] = curate(demo_recipe(), str(folder / "w"), str(folder / "o"), engine, log)
    return made


def ledger(outcome):
    return ds.dataset(f"{outcome.output}/ledger", format="parquet").to_table()


def test_both_engines_come_to_the_same_ledger_bit_for_bit(outcomes):
    assert ledger(outcomes["local"]).equals(ledger(outcomes["ray"]))


def test_both_engines_write_the_same_shards(outcomes):
    names = [f"{n:05d}.tar" for n in range(3)]
    for name in names:
        one, two = (Path(outcomes[e].output, name).read_bytes() for e in ("local", "ray"))

        assert one == two


def test_every_row_is_accounted_for_and_every_broken_file_is_found(outcomes):
    found = {group.fault: group for group in demo.compare(outcomes["ray"].output)}

    assert sum(group.rows for group in found.values()) == 1704
    for fault in BROKEN:
        assert found[fault].actions == Counter(quarantine=found[fault].rows)


def test_far_more_faults_than_clean_rows_are_removed(outcomes):
    found = {group.fault: group for group in demo.compare(outcomes["ray"].output)}

    def left(fault):
        return found[fault].actions["keep"] / found[fault].rows

    assert left(None) > 0.8
    assert left("wrong-label") < 0.35
    assert left("wrong-text") < 0.5
