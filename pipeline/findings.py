"""What fitted cleaners tell a person: the numbers of a report that no ledger holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelNoise:
    """How many labels of each of `k` classes are wrong, and what they should be."""

    rate: NDArray[np.float64]
    """`(k,)` shares in [0, 1] of wrong labels among those of a class; NaN where not known."""
    meant: NDArray[np.int64]
    """`(k,)` the class that most of the wrongly labelled rows belong to; -1 where not known."""
    share: NDArray[np.float64]
    """`(k,)` shares in [0, 1] of the labels of a class that should be that one; else 0."""

    @classmethod
    def of_rate(cls, rate: NDArray[np.float64]) -> "LabelNoise":
        """Return rates alone, where nothing is known of what labels should be.

        Examples
        --------
        >>> LabelNoise.of_rate(np.array([0.1, np.nan])).meant
        array([-1, -1])
        """
        return cls(rate, np.full(len(rate), -1), np.zeros(len(rate)))


@dataclass(frozen=True)
class Kinship:
    """How `m` opinions that a cleaner combines move together, and what each of them counts."""

    name: tuple[str, ...]
    """What each opinion is called."""
    alike: NDArray[np.float64]
    """`(m, m)` in [-1, 1]: 0 is independent, 1 the same; 1 on the diagonal."""
    say: NDArray[np.float64]
    """`(m,)` weights in (0, 1]: those that are alike share one vote."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What one cleaner has found out; everything may be missing.

    Arrays are `(k,)`, in the order of the classes.
    """

    noise: LabelNoise | None = None
    coding_rate: NDArray[np.float64] | None = None
    """Nats per row, 0 or more: how much room the images of a class take up."""
    gain: NDArray[np.float64] | None = None
    """Nats by which that falls without the rows of the class that are suspect."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Shares in [0, 1] of the whole corpus, by what they are of, in words."""
    kinship: Kinship | None = None


@runtime_checkable
class Telling(Protocol):
    """A cleaner whose state holds something that a person would want to see."""

    def tell(self, state: Any) -> Findings:
        """Return what the state says; nothing where the cleaner abstains."""
        ...
