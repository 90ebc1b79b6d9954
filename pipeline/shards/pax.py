"""What a pax header says of the member behind it; a damaged one says that the member is odd."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_SIZE: Final = 2**62
"""Of a member: larger ones could not be added up as 64 bits."""

_HOLES: Final = b"GNU.sparse."
_NAME_OF_HOLES: Final = b"GNU.sparse.name"
_LENGTH_DIGITS: Final = 7


@dataclass
class Pending:
    """What extension headers say of the member that follows them."""

    name: str | None = None
    size: int | None = None
    is_odd: bool = False
    """Whether the member has holes, or its headers are damaged."""

    def take(self, data: bytes) -> None:
        """Take what the records of a pax header say."""
        for keyword, value in records(data):
            if keyword in {b"path", _NAME_OF_HOLES}:
                self.name = text(value.rstrip(b"/"))
            elif keyword == b"size" and value.isdigit() and len(value) < len(str(MAX_SIZE)):
                self.size = int(value)
            elif keyword in {b"", b"size"}:
                self.is_odd = True
            self.is_odd |= keyword.startswith(_HOLES)


def records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    r"""Yield the keywords and values of a pax header; an empty keyword where it is damaged.

    Examples
    --------
    >>> list(records(b"14 path=a.jpg\n9 broken"))
    [(b'path', b'a.jpg'), (b'', b'')]
    """
    position = 0
    while position < len(data):
        digits, space, _ = data[position : position + _LENGTH_DIGITS + 1].partition(b" ")
        end = position + int(digits) if space and digits.isdigit() else 0
        if not position < end <= len(data) or data[end - 1 : end] != b"\n":
            yield b"", b""
            return
        keyword, _, value = data[position + len(digits) + 1 : end - 1].partition(b"=")
        yield keyword, value
        position = end


def text(name: bytes) -> str:
    r"""Return a name of a header; bytes that are no UTF-8 stay apart as `\xff`."""
    return name.decode("utf-8", "backslashreplace")
