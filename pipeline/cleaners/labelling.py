"""What the words and the origin of a row tell of its class, without any embedding."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

ADDRESSES = ("url", "URL", "image_url", "page_url", "source_url", "host")
"""Fields of a source that may hold an address."""
LEAST_ROWS = 5
"""Sampled rows of a host, without the one in question, that make its majority count."""


@dataclass(frozen=True)
class Keywords:
    """The names of the classes, to be found in captions."""

    phrase: NDArray[np.uint64]
    """`(k,)` hashes of the names, rising."""
    of_class: NDArray[np.int64]
    """`(k,)` classes of these."""
    longest: int
    """Words of the longest name."""

    @classmethod
    def of(cls, names: Sequence[str]) -> "Keywords":
        """Return the names of the classes."""
        split = [words(name) for name in names]
        phrase = np.array([digest(" ".join(name)) for name in split], np.uint64)
        order = np.argsort(phrase, kind="stable")
        return cls(phrase[order], order, max(len(name) for name in split))

    def vote(self, captions: Sequence[str | None]) -> NDArray[np.int64]:
        """Return the `(n,)` classes named; -1 for captions that name none, or several.

        Of names inside one another the longest counts: a tiger shark is no tiger.

        Examples
        --------
        >>> names = Keywords.of(["tiger", "tiger shark"])
        >>> names.vote(["Two tigers!", "a tiger shark", "a tiger and a tiger shark", None])
        array([ 0,  1, -1, -1])
        """
        known = dict(zip(self.phrase.tolist(), self.of_class.tolist(), strict=True))
        return np.array([self._find(known, words(text or "")) for text in captions], np.int64)

    def _find(self, known: dict[int, int], word: list[str]) -> int:
        place, found = 0, set()
        while place < len(word):
            for end in range(min(place + self.longest, len(word)), place, -1):
                hit = known.get(digest(" ".join(word[place:end])))
                if hit is not None:
                    found.add(hit)
                    place = end - 1
                    break
            place += 1
        return found.pop() if len(found) == 1 else -1


@dataclass(frozen=True)
class Hosts:
    """The most common label of each host, among sampled rows."""

    host: NDArray[np.uint64]
    """`(h,)` hashes, rising."""
    label: NDArray[np.int64]
    """`(h,)` the most common labels."""
    most: NDArray[np.int64]
    """`(h,)` rows with these."""
    total: NDArray[np.int64]
    """`(h,)` labelled rows."""

    @classmethod
    def of(cls, host: NDArray[np.uint64], label: NDArray[np.int64]) -> "Hosts":
        """Count `(n,)` hosts, 0 where unknown, and labels, none negative."""
        seen = host > 0
        pair = np.column_stack([host[seen], label[seen].astype(np.uint64)])
        cell, count = np.unique(pair, axis=0, return_counts=True)
        order = np.lexsort((cell[:, 1], -count, cell[:, 0]))
        names, first = np.unique(cell[order, 0], return_index=True)
        total = np.bincount(np.searchsorted(names, cell[:, 0]), count, minlength=len(names))
        best = order[first]
        return cls(names, cell[best, 1].astype(np.int64), count[best], total.astype(np.int64))

    def vote(
        self, host: NDArray[np.uint64], label: NDArray[np.int64], gate: float
    ) -> NDArray[np.int64]:
        """Return the `(n,)` majorities of the hosts, without the vote of the row itself.

        Examples
        --------
        >>> seven = np.full(7, 3, np.uint64)
        >>> hosts = Hosts.of(seven, np.array([1, 1, 1, 1, 1, 1, 0]))
        >>> hosts.vote(np.array([3, 3, 4], np.uint64), np.array([0, 1, 1]), 0.9)
        array([ 1, -1, -1])
        """
        if not len(self.host):
            return np.full(len(host), -1)
        place = np.minimum(np.searchsorted(self.host, host), len(self.host) - 1)
        is_own = label == self.label[place]
        rest = self.total[place] - (label >= 0)
        share = (self.most[place] - is_own) / np.maximum(rest, 1)
        sure = (self.host[place] == host) & (rest >= LEAST_ROWS) & (share >= gate)
        return np.where(sure, self.label[place], -1)


def hosts_of(fields: Sequence[str | None]) -> NDArray[np.uint64]:
    """Return the `(n,)` hashes of the hosts in JSON fields; 0 where there is none.

    Examples
    --------
    >>> one, other, none = hosts_of(['{"url": "https://a.org/1"}', '{"host": "a.org"}', None])
    >>> bool(one == other), int(none)
    (True, 0)
    """
    return np.array([_host(json.loads(text or "{}")) for text in fields], np.uint64)


def _host(fields: dict[str, object]) -> int:
    for name in ADDRESSES:
        address = fields.get(name)
        if isinstance(address, str) and address:
            host = urlsplit(address if "//" in address else f"//{address}").hostname
            return digest(host.removeprefix("www.")) if host else 0
    return 0


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, without the `s` of a plural.

    Examples
    --------
    >>> words("Two TIGERS in the grass")
    ['two', 'tiger', 'in', 'the', 'grass']
    """
    found = re.findall(r"\w+", text.lower())
    return [re.sub(r"(?<=[^su]{1})(?<=\w{3})s$", "", word) for word in found]


def digest(text: str) -> int:
    """Return 64 bits of the hash of a text, never 0."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") or 1
