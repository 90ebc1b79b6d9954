"""Small JSON files that know whether they are as they were written."""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

SEAL: Final = "seal"
"""Key of the hash of all other entries."""


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with the hash of them.

    Examples
    --------
    >>> is_intact(sealed({"count": 3})), is_intact(sealed({"count": 3}) | {"count": 2})
    (True, False)
    """
    rest = {key: value for key, value in values.items() if key != SEAL}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return rest | {SEAL: blake2b(text.encode(), digest_size=16).hexdigest()}


def is_intact(values: Mapping[str, Any]) -> bool:
    """Return whether values carry the hash of what they are."""
    return sealed(values) == values


def parse(data: bytes) -> dict[str, Any] | None:
    """Return the values of a sealed file, or None if it is damaged."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) and is_intact(values) else None
