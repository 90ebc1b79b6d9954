"""Walk the headers of a tar: in one pass, in linear time, and in bounded memory.

`tarfile` reads single blocks here. Its own walk is not for foreign tars: it keeps every member,
calls itself for each extension header, copies the global ones for each member, reads headers
of any size, and needs quadratic time for some of a few kilobytes.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from pipeline.shards.files import Source
from pipeline.shards.pax import MAX_SIZE, Pending, text

BLOCK: Final = 512
MAX_EXTENSION_BYTES: Final = 128 * 2**10
"""A longer pax or GNU header is skipped, and the member behind it is not `is_plain`."""
MAX_GAP_BYTES: Final = 16 * 2**20
"""Zeros behind the end of a tar that are looked through for another tar, as `cat` appends it."""
AHEAD_BYTES: Final = 16 * 2**10
"""Read at once: the headers of the small members that stand behind a picture."""

_PLAIN: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
_WITHOUT_DATA: Final = frozenset(
    {
        tarfile.LNKTYPE,
        tarfile.SYMTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
    }
)
_EXTENSIONS: Final = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)


class BrokenTarError(ValueError):
    """The headers cannot be followed any further; its text is a key of `SHARD_FAULTS`."""


@dataclass(frozen=True)
class Header:
    """One member of a tar that is no folder."""

    name: str
    offset: int
    """Of its first byte in the file."""
    size: int
    is_plain: bool
    """Whether its bytes lie in the file as they are: no link, device or hole, no odd header."""


@dataclass
class _Walk:
    source: Source
    size: int
    position: int = 0
    pending: Pending = field(default_factory=Pending)
    _start: int = 0
    _ahead: bytes = b""

    def bytes_at(self, offset: int, size: int) -> bytes:
        """Return `size` bytes, fewer at the end of the file; what lies behind is often asked next.

        Raises
        ------
        ShardError
            If the storage fails.
        """
        begin = offset - self._start
        if begin < 0 or begin + size > len(self._ahead):
            self.source.seek(offset)
            self._ahead = self.source.read(max(size, AHEAD_BYTES))
            self._start, begin = offset, 0
        return self._ahead[begin : begin + size]


def headers(source: Source, size: int) -> Iterator[Header]:
    """Yield the members of a tar of `size` bytes, and of the tars appended to it.

    Raises
    ------
    BrokenTarError
        Where the headers end early or cannot be followed.
    """
    walk = _Walk(source, size)
    while (block := _next_block(walk)) is not None:
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
        except (tarfile.HeaderError, ValueError) as error:
            raise BrokenTarError("corrupt-shard") from error
        if info.size < 0:
            raise BrokenTarError("corrupt-shard")
        if info.type in _EXTENSIONS:
            _extend(walk, info)
            continue
        header = _member(walk, info, block)
        if info.type != tarfile.DIRTYPE:
            yield header
        walk.pending = Pending()


def _next_block(walk: _Walk) -> bytes | None:
    """Return the next header; None at the end of the tar."""
    block = _block(walk)
    if block.strip(b"\0"):
        return block
    walk.position = _behind_zeros(walk)
    appended = walk.position < walk.size and len(block) == BLOCK and _block(walk)
    return appended if appended and appended[257:262] == b"ustar" else None


def _block(walk: _Walk) -> bytes:
    if walk.position >= walk.size:
        raise BrokenTarError("truncated-shard")
    block = walk.bytes_at(walk.position, BLOCK)
    walk.position += BLOCK
    if len(block) < BLOCK and block.strip(b"\0"):
        raise BrokenTarError("truncated-shard")
    return block


def _behind_zeros(walk: _Walk) -> int:
    """Return where the first block that is not zero begins, or the end of what is looked at."""
    end = min(walk.size, walk.position + MAX_GAP_BYTES)
    position = walk.position
    while position < end:
        part = walk.bytes_at(position, min(2**20, end - position))
        if not part:
            return walk.size
        num_zeros = len(part) - len(part.lstrip(b"\0"))
        if num_zeros < len(part):
            return position + num_zeros // BLOCK * BLOCK
        position += len(part)
    return walk.size


def _extend(walk: _Walk, info: tarfile.TarInfo) -> None:
    """Take what an extension header says into `walk.pending`, and step over it."""
    is_short = info.size <= MAX_EXTENSION_BYTES
    data = walk.bytes_at(walk.position, info.size) if is_short else b""
    walk.position += _padded(info.size)
    if walk.position > walk.size:
        raise BrokenTarError("truncated-shard")
    if info.type in {tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE}:
        return
    if len(data) < info.size:
        walk.pending.is_odd = True
    elif info.type == tarfile.GNUTYPE_LONGNAME:
        walk.pending.name = text(data.partition(b"\0")[0])
    else:
        walk.pending.take(data)


def _member(walk: _Walk, info: tarfile.TarInfo, block: bytes) -> Header:
    pending = walk.pending
    flag = block[482] if info.type == tarfile.GNUTYPE_SPARSE else 0
    while flag:  # each block of a map of holes says whether there is another
        flag = _block(walk)[504:505] not in {b"", b"\0"}
    size = info.size if pending.size is None else pending.size
    offset = walk.position
    if info.type not in _WITHOUT_DATA:
        walk.position += _padded(size)
    name = info.name if pending.name is None else pending.name
    is_plain = info.type in _PLAIN and not pending.is_odd
    return Header(name, offset, min(size, MAX_SIZE), is_plain)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
