from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pytest

from pipeline.policy.presets import PRESETS
from pipeline.report.summary import Summary, merge
from pipeline.schema import LEDGER
from pipeline.store import settle
from pipeline.store.settle import Summarise

ACTIONS = ("keep", "drop", "relabel", "quarantine")
SCORED = pa.schema([*LEDGER, ("match.label", pa.float32()), ("caption", pa.string())])


def row(number):
    return {
        "uid": bytes([number]) * 16,
        "key": f"{number:03d}",
        "shard": "s",
        "row": number,
        "action": ACTIONS[number % 4],
        "label": "cat" if number % 3 else None,
        "reasons": ["label-mismatch"] if number % 4 else [],
        "match.label": number / 64,
        "caption": f"picture {number}",
    }


@dataclass(frozen=True)
class Held:
    """Fragments of a ledger with captions, in memory."""

    tables: dict[str, pa.Table]

    def read(self, fragment, columns=None):
        table = self.tables[fragment]
        return table.select(columns) if columns else table.drop_columns("caption")


@pytest.fixture
def held():
    spans = [(0, 5), (5, 6), (6, 20), (20, 20), (20, 33)]
    rows = [row(number) for number in range(33)]
    return Held(
        {
            f"0123456789abcdef-{a:09d}-{b - a:05d}": pa.Table.from_pylist(rows[a:b], SCORED)
            for a, b in spans
        }
    )


@pytest.mark.parametrize(("most_rows", "num_parts"), [(33, 1), (32, 5)])
def test_small_fragments_are_summed_up_at_once_and_large_ones_one_by_one(
    most_rows, num_parts, held, monkeypatch
):
    policy, summed, of = PRESETS["balanced"], [], Summary.of
    expected = reduce(merge, [of(table, policy.thresholds) for table in held.tables.values()])
    monkeypatch.setattr(settle, "SUMMED_ROWS", most_rows)
    monkeypatch.setattr(Summary, "of", lambda *given: summed.append(given) or of(*given))

    found = Summarise(held, held, policy)(tuple(held.tables))

    assert found == expected
    assert found.rows == 33
    assert len(summed) == num_parts
