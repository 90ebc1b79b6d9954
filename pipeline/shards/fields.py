"""Captions and fields: from bytes and columns to text and JSON values, without an exception."""

import base64
import datetime
import json
import math
from typing import Any, Final

MAX_DEPTH: Final = 64
"""Lists and objects inside of each other; a deeper member is no JSON that anybody needs.

A bound of our own, well below the interpreter's, so that the same member is read or refused
alike by every step, however deep its own stack is.
"""


def decode_text(data: bytes) -> str | None:
    """Return UTF-8 bytes as text without the white space around it, None if they are not UTF-8."""
    try:
        return data.decode("utf-8").strip()
    except UnicodeDecodeError:
        return None


def parse_object(data: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `data` with NaN and infinity as null, None if there is none.

    Nor is there one where it nests deeper than `MAX_DEPTH`, or holds a whole number of more digits
    than Python parses (4,300). Of a key that stands twice the last value counts.

    Examples
    --------
    >>> parse_object(b'{"similarity": NaN}')
    {'similarity': None}
    >>> parse_object(b"[1]") is None
    True
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    is_object = isinstance(found, dict) and depth(found) <= MAX_DEPTH
    return json_safe(found) if is_object else None


def depth(value: Any) -> int:
    """Return how many lists and dicts `value` has inside of each other, without recursion.

    Examples
    --------
    >>> depth({"a": [1, []]}), depth(7)
    (3, 0)
    """
    levels, level = 0, [value]
    while containers := [each for each in level if isinstance(each, dict | list | tuple)]:
        levels += 1
        level = [part for each in containers for part in _parts(each)]
    return levels


def _parts(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container


def json_safe(value: Any) -> Any:
    """Return `value` as JSON can hold it: dates as ISO text, NaN as null, bytes as base64.

    Examples
    --------
    >>> json_safe({"seen": datetime.date(2024, 1, 31), "thumb": b"abc", "score": math.nan})
    {'seen': '2024-01-31', 'thumb_base64': 'YWJj', 'score': None}
    """
    if isinstance(value, dict):
        return dict(_pair(str(name), item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def _pair(name: str, value: Any) -> tuple[str, Any]:
    suffix = "_base64" if isinstance(value, bytes) else ""
    return name + suffix, json_safe(value)


def caption_of(value: Any) -> tuple[str | None, str | None]:
    """Return the caption that a field holds, and the fault if it holds none.

    Of a list of captions the first counts.

    Examples
    --------
    >>> caption_of(["a cat", "a pet"]), caption_of(None)
    (('a cat', None), (None, 'missing-text'))
    """
    if isinstance(value, list) and value:
        value = value[0]
    if value is None or isinstance(value, list | dict):
        return None, "missing-text"
    text = decode_text(value) if isinstance(value, bytes) else str(value).strip()
    if text is None or not _is_encodable(text):
        return None, "bad-utf8-text"
    return text, None


def _is_encodable(text: str) -> bool:
    """Return whether `text` is free of lone surrogates, which JSON can smuggle in."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def first(*faults: str | None) -> str | None:
    """Return the first fault that is not None."""
    return next((fault for fault in faults if fault is not None), None)
