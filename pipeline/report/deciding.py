"""Which rule of the policy decided a row: the one whose threshold the score exceeds by most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Thresholds = Mapping[str, Sequence[tuple[str, float]]]
"""Score column to the reasons it gives, each with the score from which it is given."""


class Rule(NamedTuple):
    """A threshold, with the scores of a table that are held against it."""

    column: str
    reason: str
    value: float
    score: NDArray[np.float64]
    """`(n,)`, NaN where the cleaner abstains."""


class Verdict(NamedTuple):
    """A rule as it applies to one row; all None where no rule does."""

    column: str | None = None
    score: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Choice:
    """The deciding rule of every row of a table."""

    rules: tuple[Rule, ...]
    best: NDArray[np.intp]
    """`(n,)` index into `rules`."""
    margin: NDArray[np.float64]
    """`(n,)` score minus threshold of that rule; -inf where no rule applies."""
    score: NDArray[np.float64]
    """`(n,)` score of that rule; -inf where no rule applies."""

    @classmethod
    def of(cls, rules: Sequence[Rule], allowed: NDArray[np.bool_]) -> "Choice":
        """Choose among the rules for each row.

        Parameters
        ----------
        rules
            Any number `p` of rules.
        allowed
            `(p, n)`, false where a rule must not be chosen for a row.
        """
        num_rows = allowed.shape[1]
        if not rules:
            nothing = np.full(num_rows, -np.inf)
            return cls((), np.zeros(num_rows, np.intp), nothing, nothing)
        score = np.stack([rule.score for rule in rules])
        margin = score - np.array([[rule.value] for rule in rules])
        margin[~allowed | np.isnan(margin)] = -np.inf
        best = margin.argmax(axis=0), np.arange(num_rows)
        chosen = np.where(np.isneginf(margin[best]), -np.inf, score[best])
        return cls(tuple(rules), best[0], margin[best], chosen)

    def verdict(self, row: int) -> Verdict:
        """Return the deciding rule of one row."""
        if np.isneginf(self.margin[row]):
            return Verdict()
        rule = self.rules[self.best[row]]
        return Verdict(rule.column, float(self.score[row]), rule.value)
