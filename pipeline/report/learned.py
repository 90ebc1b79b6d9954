"""What the cleaners learned, as the report shows it: one row per class, and shares of all rows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final, NamedTuple

import numpy as np
from markupsafe import Markup

from pipeline.findings import Findings
from pipeline.ledger import SEVERAL
from pipeline.report.plots import estimates
from pipeline.report.summary import Summary

NUM_CLASSES: Final = 50
"""Classes that are listed."""

Told = Mapping[str, Findings]
"""Findings by cleaner."""


class ClassFindings(NamedTuple):
    """What the cleaners have found out about one class; None where nobody knows."""

    name: str
    noise: float | None
    """The median of what the cleaners say of its labels."""
    svg: Markup
    by_cleaner: Mapping[str, float | None]
    """What each of them says."""
    meant: str | None
    """The class that most of its wrong labels should be."""
    meant_share: float
    """Share of its labels that should be that one."""
    coding_rate: float | None
    gain: float | None


class CorpusShare(NamedTuple):
    """A share of the whole corpus, as one cleaner sees it."""

    what: str
    cleaner: str
    share: float


def view_of(told: Told, names: Sequence[str], summary: Summary) -> dict[str, Any]:
    """Return what the template shows, under the names it uses.

    Parameters
    ----------
    told
        What there is to show.
    names
        Of the `k` classes, in the order that findings have.
    summary
        The run: classes without rows in it are left out, unless rows have several labels.
    """
    seen = {label for label, _ in summary.classes}
    order = ranked(told, len(names))
    listed = [c for c in order if names[c] in seen or SEVERAL in seen]
    return {
        "learned": [_class_findings(told, names, c) for c in listed[:NUM_CLASSES]],
        "num_learned": len(listed),
        "noisy": [name for name, found in told.items() if found.noise],
        "has_rates": any(found.coding_rate is not None for found in told.values()),
        "shares": shares(told),
        "kinships": {name: found.kinship for name, found in told.items() if found.kinship},
    }


def ranked(told: Told, num_classes: int) -> list[int]:
    """Return the classes of which something is known, those with the noisiest labels first.

    Of equally noisy ones those come first that gain most by losing their suspects.

    Examples
    --------
    >>> from pipeline.findings import LabelNoise
    >>> rates = ([0.1, 0.3, np.nan], [0.2, 0.2, np.nan])
    >>> told = {str(r): Findings(noise=LabelNoise.of_rate(np.array(r))) for r in rates}
    >>> ranked(told, 3)
    [1, 0]
    """
    noise = np.array([_noise(told, c) for c in range(num_classes)], float)
    gain = np.array([_known(told, "gain", c) for c in range(num_classes)], float)
    order = np.lexsort((-np.nan_to_num(gain), -np.nan_to_num(noise, nan=-1.0)))
    return [int(c) for c in order if not np.isnan(noise[c]) or not np.isnan(gain[c])]


def shares(told: Told) -> list[CorpusShare]:
    """Return the shares of the corpus; those that are of the same stand together."""
    found = [
        CorpusShare(what, cleaner, min(max(share, 0.0), 1.0))
        for cleaner, findings in told.items()
        for what, share in findings.shares.items()
    ]
    first = {share.what: at for at, share in reversed(list(enumerate(found)))}
    return sorted(found, key=lambda share: first[share.what])


def _class_findings(told: Told, names: Sequence[str], c: int) -> ClassFindings:
    says = {name: _number(found.noise.rate[c]) for name, found in told.items() if found.noise}
    noise = _noise(told, c)
    meant, share = _meant(told, c)
    return ClassFindings(
        name=names[c],
        noise=noise,
        svg=estimates(noise, {name: rate for name, rate in says.items() if rate is not None}),
        by_cleaner=says,
        meant=None if meant is None else names[meant],
        meant_share=share,
        coding_rate=_known(told, "coding_rate", c),
        gain=_known(told, "gain", c),
    )


def _noise(told: Told, c: int) -> float | None:
    """Return the median of what is said of the labels of a class."""
    says = [found.noise.rate[c] for found in told.values() if found.noise]
    known = [rate for rate in says if not np.isnan(rate)]
    return float(median(known)) if known else None


def _meant(told: Told, c: int) -> tuple[int | None, float]:
    """Return the class that the labels of one should be, as most say, and the mean share."""
    votes = defaultdict(list)
    for found in told.values():
        if found.noise and found.noise.meant[c] >= 0:
            votes[int(found.noise.meant[c])].append(float(found.noise.share[c]))
    if not votes:
        return None, 0.0
    meant, says = max(votes.items(), key=lambda vote: (sum(vote[1]), -vote[0]))
    return meant, sum(says) / len(says)


def _known(told: Told, field: str, c: int) -> float | None:
    """Return a number of a class from the first cleaner that has it."""
    arrays = (getattr(found, field) for found in told.values())
    known = (_number(array[c]) for array in arrays if array is not None)
    return next((value for value in known if value is not None), None)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
