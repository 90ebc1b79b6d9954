"""Read the members of many samples in few requests and bounded memory."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from pipeline.shards import files
from pipeline.shards.find import Shard
from pipeline.shards.sample import MAX_MEMBER_BYTES, Entry, Member

BATCH_BYTES = 64 * 2**20
GAP_BYTES = 64 * 2**10
"""Reading this much in vain costs less than another request."""

Numbered = tuple[int, Entry]


def wanted(entry: Entry, size: int) -> list[Member]:
    """Return the members inside of a shard of `size` bytes, the smallest that fit the bound."""
    inside = [member for member in entry.members if member.offset + member.size <= size]
    if sum(member.size for member in inside) <= MAX_MEMBER_BYTES:
        return inside
    ends = accumulate(sorted(member.size for member in inside))
    num_read = sum(end <= MAX_MEMBER_BYTES for end in ends)
    chosen = set(sorted(inside, key=lambda member: member.size)[:num_read])
    return [member for member in inside if member in chosen]


def batches(entries: Sequence[Numbered]) -> Iterator[list[Numbered]]:
    """Yield runs of entries of about `BATCH_BYTES` each, in order."""
    batch: list[Numbered] = []
    held = 0
    for numbered in entries:
        size = min(sum(m.size for m in numbered[1].members), MAX_MEMBER_BYTES)
        if batch and held + size > BATCH_BYTES:
            yield batch
            batch, held = [], 0
        batch.append(numbered)
        held += size
    if batch:
        yield batch


def spans(members: Sequence[Member]) -> list[tuple[int, int]]:
    """Return disjoint, rising byte ranges that cover all members, small gaps included.

    Examples
    --------
    >>> spans([Member("txt", 600_000, 10), Member("jpg", 0, 100), Member("txt", 512, 10)])
    [(0, 522), (600000, 600010)]
    """
    found: list[tuple[int, int]] = []
    for start, stop in sorted((m.offset, m.offset + m.size) for m in members):
        if found and start - found[-1][1] <= GAP_BYTES:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found


def read_members(shard: Shard, entries: Sequence[Entry]) -> list[dict[str, bytes]]:
    """Return the bytes of each entry's members by extension; one that is cut short is left out."""
    chosen = [wanted(entry, shard.size) for entry in entries]
    ranges = spans([member for members in chosen for member in members if member.size])
    parts = dict(zip(ranges, files.read_ranges(shard.uri, ranges), strict=True))
    place = _Places(parts)
    return [
        {m.extension: data for m in members if (data := place.bytes_of(m)) is not None}
        for members in chosen
    ]


class _Places:
    """The ranges that were read, to be cut into members."""

    def __init__(self, parts: dict[tuple[int, int], bytes]) -> None:
        self._starts = [start for start, _ in parts]
        self._data = [memoryview(data) for data in parts.values()]

    def bytes_of(self, member: Member) -> bytes | None:
        """Return the bytes of a member, None if the file has become shorter than its index."""
        if not member.size:
            return b""
        which = bisect_right(self._starts, member.offset) - 1
        begin = member.offset - self._starts[which]
        data = bytes(self._data[which][begin : begin + member.size])
        return data if len(data) == member.size else None
