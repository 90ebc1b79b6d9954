"""Whether cleaners agree: how often two of them doubt the same labels."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import sqrt
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.ledger import scores

DOUBT: Final = 0.5
"""Probability of a wrong label above which a cleaner doubts it."""
DOUBTS: Final = ".label"
"""How the columns end that hold such a probability."""


class Overlap(NamedTuple):
    """Rows that both of two cleaners have judged, by which of them doubt the label."""

    both: int
    first: int
    second: int
    neither: int

    def __add__(self, other: object) -> "Overlap":
        """Return the counts of both sets of rows."""
        if not isinstance(other, Overlap):
            return NotImplemented
        return Overlap(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def correlation(self) -> float | None:
        """The correlation of the two doubts, in [-1, 1]; None if one doubts all rows or none.

        Low means that they find different rows and complement each other.

        Examples
        --------
        >>> Overlap(5, 0, 0, 5).correlation, Overlap(0, 5, 0, 0).correlation
        (1.0, None)
        """
        both, first, second, neither = self
        spread = (both + first) * (second + neither) * (both + second) * (first + neither)
        return (both * neither - first * second) / sqrt(spread) if spread else None


Overlaps = Mapping[tuple[str, str], Overlap]
"""By two columns, in the order of the alphabet."""


def overlaps(table: pa.Table) -> dict[tuple[str, str], Overlap]:
    """Return the overlap of every two columns of a ledger that doubt labels."""
    judged = {name: value for name, value in scores(table).items() if name.endswith(DOUBTS)}
    found = {}
    for one, two in combinations(sorted(judged), 2):
        seen = ~np.isnan(judged[one]) & ~np.isnan(judged[two])
        first, second = judged[one][seen] > DOUBT, judged[two][seen] > DOUBT
        cells = (first & second, first & ~second, second & ~first, ~first & ~second)
        found[one, two] = Overlap(*(int(cell.sum()) for cell in cells))
    return found


def matrix(found: Overlaps) -> tuple[Sequence[str], list[list[float | None]]]:
    """Return the columns, and the correlation of each with each; 1 on the diagonal."""
    names = sorted({name for pair in found for name in pair})
    table: list[list[float | None]] = [[1.0 for _ in names] for _ in names]
    for (one, two), overlap in found.items():
        a, b = names.index(one), names.index(two)
        table[a][b] = table[b][a] = overlap.correlation
    return names, table
