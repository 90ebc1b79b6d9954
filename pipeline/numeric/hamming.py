"""Bit strings that are near each other: found by sorting, never by comparing all pairs."""

from functools import lru_cache
from hashlib import shake_256
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

WORDS = 4
"""64-bit words of a sketch."""
BITS = 64
AT_ONCE = 2**18
"""Rows whose pairs are looked at together."""
WINDOW = 16
"""Rows of one bucket that a row is compared with, beside the best of the bucket."""

Pairs = NDArray[np.int64]
"""`(p, 2)` positions of rows, the better first: rows are given the best first."""


def sketch(vector: NDArray[np.floating]) -> NDArray[np.uint64]:
    """Return `(n, 4)` words: on which side of 256 fixed hyperplanes each of `(n, d)` rows lies.

    Charikar 2002, "Similarity estimation techniques from rounding algorithms".

    Examples
    --------
    >>> word = sketch(np.array([[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]]))
    >>> int(distance(word[0], word[1])), round(float(cosine(word[0], word[1])), 3)
    (256, -1.0)
    """
    side = np.asarray(vector, np.float32) @ _planes(vector.shape[1]) > 0
    return np.packbits(side, axis=1).view(">u8").astype(np.uint64)


@lru_cache(maxsize=4)
def _planes(num_dims: int) -> NDArray[np.float32]:
    """Return `(d, 256)` normals, the same on every machine and in every release."""
    drawn = shake_256(b"hyperplanes").digest(num_dims * WORDS * BITS * 4)
    uniform = (np.frombuffer(drawn, "<u4") + 0.5) / 2.0**32
    return ndtri(uniform).reshape(num_dims, WORDS * BITS).astype(np.float32)


def distance(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the bits in which words differ, summed over the last axis."""
    return np.bitwise_count(one ^ other).astype(np.int64).sum(axis=-1)


def cosine(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the cosines that sketches tell of, to about 0.02 where rows are near."""
    return np.cos(np.pi * distance(one, other) / (WORDS * BITS))


def slack(least_cosine: float) -> float:
    """Return a cosine so much lower that sketches tell of nearly every pair above the given one.

    Examples
    --------
    >>> round(slack(0.97), 2)
    0.94
    """
    share = np.arccos(np.clip(least_cosine, -1.0, 1.0)) / np.pi
    error = np.sqrt(share * (1.0 - share) / (WORDS * BITS))
    return float(np.cos(np.pi * min(share + 2.0 * error, 1.0)))


def near_words(word: NDArray[np.uint64], radius: int) -> Pairs:
    """Return pairs of 64-bit words that differ in `radius` bits or fewer.

    The word is cut into more than `radius` blocks: two near words agree in all but `radius` of
    them. For every choice of blocks left out, words that agree in the rest are one bucket (Manku
    et al. 2007, "Detecting near-duplicates for web crawling"). More words are cut into more
    blocks, so that buckets stay small. Every near pair is found, except in buckets that hold more
    than `WINDOW` rows: there each row meets the best one and the next few.

    Examples
    --------
    >>> near_words(np.array([0b1111, 0, 0b0111, 1 << 63], np.uint64), 1).tolist()
    [[0, 2], [1, 3]]
    """
    wanted, spare = np.log2(max(len(word), 2)), 1
    while BITS * spare // (radius + spare) < wanted and spare < 4:  # noqa: PLR2004
        spare += 1
    edge = np.linspace(0, BITS, radius + spare + 1).astype(int).tolist()
    block = [((1 << b) - (1 << a)) for a, b in pairwise(edge)]
    found = []
    for kept in combinations(block, spare):
        key = word & np.uint64(sum(kept))
        found += _near_pairs(key, np.argsort(key, kind="stable"), word[:, None], radius)
    return _distinct(found)


def near_sketches(word: NDArray[np.uint64], least_cosine: float) -> Pairs:
    """Return pairs of `(n, 4)` sketches whose cosine is about `least_cosine` or more.

    Sixteen times, rows that agree in some bits of the sketch are one bucket, and only within a
    bucket is compared: at a cosine of .97 and 16 bits 99 % of all pairs are found.
    """
    width = int(np.clip(np.log2(max(len(word), 2)), 8, 24))
    radius = np.arccos(np.clip(least_cosine, -1.0, 1.0)) / np.pi * WORDS * BITS
    found = []
    for start in range(0, WORDS * BITS, WORDS * BITS // 16):
        turned = _from_bit(word, start)
        key = turned >> np.uint64(BITS - width)
        found += _near_pairs(key, np.argsort(turned, kind="stable"), word, radius)
    return _distinct(found)


def _from_bit(word: NDArray[np.uint64], start: int) -> NDArray[np.uint64]:
    """Return the 64 bits of `(n, 4)` words that begin at a bit; after the last comes the first."""
    place, bit = divmod(start, BITS)
    after = word[:, (place + 1) % WORDS] >> np.uint64(BITS - bit) if bit else np.uint64(0)
    return (word[:, place] << np.uint64(bit)) | after


def _near_pairs(
    key: NDArray[np.uint64], order: NDArray[np.int64], word: NDArray[np.uint64], radius: float
) -> list[Pairs]:
    """Return pairs of rows of one key that differ in `radius` bits or fewer, some buckets at once.

    Parameters
    ----------
    key
        `(n,)` keys of rows that are numbered from the best.
    order
        `(n,)` positions by rising key; rows that lie together in it are compared.
    word
        `(n, w)` bit strings of the rows.
    radius
        Most bits in which the rows of a pair differ.
    """
    key = key[order]
    start = np.flatnonzero(np.r_[True, key[1:] != key[:-1]][: len(key)])
    edge = np.searchsorted(start, np.arange(AT_ONCE, len(key), AT_ONCE))
    edge = np.unique(start[edge[edge < len(start)]])  # no bucket is cut
    found = []
    for keys, rows in zip(np.split(key, edge), np.split(order, edge), strict=True):
        pair = _bucket_pairs(keys, rows)
        found.append(pair[distance(word[pair[:, 0]], word[pair[:, 1]]) <= radius])
    return found


def _bucket_pairs(key: NDArray[np.uint64], order: NDArray[np.int64]) -> Pairs:
    """Return pairs of rows of one key: each row with the best of its bucket, and with the next few.

    Parameters
    ----------
    key
        `(n,)` rising keys.
    order
        `(n,)` rows that have them, numbered from the best.
    """
    fresh = np.r_[True, key[1:] != key[:-1], True][: len(key) + 1]
    shared = ~(fresh[:-1] & fresh[1:])
    order, start = order[shared], np.flatnonzero(fresh[:-1][shared])
    if not len(order):
        return np.empty((0, 2), np.int64)
    best = np.minimum.reduceat(order, start).repeat(np.diff(start, append=len(order)))
    found, key = [np.c_[best, order][best != order]], key[shared]
    for step in range(1, min(WINDOW, len(key) - 1) + 1):
        same = key[step:] == key[:-step]
        if not same.any():
            break
        found.append(np.sort(np.c_[order[:-step][same], order[step:][same]], axis=1))
    return np.concatenate(found)


def _distinct(found: list[Pairs]) -> Pairs:
    pair = np.concatenate(found)
    return np.unique(pair, axis=0) if len(pair) else pair
