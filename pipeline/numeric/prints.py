"""What is remembered of every distinct picture, so that a copy of it is known when it comes."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

EARLIER = np.uint64(1) << np.uint64(63)
"""Bit of a rank: the picture is one of an earlier run, so nothing outranks it."""


@dataclass(frozen=True)
class Prints:
    """One row per distinct picture, by rising hash: 77 bytes, or 7.7 GB per 100 million.

    Examples
    --------
    >>> one = Prints.of(
    ...     np.array([5, 5, 9], np.uint64), np.array([1, 2, 3], np.uint64),
    ...     (np.array([10, 20, 10], np.uint64), np.arange(3, dtype=np.uint32)),
    ...     np.zeros(3, np.uint64), np.zeros((3, 4), np.uint64), np.array([0, 1, -1]))
    >>> one.hash, one.key, one.repeated, one.low, one.high
    (array([5, 9], dtype=uint64), array([2, 3], dtype=uint64), array([ True, False]), \
array([0, 0], dtype=int32), array([ 1, -1], dtype=int32))
    """

    hash: NDArray[np.uint64]
    """`(m,)` hashes of the image bytes, each once."""
    key: NDArray[np.uint64]
    """`(m,)` name of the best row that has the picture."""
    rank: NDArray[np.uint64]
    """`(m,)` how good that row is: higher is better."""
    place: NDArray[np.uint32]
    """`(m,)` hash of where it lies: tells rows of one name apart."""
    phash: NDArray[np.uint64]
    """`(m,)` what the picture looks like; 0 where that is not known."""
    sketch: NDArray[np.uint64]
    """`(m, 4)` of its embedding."""
    low: NDArray[np.int32]
    high: NDArray[np.int32]
    """`(m,)` least and largest label of its rows; `low > high` where none has one."""
    repeated: NDArray[np.bool_]
    """`(m,)` whether more than one row has the picture."""

    @classmethod
    def of(
        cls,
        hash: NDArray[np.uint64],  # noqa: A002  # the field's name
        key: NDArray[np.uint64],
        order: tuple[NDArray[np.uint64], NDArray[np.uint32]],
        phash: NDArray[np.uint64],
        sketch: NDArray[np.uint64],
        label: NDArray[np.integer],
    ) -> "Prints":
        """Return the prints of a batch; `order` is rank and place, a label of -1 is none."""
        low = np.where(label < 0, 0, label).astype(np.int32)
        high = np.where(label < 0, -1, label).astype(np.int32)
        alone = np.zeros(len(hash), bool)
        return join((cls(hash, key, *order, phash, sketch, low, high, alone),))

    @classmethod
    def none(cls) -> "Prints":
        """Return the prints of no picture."""
        name = np.empty(0, np.uint64)
        order = name, np.empty(0, np.uint32)
        return cls.of(name, name, order, name, np.empty((0, 4), np.uint64), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.hash)

    def merge(self, other: "Prints") -> "Prints":
        """Return the prints of both sets of rows."""
        return join((self, other))

    def take(self, rows: NDArray[np.integer]) -> "Prints":
        """Return some of the pictures."""
        return Prints(*(getattr(self, f.name)[rows] for f in fields(self)))

    def earlier(self) -> "Prints":
        """Return the same pictures as those of an earlier run."""
        return replace(self, rank=self.rank | EARLIER)

    def best_first(self) -> NDArray[np.int64]:
        """Return the positions of the pictures, the best first."""
        return np.lexsort((self.place, self.key, ~self.rank))

    def find(self, hash: NDArray[np.uint64]) -> NDArray[np.int64]:  # noqa: A002
        """Return the `(n,)` positions of pictures by their hashes, -1 where unknown."""
        if not len(self):
            return np.full(len(hash), -1)
        place = np.minimum(np.searchsorted(self.hash, hash), len(self) - 1)
        return np.where(self.hash[place] == hash, place, -1)


def join(parts: tuple[Prints, ...]) -> Prints:
    """Return the prints of several sets of rows: of each picture its best row, the labels of all.

    Field by field: the parts may be those of a whole corpus, and no third copy is made of them.
    """

    def every(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    key, place = every("key"), every("place")
    order = np.lexsort((place, key, ~every("rank"), every("hash")))
    hashed = every("hash")[order]
    first = np.r_[True, hashed[1:] != hashed[:-1]][: len(order)]
    start = np.flatnonzero(first)
    if not len(start):
        return parts[0]
    best = order[start]
    other = (key[order][1:] != key[order][:-1]) | (place[order][1:] != place[order][:-1])
    again = np.r_[False, ~first[1:] & other] | every("repeated")[order]
    low, high = every("low"), every("high")
    low = np.where(low <= high, low, np.iinfo(np.int32).max)
    high = np.maximum.reduceat(high[order], start)
    low = np.where(high < 0, 0, np.minimum.reduceat(low[order], start)).astype(np.int32)
    sketch = np.empty((len(start), parts[0].sketch.shape[1]), np.uint64)
    for word in range(sketch.shape[1]):
        sketch[:, word] = np.concatenate([part.sketch[:, word] for part in parts])[best]
    return Prints(
        hash=hashed[start],
        key=key[best],
        rank=every("rank")[best],
        place=place[best],
        phash=every("phash")[best],
        sketch=sketch,
        low=low,
        high=high,
        repeated=np.logical_or.reduceat(again, start),
    )


@dataclass(frozen=True)
class Pile:
    """Prints that are still being gathered: joined by size, so that each is copied seldom.

    Merging a small part into all that came before, once per fragment, would copy a corpus
    thousands of times.
    """

    parts: tuple[Prints, ...]
    """The largest first."""

    def merge(self, other: "Pile") -> "Pile":
        """Return the pile of both: parts of like size are joined."""
        stack: list[Prints] = []
        for part in sorted((*self.parts, *other.parts), key=len, reverse=True):
            stack.append(part)
            while len(stack) > 1 and len(stack[-2]) <= 2 * len(stack[-1]):
                stack[-2:] = [join((stack[-2], stack[-1]))]
        return Pile(tuple(part for part in stack if len(part)))

    def joined(self) -> Prints:
        """Return the prints of all parts."""
        return join((Prints.none(), *self.parts))
