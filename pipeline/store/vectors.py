"""Embeddings that exist already, taken as they are: no encoder is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.contract import Sample
from pipeline.embed.fragment import describe, scatter
from pipeline.errors import RecipeError, SchemaError, did_you_mean
from pipeline.schema import EARLY, IMAGE, SAMPLE, TEXT
from pipeline.shards import files
from pipeline.shards.find import expand
from pipeline.shards.table import CONTENT_ERRORS, columns_of, open_table
from pipeline.store.arrays import load_array, load_rows
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

    image: str | tuple[str, ...]
    """Image vectors: a pattern, or every file by name."""
    text: str | tuple[str, ...] | None = None
    """Text vectors; null = the corpus has none."""
    classes: str
    """`.npy` of `(k, d)` text vectors of the classes, in the order of the class file."""

    def files(self) -> list[str]:
        """Return every file that the vectors come from."""
        return [uri for where in (self.image, self.text) for uri in found(where)]


def found(where: str | tuple[str, ...] | None) -> list[str]:
    """Return the files of a place, without the name of the array; none for a column."""
    if isinstance(where, tuple):
        return [each.partition("#")[0] for each in where]
    if where is None or where.startswith("column:"):
        return []
    return expand(where.partition("#")[0])


def narrowed(spec: VectorSpec, shards: Sequence[str], among: Sequence[str]) -> VectorSpec:
    """Return where the vectors of some shards lie, given all shards that the files are aligned to.

    Raises
    ------
    RecipeError
        If there are more or fewer files than shards in all.
    """
    chosen: dict[str, Any] = {}
    for name in ("image", "text"):
        where = getattr(spec, name)
        if file := file_of(where, among):
            array = array_of(where)
            chosen[name] = tuple(f"{file[uri]}#{array}" if array else file[uri] for uri in shards)
    return replace(spec, **chosen)


def array_of(where: str | tuple[str, ...]) -> str:
    """Return the name of the array in the files of a place; empty for `.npy`."""
    return (where if isinstance(where, str) else where[0]).partition("#")[2]


def num_dims(spec: VectorSpec) -> int:
    """Return how many numbers a vector of the classes has."""
    return int(load_array(spec.classes).shape[1])


def identity(spec: VectorSpec) -> list[str]:
    """Return what changes when a vector file does."""
    return [f"{uri} {files.stat(uri)}" for uri in spec.files()]


@dataclass(frozen=True)
class Aligned:
    """A fragment, and the files that hold its vectors."""

    fragment: Fragment
    image: str | None
    """Null where the vectors are a column of the shard."""
    text: str | None

    @property
    def name(self) -> str:
        """That of the fragment."""
        return self.fragment.name


def aligned(spec: VectorSpec, catalog: Catalog, todo: Sequence[Fragment]) -> list[Aligned]:
    """Return fragments with the vector files of their shards.

    Raises
    ------
    RecipeError
        If there are more or fewer files than shards.
    """
    if not todo:
        return []
    shards = list(dict.fromkeys(fragment.shard.uri for fragment in catalog.fragments))
    image, text = file_of(spec.image, shards), file_of(spec.text, shards)
    return [Aligned(f, image.get(f.shard.uri), text.get(f.shard.uri)) for f in todo]


def file_of(where: str | tuple[str, ...] | None, shards: Sequence[str]) -> dict[str, str]:
    """Return the file of every shard, by their order; nothing for a column."""
    uris = found(where)
    if uris and len(uris) != len(shards):
        raise RecipeError(f"{where} matches {len(uris)} files for {len(shards)} shards")
    return dict(zip(shards, uris, strict=False))


@dataclass(frozen=True)
class Take:
    """Joins the samples of one fragment with their vectors and commits it."""

    spec: VectorSpec
    num_dims: int
    """Numbers of every vector, as those of the classes have."""
    caption: str | None
    step: Step

    def __call__(self, item: Aligned) -> int:
        image = unit_rows(self.rows(self.spec.image, item.image, item.fragment))
        table = self.describe(item.fragment, image)
        readable = np.array([fault is None for fault in table["fault"].to_pylist()], dtype=bool)
        table = table.append_column(IMAGE, scatter(image[readable], readable))
        where = self.spec.text
        text = self.rows(where, item.text, item.fragment) if where else np.zeros_like(image)
        written = readable & np.isfinite(text).all(axis=1) & text.any(axis=1)
        table = table.append_column(TEXT, scatter(unit_rows(text)[written], written))
        table = table.append_column(EARLY, scatter(image[readable], readable))
        self.step.write(item.fragment.name, table)
        return len(table)

    def rows(
        self, where: str | tuple[str, ...], uri: str | None, fragment: Fragment
    ) -> NDArray[np.float32]:
        """Return the `(n, d)` vectors of a fragment, from a file or from a column of its shard."""
        if uri is None:
            return from_column(str(where), fragment, self.num_dims)
        found = load_rows(uri, array_of(where), fragment.start, fragment.stop)
        if found.shape[1] != self.num_dims:
            raise SchemaError(f"{uri} {other_dims(found.shape[1], self.num_dims)}")
        return np.asarray(found, np.float32)

    def describe(self, fragment: Fragment, image: NDArray[np.float16]) -> pa.Table:
        """Return the sample columns; a vector that is no direction is a fault."""
        rows = []
        usable = np.logical_and(np.isfinite(image).all(axis=1), image.any(axis=1))
        samples = fragment.samples(self.caption)
        for sample, vector, is_usable in zip(samples, image, usable.tolist(), strict=True):
            content = sample.image or vector.tobytes()
            fault = sample.fault if sample.fault not in NEEDLESS else None
            rows.append(
                self.row(fragment, sample, content, fault or ("" if is_usable else "bad-vector"))
            )
        return pa.Table.from_pylist(rows, SAMPLE)

    @staticmethod
    def row(fragment: Fragment, sample: Sample, content: bytes, fault: str) -> dict[str, object]:
        """Return the `schema.SAMPLE` row of a sample whose content is its picture or vector."""
        row = describe(fragment.shard.uri, replace(sample, image=content), fault)
        return row | {"fault": fault or None}


def from_column(where: str, fragment: Fragment, num_dims: int) -> NDArray[np.float32]:
    """Return the `(n, d)` vectors of a fragment from a list column of its shard.

    A row without a list of `num_dims` numbers gets zeros, which are no direction.

    Raises
    ------
    SchemaError
        If the shard has no such column, or no row of the fragment has such a list.
    """
    uri, name = fragment.shard.uri, where.removeprefix("column:")
    lists = column_of(uri, name, fragment.start, fragment.stop)
    if not is_vector(lists.type):
        raise SchemaError(f"{uri}: column {name!r} must hold lists of numbers, got {lists.type}")
    length = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    fits = length == num_dims
    if length.any() and not fits.any():
        raise SchemaError(f"{uri}: column {name!r} {other_dims(int(length.max()), num_dims)}")
    rows = np.zeros((len(lists), num_dims), np.float32)
    rows[fits] = (
        lists.filter(pa.array(fits)).flatten().to_numpy(zero_copy_only=False).reshape(-1, num_dims)
    )
    return rows


def column_of(uri: str, name: str, start: int, stop: int) -> pa.Array:
    """Return the rows `[start, stop)` of a column of a shard, which nobody has vetted.

    Raises
    ------
    SchemaError
        If the shard has no such column, or its part is damaged.
    """
    try:
        with files.open_read(uri) as source:
            table = open_table(source)
            if name not in table.schema.names:
                hint = did_you_mean(name, table.schema.names)
                raise SchemaError(f"{uri} has no column {name!r}{hint}")
            if sum(table.group_rows) < stop:
                raise SchemaError(f"{uri} must have {stop} rows, got {sum(table.group_rows)}")
            bounds = list(pairwise(accumulate(table.group_rows, initial=0)))
            batches = [
                batch
                for group, (a, b) in enumerate(bounds)
                if a < stop and b > start
                for batch in table.rows(group, range(max(start - a, 0), min(stop, b) - a), [name])
            ]
    except CONTENT_ERRORS as error:
        raise SchemaError(f"{uri}: column {name!r} cannot be read: {error}") from error
    return pa.concat_arrays([columns_of(batch)[name] for batch in batches])


def is_vector(kind: pa.DataType) -> bool:
    """Return whether a column holds lists of numbers."""
    types = pa.types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return is_list and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type))


def other_dims(got: int, wanted: int) -> str:
    """Return the complaint that vectors are not as long as those of the classes."""
    return f"has vectors of {got} numbers, those of vectors.classes have {wanted}"


def unit_rows(vector: NDArray[np.floating]) -> NDArray[np.float16]:
    """Return rows scaled to length 1; a zero row stays zero."""
    length = np.linalg.norm(vector.astype(np.float32), axis=1, keepdims=True)
    return (vector / np.where(length > 0, length, 1.0)).astype(np.float16)
