"""How many rows and shards may be faulty before a run is not worth going on with."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from pipeline.contract import Limits
from pipeline.errors import BudgetError
from pipeline.report.summary import Summary
from pipeline.store.catalog import Catalog

MIN_ROWS: Final = 100
"""Fewer quarantined rows than this never end a run: a share of a handful says nothing."""
MIN_SHARDS: Final = 10
"""Fewer faulty shards than this never end a run."""
FAILED_DOWNLOAD: Final = "download-failed"
"""Rows that the crawler has never had: most of an old list of links, and no fault of the data."""


class Budget:
    """Counts the quarantined rows of a step that is under way.

    It refuses to go on as soon as the share of the whole corpus is certain to be passed, so the
    order in which the rows come makes no difference.
    """

    def __init__(self, limits: Limits, num_rows: int) -> None:
        self.limits = limits
        self.num_rows = num_rows
        self.faults: Counter[str] = Counter()

    def count(self, faults: Mapping[str, int]) -> None:
        """Add the faults of some rows, by reason.

        Raises
        ------
        BudgetError
            If they are more than the recipe bears.
        """
        self.faults.update(faults)
        failed = self.faults[FAILED_DOWNLOAD]
        check_rows(self.limits, self.faults - Counter({FAILED_DOWNLOAD: failed}), self.num_rows)


def check_rows(limits: Limits, faults: Counter[str], num_rows: int) -> None:
    """Check that no more rows are quarantined than the recipe bears.

    Raises
    ------
    BudgetError
        If there are more, with the reasons counted.
    """
    if faults.total() >= MIN_ROWS and faults.total() > limits.quarantined * num_rows:
        raise BudgetError(
            f"limits.quarantined {limits.quarantined:g} is passed: {faults.total():,} of "
            f"{num_rows:,} rows cannot be used, {told(faults)}; check the source and "
            "source.caption, or raise limits.quarantined; what is done is kept"
        )


def check_summary(limits: Limits, summary: Summary) -> None:
    """Check the quarantined rows of a whole run, those of earlier attempts included.

    Raises
    ------
    BudgetError
        If there are more than the recipe bears.
    """
    reasons = summary.reasons.items()
    faults = Counter({r: num for (r, action), num in reasons if action == "quarantine"})
    failed = faults.pop(FAILED_DOWNLOAD, 0)
    check_rows(limits, faults, summary.rows - failed)


def check_shards(limits: Limits, catalog: Catalog) -> None:
    """Check that no more shards are faulty than the recipe bears.

    Raises
    ------
    BudgetError
        If there are more, with the faults counted.
    """
    uris = {fragment.shard.uri for fragment in catalog.fragments}
    faulty = dict(catalog.faults)
    num_shards = len(uris | faulty.keys())
    if len(faulty) >= MIN_SHARDS and len(faulty) > limits.faulty_shards * num_shards:
        raise BudgetError(
            f"limits.faulty_shards {limits.faulty_shards:g} is passed: {len(faulty):,} of "
            f"{num_shards:,} shards are faulty, {told(Counter(faulty.values()))}; check the source "
            "(was its copy complete?), or raise limits.faulty_shards"
        )


def told(faults: Counter[str]) -> str:
    """Return reasons with their counts, the commonest first."""
    return ", ".join(f"{reason} {num:,}" for reason, num in faults.most_common())
