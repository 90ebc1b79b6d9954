"""Embeddings that exist already, taken as they are: no encoder is loaded."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.contract import Sample
from pipeline.embed.fragment import describe, scatter
from pipeline.errors import RecipeError, SchemaError, did_you_mean
from pipeline.schema import EARLY, IMAGE, SAMPLE, TEXT
from pipeline.shards import files
from pipeline.shards.find import expand
from pipeline.store.catalog import Catalog, Fragment
from pipeline.store.workspace import Step

NEEDLESS = ("missing-image", "empty-image", "missing-text")
"""Faults that do not matter where the vectors are given."""


@dataclass(frozen=True, kw_only=True)
class VectorSpec:
    """Where vectors lie: `column:NAME` of the shards, or files in the order of the shards.

    Files are `PATTERN.npy` or `PATTERN.npz#ARRAY` with globs and braces: one per shard, aligned
    with its rows by position, as clip-retrieval and DataComp write them.
    """

    image: str
    """Image vectors."""
    text: str | None = None
    """Text vectors; null = the corpus has none."""
    classes: str
    """`.npy` of `(k, d)` text vectors of the classes, in the order of the class file."""

    def files(self) -> list[str]:
        """Return every file that the vectors come from."""
        return [uri for where in (self.image, self.text) for uri in found(where)]


def found(where: str | None) -> list[str]:
    """Return the files of a place, without the name of the array; none for a column."""
    if where is None or where.startswith("column:"):
        return []
    return expand(where.partition("#")[0])


def identity(spec: VectorSpec) -> list[str]:
    """Return what changes when a vector file does."""
    return [f"{uri} {files.stat(uri)}" for uri in spec.files()]


@dataclass(frozen=True)
class Take:
    """Joins the samples of one fragment with their vectors and commits it."""

    spec: VectorSpec
    catalog: Catalog
    caption: str | None
    step: Step

    def __call__(self, fragment: Fragment) -> int:
        image = unit_rows(self.rows(self.spec.image, fragment))
        table = self.describe(fragment, image)
        readable = np.array([fault is None for fault in table["fault"].to_pylist()], dtype=bool)
        table = table.append_column(IMAGE, scatter(image[readable], readable))
        text = self.rows(self.spec.text, fragment) if self.spec.text else np.zeros_like(image)
        written = readable & np.isfinite(text).all(axis=1) & text.any(axis=1)
        table = table.append_column(TEXT, scatter(unit_rows(text)[written], written))
        table = table.append_column(EARLY, scatter(image[readable], readable))
        self.step.write(fragment.name, table)
        return len(table)

    def describe(self, fragment: Fragment, image: NDArray[np.float16]) -> pa.Table:
        """Return the sample columns; a vector that is no direction is a fault."""
        rows = []
        for sample, vector in zip(fragment.samples(self.caption), image, strict=True):
            content = sample.image or vector.tobytes()
            fault = sample.fault if sample.fault not in NEEDLESS else None
            usable = bool(np.isfinite(vector).all() and vector.any())
            rows.append(
                self.row(fragment, sample, content, fault or ("" if usable else "bad-vector"))
            )
        return pa.Table.from_pylist(rows, SAMPLE)

    @staticmethod
    def row(fragment: Fragment, sample: Sample, content: bytes, fault: str) -> dict[str, object]:
        """Return the `schema.SAMPLE` row of a sample whose content is its picture or vector."""
        row = describe(fragment.shard.uri, replace(sample, image=content), fault)
        return row | {"fault": fault or None}

    def rows(self, where: str, fragment: Fragment) -> NDArray[np.float32]:
        """Return the `(n, d)` vectors of a fragment."""
        if where.startswith("column:"):
            return from_column(fragment, where.removeprefix("column:"))
        uris = found(where)
        shards = list(dict.fromkeys(f.shard.uri for f in self.catalog.fragments))
        if len(uris) != len(shards):
            raise RecipeError(f"{where} matches {len(uris)} files for {len(shards)} shards")
        uri = uris[shards.index(fragment.shard.uri)]
        array = load_array(uri, where.partition("#")[2])
        if len(array) < fragment.stop:
            raise SchemaError(f"{uri} has {len(array)} vectors, its shard has {fragment.stop} rows")
        return np.asarray(array[fragment.start : fragment.stop], np.float32)


def load_array(uri: str, member: str = "") -> NDArray[np.floating]:
    """Return the array of an `.npy`, or a member of an `.npz`; never a pickle.

    Raises
    ------
    SchemaError
        If the file is no such array.
    """
    try:
        with files.open_read(uri) as source:
            loaded = np.load(source, allow_pickle=False)
            array = loaded[member] if member else loaded
    except (ValueError, OSError, KeyError, EOFError) as error:
        raise SchemaError(f"{uri} holds no array {member!r} of numbers: {error}") from error
    if getattr(array, "ndim", 0) != 2:  # noqa: PLR2004
        raise SchemaError(f"{uri} must hold an (n, d) array, name one of an npz as FILE.npz#ARRAY")
    return np.asarray(array)


def from_column(fragment: Fragment, name: str) -> NDArray[np.float32]:
    """Return the vectors of a fragment from a list column of its shard."""
    with files.open_read(fragment.shard.uri) as source:
        file = pq.ParquetFile(source)
        if name not in file.schema_arrow.names:
            hint = did_you_mean(name, file.schema_arrow.names)
            raise SchemaError(f"{fragment.shard.uri} has no column {name!r}{hint}")
        column = file.read([name])[name].slice(fragment.start, fragment.stop - fragment.start)
    return np.array(column.to_pylist(), np.float32)


def unit_rows(vector: NDArray[np.floating]) -> NDArray[np.float16]:
    """Return rows scaled to length 1; a zero row stays zero."""
    length = np.linalg.norm(vector.astype(np.float32), axis=1, keepdims=True)
    return (vector / np.where(length > 0, length, 1.0)).astype(np.float16)
