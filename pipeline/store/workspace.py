"""Where a run keeps its state: steps and fitted states, named by the hash of what made them."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load, save

from pipeline.errors import SchemaError
from pipeline.schema import FORMAT_VERSION
from pipeline.shards import files

STATE = "state.safetensors"


@dataclass(frozen=True)
class Step:
    """One step's files: `<fragment>.parquet`, whose existence is the commit record."""

    uri: str
    key: str

    def path(self, fragment: str) -> str:
        """Return the file of a fragment."""
        return files.join(self.uri, f"{fragment}.parquet")

    def done(self) -> set[str]:
        """Return the names of the fragments that are committed."""
        names = (uri.rsplit("/", 1)[-1] for uri in files.list_files(self.uri))
        return {name.removesuffix(".parquet") for name in names if name.endswith(".parquet")}

    def write(self, fragment: str, table: pa.Table) -> None:
        """Commit a fragment: it appears whole, under its final name, or not at all."""
        files.write(self.path(fragment), to_parquet(table))

    def read(self, fragment: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the columns of a committed fragment."""
        return from_parquet(self.path(fragment), columns)


@dataclass(frozen=True)
class Workspace:
    """A folder on any store that holds everything a run knows."""

    uri: str

    def step(self, name: str, config: Any, reads: Sequence[Step] = ()) -> Step:
        """Return the step `name` under the key of its configuration and of what it reads."""
        key = key_of(name, config, [step.key for step in reads])
        return Step(files.join(self.uri, "steps", f"{name}-{key}"), key)

    def save_state(self, name: str, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Store a fitted state: arrays as safetensors, FAISS indices as files of their own.

        An array whose name ends in `.faiss` holds the bytes of a serialised index.
        """
        folder = self.state_folder(name, key)
        for index in [index for index in arrays if index.endswith(".faiss")]:
            files.write(files.join(folder, index), arrays[index].tobytes())
        rest = {n: np.ascontiguousarray(a) for n, a in arrays.items() if not n.endswith(".faiss")}
        files.write(files.join(folder, STATE), save(rest))

    def load_state(self, name: str, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of a stored state, or None if it was never completed."""
        folder = self.state_folder(name, key)
        if not files.exists(files.join(folder, STATE)):
            return None
        arrays = dict(load(files.read_bytes(files.join(folder, STATE))))
        for uri in files.list_files(folder):
            if uri.endswith(".faiss"):
                index = np.frombuffer(files.read_bytes(uri), np.uint8)
                arrays[uri.rsplit("/", 1)[-1]] = index
        return arrays

    def state_folder(self, name: str, key: str) -> str:
        """Return the folder of a state."""
        return files.join(self.uri, "states", f"{name}-{key}")


def key_of(*parts: Any) -> str:
    """Return 16 hex digits that name a configuration.

    Examples
    --------
    >>> key_of("embed", {"a": 1, "b": 2}) == key_of("embed", {"b": 2, "a": 1})
    True
    """
    text = json.dumps([FORMAT_VERSION, *parts], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def to_parquet(table: pa.Table) -> bytes:
    """Return a table as Parquet; vectors stay uncompressed, for they do not shrink."""
    vectors = {f.name for f in table.schema if pa.types.is_fixed_size_list(f.type)}
    names = table.schema.names
    codec = {n: "NONE" if n in vectors else "ZSTD" for n in names}
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        compression={f"{n}.list.element" if n in vectors else n: c for n, c in codec.items()},
        use_dictionary=[n for n in names if n in ("shard", "extension", "fault", "action")],
        write_statistics=False,
    )
    return sink.getvalue()


def from_parquet(uri: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Return columns of a Parquet file of the workspace.

    Raises
    ------
    SchemaError
        If the file is damaged or lacks a column.
    """
    try:
        with files.open_read(uri) as source:
            return pq.read_table(source, columns=list(columns) if columns is not None else None)
    except (pa.ArrowInvalid, KeyError) as error:
        raise SchemaError(
            f"{uri} cannot be read ({error}); delete the file and run again to make it anew"
        ) from error
