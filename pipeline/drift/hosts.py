"""The host that a sample came from, out of its source fields."""

import json
from typing import Any, Final
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

URL_FIELDS: Final = ("url", "URL", "image_url")
"""Fields that may hold the address of the picture; the first that has a host is taken."""
MAX_HOST_CHARS: Final = 253
"""A longer name is none that DNS knows."""


def host_of(fields_json: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return the host of each row's picture.

    Parameters
    ----------
    fields_json
        `(n,)` strings: the `fields` of `schema.SAMPLE`.

    Returns
    -------
    `(n,)` strings in lower case, without port; names in other scripts stay as they are written.
    Null where a row has no address, or one without a host.

    Examples
    --------
    >>> fields = pa.array(['{"url": "https://Img.Example:8080/a.jpg"}', '{"url": 3}', None])
    >>> host_of(fields).to_pylist()
    ['img.example', None, None]
    """
    texts = fields_json.unique()
    found = pa.array([host_in(text) for text in texts.to_pylist()], pa.string())
    place = pc.index_in(fields_json, texts)
    host = found.take(place)
    return host.combine_chunks() if isinstance(host, pa.ChunkedArray) else host


def host_in(text: str | None) -> str | None:
    """Return the host that the fields of one row name, or None."""
    try:
        fields = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    addresses = [fields.get(name) for name in URL_FIELDS] if isinstance(fields, dict) else []
    return next((host for host in map(host_at, addresses) if host), None)


def host_at(address: Any) -> str | None:
    """Return the host of an address, or None."""
    try:
        host = urlsplit(address).hostname if isinstance(address, str) else None
    except ValueError:  # a bracket that never closes
        return None
    return host if host and len(host) <= MAX_HOST_CHARS else None
