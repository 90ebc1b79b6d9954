"""Pictures that are not alone: pairs of near prints, and the groups that follow from them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.numeric.hamming import BITS, cosine, distance, near_sketches, near_words, slack
from pipeline.numeric.prints import Prints
from pipeline.numeric.representatives import representatives

PERCEPTUAL, SEMANTIC = 2, 3


@dataclass(frozen=True)
class Limits:
    """What counts as near."""

    distance: int
    """Bits of the pHashes that may differ."""
    floor: float
    """Least cosine of those."""
    semantic: float | None
    """Least cosine of pictures whose pHashes are not near; None = never."""

    def near(
        self, distance: NDArray[np.integer], cosine: NDArray[np.floating]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which pairs look alike, and which mean the same."""
        alike = (distance <= self.distance) & (cosine >= self.floor)
        least = np.inf if self.semantic is None else self.semantic
        return alike, ~alike & (cosine >= least)

    def score(
        self, distance: NDArray[np.integer], cosine: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Return how sure a copy is: .95 down to .5 by its look, .45 down to .05 by its meaning."""
        alike, same = self.near(distance, cosine)
        look = 0.95 - 0.45 * distance / max(self.distance, 1)
        least = 1.0 if self.semantic is None else min(self.semantic, 1.0)
        meaning = 0.05 + 0.4 * (cosine - least) / max(1.0 - least, 1e-9)
        return np.select([alike, same], [look, np.clip(meaning, 0.05, 0.45)], 0.0).astype("f4")


@dataclass(frozen=True)
class Near:
    """Pairs of pictures that may be copies, by rising hash of the worse one."""

    worse: NDArray[np.uint64]
    better: NDArray[np.uint64]
    """`(p,)` hashes."""
    distance: NDArray[np.int64]
    """`(p,)` bits in which their pHashes differ; 64 where one has none."""
    cosine: NDArray[np.float64]
    """`(p,)` cosines of their embeddings."""

    def of(self, hash: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:  # noqa: A002
        """Return the pairs whose worse picture is one of `(n,)`: positions in both, aligned."""
        start = np.searchsorted(self.worse, hash, side="left")
        count = np.searchsorted(self.worse, hash, side="right") - start
        row = np.repeat(np.arange(len(hash)), count)
        first = np.repeat(start - np.r_[0, np.cumsum(count)[:-1]][: len(start)], count)
        return row, first + np.arange(len(row))

    def within(self, limits: Limits, cosine: NDArray[np.float64]) -> "Near":
        """Return the pairs that are near by cosines measured anew."""
        alike, same = limits.near(self.distance, cosine)
        return replace(self, cosine=cosine).take(alike | same)

    def take(self, rows: NDArray[np.bool_]) -> "Near":
        """Return some of the pairs."""
        return Near(self.worse[rows], self.better[rows], self.distance[rows], self.cosine[rows])


def near_prints(prints: Prints, limits: Limits, *, is_certain: bool) -> Near:
    """Return the pairs of pictures that are near by their pHashes or sketches.

    Parameters
    ----------
    prints
        Of all pictures.
    limits
        What counts as near.
    is_certain
        Whether the sketches decide; else pairs that they may be wrong about are returned too.
    """
    order = prints.best_first()
    phash, sketch = prints.phash[order], prints.sketch[order]
    looks = np.flatnonzero(phash)
    found = [looks[near_words(phash[looks], limits.distance)]]
    lenient = limits if is_certain else relaxed(limits)
    if lenient.semantic is not None:
        found.append(near_sketches(sketch, lenient.semantic))
    pair = np.unique(np.concatenate(found), axis=0)
    better, worse = pair[:, 0], pair[:, 1]
    apart = distance(phash[better, None], phash[worse, None])
    apart = np.where((phash[better] == 0) | (phash[worse] == 0), BITS, apart)
    hashed, by = prints.hash[order], np.argsort(prints.hash[order[worse]], kind="stable")
    near = Near(hashed[worse], hashed[better], apart, cosine(sketch[better], sketch[worse]))
    near = Near(near.worse[by], near.better[by], near.distance[by], near.cosine[by])
    return near.within(lenient, near.cosine)


def relaxed(limits: Limits) -> Limits:
    """Return limits that leave room for the error of sketches."""
    semantic = None if limits.semantic is None else slack(limits.semantic)
    return Limits(limits.distance, slack(limits.floor), semantic)


@dataclass(frozen=True)
class Groups:
    """Pictures that more than one row has, or that are near another: by rising hash."""

    hash: NDArray[np.uint64]
    """`(c,)`."""
    key: NDArray[np.uint64]
    place: NDArray[np.uint32]
    """`(c,)` name and place of the best row that has the picture."""
    group: NDArray[np.uint64]
    """`(c,)` name of the row that stands for the group."""
    score: NDArray[np.float32]
    """`(c,)` how surely that best row is a copy of another picture."""
    kind: NDArray[np.int8]
    """`(c,)` 0 stands for its group, 2 looks like the one that does, 3 means the same."""
    conflict: NDArray[np.bool_]
    """`(c,)` whether the labels of the group differ."""

    @classmethod
    def of(cls, prints: Prints, near: Near, limits: Limits) -> "Groups":
        """Return the groups that pairs of near pictures make."""
        order = prints.best_first()
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        pair = np.c_[rank[prints.find(near.better)], rank[prints.find(near.worse)]]
        lead = np.empty_like(order)
        lead[order] = order[representatives(len(order), pair)]
        score, kind = np.zeros(len(order), np.float32), np.zeros(len(order), np.int8)
        worse = prints.find(near.worse)
        chosen = lead[worse] == prints.find(near.better)
        score[worse[chosen]] = limits.score(near.distance, near.cosine)[chosen]
        alike, _ = limits.near(near.distance, near.cosine)
        kind[worse[chosen]] = np.where(alike, PERCEPTUAL, SEMANTIC)[chosen]
        size = np.bincount(lead, minlength=len(order))
        member = np.flatnonzero((size[lead] > 1) | prints.repeated)
        conflict = conflicts(prints, lead)[member]
        every = prints.take(member)
        group = prints.key[lead[member]]
        return cls(every.hash, every.key, every.place, group, score[member], kind[member], conflict)

    @classmethod
    def placeholder(cls) -> "Groups":
        """Return one picture that stands for nothing."""
        name, no = np.zeros(1, np.uint64), np.zeros(1, bool)
        score, kind = np.zeros(1, np.float32), np.zeros(1, np.int8)
        return cls(name, name, np.zeros(1, np.uint32), name, score, kind, no)

    def find(self, hash: NDArray[np.uint64]) -> NDArray[np.int64]:  # noqa: A002
        """Return the `(n,)` positions of pictures, -1 where one is alone."""
        place = np.minimum(np.searchsorted(self.hash, hash), max(len(self.hash) - 1, 0))
        known = self.hash[place] == hash if len(self.hash) else np.zeros(len(hash), bool)
        return np.where(known, place, -1)


def conflicts(prints: Prints, lead: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the `(m,)` pictures in whose group two labels differ."""
    low = np.full(len(lead), np.iinfo(np.int64).max)
    high = np.full(len(lead), -1)
    labelled = prints.low <= prints.high
    np.minimum.at(low, lead[labelled], prints.low[labelled])
    np.maximum.at(high, lead[labelled], prints.high[labelled])
    return np.asarray((low < high)[lead])
