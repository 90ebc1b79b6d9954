"""The files of a fitted state: whole and unchanged, or an error."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from pipeline.errors import SchemaError
from pipeline.shards import files

ARRAYS = "state.safetensors"
"""Every array but the indices."""
INDEX = ".faiss"
"""How the name of an array ends that is the bytes of a serialised index: a file of its own."""
DIGESTS = "state.json"
"""The digest of every other file of the state; written last, so it is the commit record."""

DAMAGE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, SafetensorError)
"""What reading a damaged state raises; storage raises `ShardError`."""


def save(folder: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a state; it is there once its digests are."""
    parts = {name: array.tobytes() for name, array in arrays.items() if name.endswith(INDEX)}
    rest = {n: np.asarray(array, order="C") for n, array in arrays.items() if n not in parts}
    parts[ARRAYS] = safetensors.numpy.save(rest)
    for name, data in parts.items():
        files.write(files.join(folder, name), data)
    digests = {name: digest(data) for name, data in parts.items()}
    files.write(files.join(folder, DIGESTS), json.dumps(digests, sort_keys=True).encode())


def load(folder: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of a state, or None if it was never completed.

    Raises
    ------
    SchemaError
        If a file of it is missing or damaged.
    """
    if not files.exists(files.join(folder, DIGESTS)):
        return None
    try:
        digests = json.loads(files.read_bytes(files.join(folder, DIGESTS)))
        parts = {name: intact(folder, name, expected) for name, expected in digests.items()}
        arrays = dict(safetensors.numpy.load(parts.pop(ARRAYS)))
    except DAMAGE as error:
        raise SchemaError(
            f"state {files.redact(folder)} is damaged ({error}); delete the folder and run again "
            "to fit it anew"
        ) from error
    return arrays | {name: np.frombuffer(data, np.uint8) for name, data in parts.items()}


def intact(folder: str, name: str, expected: str) -> bytes:
    """Return the bytes of a file, or raise a ValueError if they are not those of a digest."""
    (data,) = files.read_many([files.join(folder, name)])
    if data is None or digest(data) != expected:
        raise ValueError(f"{name} {'is missing' if data is None else 'has changed'}")
    return data


def digest(data: bytes) -> str:
    """Return 32 hex digits that name a content."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
