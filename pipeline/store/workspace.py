"""Where a run keeps its state: steps and fitted states, named by the hash of what made them."""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import SchemaError, ShardError
from pipeline.schema import FORMAT_VERSION
from pipeline.shards import files
from pipeline.store import journal, states
from pipeline.store.bundle import bundled, bundles, forget

HEADING = b"winnow.heading"
"""Key of the hash of a table's schema and size, in its file."""
PROMISED = re.compile(r"-\d{9}-(\d{5,})$")
"""How the name of a fragment ends: where it starts, and its number of rows."""


class Readable(Protocol):
    """Something that holds the rows of fragments: a step, or several as one."""

    @property
    def key(self) -> str:
        """What names its content."""
        ...

    def read(self, fragment: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return columns of a fragment, all of them if none is named."""
        ...


@dataclass(frozen=True)
class Step:
    """One step's files: `<fragment>.parquet`, whose existence is the commit record.

    Those of earlier nights may be compacted into bundles.
    """

    uri: str
    key: str

    @property
    def name(self) -> str:
        """What the step is called, without its key."""
        return self.uri.rpartition("/")[2].rpartition("-")[0]

    def path(self, fragment: str) -> str:
        """Return the file of a fragment."""
        return files.join(self.uri, f"{fragment}.parquet")

    def done(self) -> set[str]:
        """Return the names of the fragments that are committed."""
        found = files.list_files(self.uri)
        names = (uri.rsplit("/", 1)[-1] for uri in found if uri.endswith(".parquet"))
        return {name.removesuffix(".parquet") for name in names} | bundled(found)

    def write(self, fragment: str, table: pa.Table) -> None:
        """Commit a fragment: it appears whole, under its final name, or not at all.

        Raises
        ------
        SchemaError
            If it has other rows than its name says: what it was made from has changed.
        """
        check_rows(self.path(fragment), fragment, table)
        files.write(self.path(fragment), to_parquet(table))
        journal.committed(self.name, fragment, len(table))

    def read(self, fragment: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the columns of a committed fragment.

        Raises
        ------
        SchemaError
            If its file is damaged, or is another one's.
        """
        path = self.path(fragment)
        bundle = bundles(self.uri).read(fragment)
        try:
            table = from_parquet(path, columns, bundle)
        except ShardError:  # it may have been bundled since this process has looked
            forget()
            bundle = bundles(self.uri).read(fragment)
            if bundle is None:
                raise
            table = from_parquet(path, columns, bundle)
        check_rows(path, fragment, table)
        return table


@dataclass(frozen=True)
class Workspace:
    """A folder on any store that holds everything a run knows."""

    uri: str

    def step(self, name: str, config: Any, reads: Sequence[Readable] = ()) -> Step:
        """Return the step `name` under the key of its configuration and of what it reads."""
        key = key_of(name, config, [step.key for step in reads])
        return self.named(f"{name}-{key}")

    def named(self, name: str) -> Step:
        """Return the step of a folder."""
        return Step(files.join(self.uri, "steps", name), name.rpartition("-")[2])

    def save_state(self, name: str, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Store a fitted state: arrays as safetensors, FAISS indices as files of their own.

        An array whose name ends in `.faiss` holds the bytes of a serialised index.
        """
        states.save(self.state_folder(name, key), arrays)

    def load_state(self, name: str, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of a stored state, or None if it was never completed.

        Raises
        ------
        SchemaError
            If a file of it is missing or damaged.
        """
        return states.load(self.state_folder(name, key))

    def state_folder(self, name: str, key: str) -> str:
        """Return the folder of a state."""
        return files.join(self.uri, "states", f"{name}-{key}")


def promised(fragment: str) -> int | None:
    """Return the number of rows that the name of a fragment promises, or None if it does not.

    Examples
    --------
    >>> promised("0123456789abcdef-000001024-00512")
    512
    """
    match = PROMISED.search(fragment)
    return int(match[1]) if match else None


def num_promised(fragments: Iterable[str]) -> int:
    """Return the number of rows of fragments, by their names."""
    return sum(promised(fragment) or 0 for fragment in fragments)


def check_rows(uri: str, fragment: str, table: pa.Table) -> None:
    """Check that a table has the rows that the name of its fragment promises."""
    if promised(fragment) not in (None, len(table)):
        raise SchemaError(
            f"{files.redact(uri)} must have {promised(fragment)} rows, got {len(table)}; delete "
            "it, or the index of its shard in the catalog, and run again to make it anew"
        )


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
    """Return a table as Parquet; vectors stay uncompressed, for they do not shrink.

    Every page has a checksum, and so has the schema: a changed bit would pass for a value.
    """
    vectors = {f.name for f in table.schema if pa.types.is_fixed_size_list(f.type)}
    names = table.schema.names
    codec = {n: "NONE" if n in vectors else "ZSTD" for n in names}
    sink = io.BytesIO()
    known = {**(table.schema.metadata or {}), HEADING: heading(table.schema, len(table))}
    pq.write_table(
        table.replace_schema_metadata(known),
        sink,
        compression={f"{n}.list.element" if n in vectors else n: c for n, c in codec.items()},
        use_dictionary=[n for n in names if n in ("shard", "extension", "fault", "action")],
        write_statistics=False,
        write_page_checksum=True,
    )
    return sink.getvalue()


def heading(schema: pa.Schema, num_rows: int) -> bytes:
    """Return a hash of names, types and number of rows."""
    fields = "".join(f"{field.name} {field.type}\n" for field in schema)
    text = f"{num_rows}\n{fields.replace('element: ', 'item: ')}"  # as Parquet calls items
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest().encode()


def from_parquet(
    uri: str, columns: Sequence[str] | None = None, data: bytes | None = None
) -> pa.Table:
    """Return columns of a Parquet file of the workspace.

    Parameters
    ----------
    uri
        The file.
    columns
        Their names; None = all.
    data
        What is in the file, where it lies elsewhere.

    Raises
    ------
    SchemaError
        If the file is damaged or lacks a column.
    """
    try:
        # not `read_table`: it takes twice as long to open a small file
        with (
            files.open_read(uri) if data is None else io.BytesIO(data) as source,
            pq.ParquetFile(source, page_checksum_verification=True) as file,
        ):
            schema, num_rows = file.schema_arrow, file.metadata.num_rows
            told = dict(schema.metadata or {})
            if told.pop(HEADING, None) not in (None, heading(schema, num_rows)):
                raise ValueError("its schema has changed")  # noqa: TRY301
            # a name stands for all that it begins, `label` for `label.text` as well
            wanted = schema.names if columns is None else list(columns)
            table = file.read(wanted, use_threads=False).select(wanted)
            return table.replace_schema_metadata(told or None)
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        raise SchemaError(
            f"{uri} cannot be read ({error}); delete the file and run again to make it anew"
        ) from error
