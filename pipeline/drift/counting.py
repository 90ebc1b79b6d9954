"""What a profile counts in a ledger table."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, combinations
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipeline.ledger import bins, by_class, counts, exploded, scores, text_values

NUM_CLASS_BINS: Final = 5
"""Bins of the scores of one class: a class has few rows in a night."""
MAX_ROW_TAGS: Final = 32
"""Of the tags of one row, those that are counted: their pairs are as many as the square."""


def count(
    table: pa.Table, classes: Collection[str] | None, columns: Sequence[str]
) -> dict[str, Counter[Any]]:
    """Return for each of `cells.KINDS` the rows by the values of its keys; see `Profile.of`."""
    known = None if classes is None else {None, *classes}
    labels = counts(by_class(table), "label", "action")
    return {
        "action": counts(table, "action"),
        "label": _where(labels, known, is_in=True),
        "unknown": _where(labels, known, is_in=False),
        "host": counts(table, "host", "action"),
        "reason": counts(exploded(table), "reason", "action"),
        "score": Counter(
            {
                (column, at): int(num)
                for column, score in scores(table).items()
                for at, num in enumerate(bins(score))
                if num
            }
        ),
        "class-score": _where(Counter(_class_scores(table, columns)), known, is_in=True),
        "tag": Counter((tag,) for tag in chain.from_iterable(_tags(table))),
        "pair": Counter(chain.from_iterable(combinations(tags, 2) for tags in _tags(table))),
    }


def _where(found: Counter[Any], known: set[str | None] | None, *, is_in: bool) -> Counter[Any]:
    if known is None:
        return found if is_in else Counter()
    return Counter({key: num for key, num in found.items() if (key[0] in known) == is_in})


def _class_scores(table: pa.Table, columns: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    label = text_values(table, "label")
    for column, score in scores(table.select(list(dict.fromkeys(columns)))).items():
        seen = ~np.isnan(score)
        place = np.minimum(score[seen] * NUM_CLASS_BINS, NUM_CLASS_BINS - 1).astype(int)
        yield from (
            (name, column, at) for name, at in zip(label[seen], place.tolist(), strict=True)
        )


def _tags(table: pa.Table) -> list[list[str]]:
    """Return the different tags of each row, sorted, so that a pair has one name."""
    rows = (dict.fromkeys(tag for tag in tags or () if tag) for tags in table["tags"].to_pylist())
    return [sorted([*tags][:MAX_ROW_TAGS]) for tags in rows]
