"""Sums over the nights before: `total = merge(until yesterday, tonight)`.

A pass over the corpus is named by its function with all that is bound to it, and by the nights
that it has gone over. What it found is kept as arrays, so that the next night adds its own rows. A
pass whose function follows from the corpus itself, such as the second round of a fit, has another
name every night: it goes over all rows again, and is exact all the same.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass
from importlib.metadata import version
from typing import Any, TypeVar

import joblib
import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.record import from_arrays, to_arrays
from pipeline.shards import files
from pipeline.store import states
from pipeline.store.workspace import key_of

Statistic = TypeVar("Statistic")

ARRAY = "array"
"""Name of the one array of a statistic that is no record."""


@dataclass(frozen=True)
class Totals:
    """The sums that nights keep for one cleaner."""

    folders: tuple[str, ...]
    """Where each night keeps the sums up to itself, tonight's last."""
    name: str = ""
    """The cleaner."""

    def of(self, function: Any, nights: Sequence[str]) -> "Total":
        """Return the sums of one pass.

        Parameters
        ----------
        function
            All that the pass depends on beside the rows.
        nights
            What names the rows of every night, tonight's last.
        """
        try:
            digest = joblib.hash([version("webwinnow"), function])  # it may count otherwise
        except (pickle.PicklingError, AttributeError, TypeError):
            digest = None  # a local function has no name by which it is known tomorrow
        folders = [
            files.join(folder, f"{self.name}-{key_of(digest, list(nights[:end]))}")
            for end, folder in enumerate(self.folders, start=1)
        ]
        return Total(tuple(folders) if digest else ())


class Total:
    """The sums of one pass over the first nights, over the first two, and so on to tonight."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self._folders = folders
        self.num_nights = 0
        """How many nights are in what `latest` has returned."""

    def latest(self, kind: type[Statistic]) -> Statistic | None:
        """Return the sum over as many earlier nights as are known; None without any.

        Raises
        ------
        SchemaError
            If its file is damaged.
        """
        if not is_kept(kind):
            return None
        for num_nights in range(len(self._folders) - 1, 0, -1):
            arrays = states.load(self._folders[num_nights - 1])
            if arrays is not None:
                self.num_nights = num_nights
                return restored(kind, arrays)
        return None

    def keep(self, total: Any) -> None:
        """Keep the sum over all nights."""
        if self._folders and is_kept(type(total)):
            record = to_arrays(total) if is_dataclass(total) else {ARRAY: np.asarray(total)}
            if not any(array.dtype.hasobject for array in record.values()):
                states.save(self._folders[-1], record)


def is_kept(kind: type) -> bool:
    """Return whether statistics of a type can be written as arrays."""
    return is_dataclass(kind) or issubclass(kind, np.ndarray | np.generic)


def restored(kind: type[Statistic], arrays: dict[str, NDArray[Any]]) -> Statistic:
    """Return the statistic that `Total.keep` has written."""
    if is_dataclass(kind):
        return from_arrays(kind, arrays)
    array: Any = arrays[ARRAY]
    return array if issubclass(kind, np.ndarray) else array[()]
