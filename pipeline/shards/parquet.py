"""Parquet files with image bytes in a column, as Hugging Face or one's own export writes them."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, pairwise, repeat
from typing import Any, Final

import pyarrow as pa

from pipeline.contract import Sample
from pipeline.errors import SchemaError, did_you_mean
from pipeline.shards import files
from pipeline.shards.fields import caption_of, first, json_safe
from pipeline.shards.find import Shard
from pipeline.shards.sample import (
    IMAGE_EXTENSIONS,
    INDEX,
    MAX_NAME_CHARS,
    Entry,
    Index,
    entries_of,
    index_table,
)
from pipeline.shards.table import (
    CONTENT_ERRORS,
    MAX_FIELD_BYTES,
    MAX_ROW_BYTES,
    Table,
    columns_of,
    open_table,
    value_of,
    weight,
)

IMAGE_COLUMNS: Final = ("jpg", "image", "png", "bytes", "img", "jpeg", "webp")
KEY_COLUMNS: Final = ("key", "uid", "id", "__key__")
CAPTION_COLUMNS: Final = ("caption", "text", "TEXT", "alt", "title")

_MAGIC: Final = ((b"\xff\xd8", "jpg"), (b"\x89PNG", "png"), (b"RIFF", "webp"))

Cells = dict[str, Any]
Read = tuple[Cells, str | None]
"""The cells of a row, and the fault of the row as a whole."""


def index(shard: Shard) -> Index:
    """Return one row per row of the file; only the footer and the key column are read."""
    if shard.size == 0:
        return Index(INDEX.empty_table(), "empty-shard")
    with files.open_read(shard.uri) as source:
        table = open_table(source)
        num_rows, schema = table.metadata.num_rows, table.schema
        fault = None if _image_column(schema) else "no-image-column"
        name = _present(KEY_COLUMNS, schema)
        found = _values(table, range(num_rows), [name]) if name else repeat(({}, None), num_rows)
        entries = (_entry(row, cells.get(name or "")) for row, (cells, _) in enumerate(found))
        return Index(index_table(entries), fault)


def _entry(row: int, value: Any) -> Entry:
    if value is None:
        return Entry(f"{row:09d}")
    key = value.hex() if isinstance(value, bytes) else str(value)
    is_long = len(key) > MAX_NAME_CHARS
    return Entry(key[:MAX_NAME_CHARS], fault="name-too-long" if is_long else None)


def _present(names: Sequence[str], schema: pa.Schema) -> str | None:
    return next((name for name in names if name in schema.names), None)


def _image_column(schema: pa.Schema) -> str | None:
    usable = [field.name for field in schema if _holds_bytes(field.type)]
    return next((name for name in IMAGE_COLUMNS if name in usable), None)


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _caption_column(caption: str | None, schema: pa.Schema, uri: str) -> str | None:
    if caption == "auto":
        return _present(CAPTION_COLUMNS, schema)
    if caption is not None and caption not in schema.names:
        hint = did_you_mean(caption, schema.names)
        message = f"{files.redact(uri)} must have the caption column {caption!r}, got"
        raise SchemaError(f"{message} {schema.names}{hint}")
    return caption


def read(shard: Shard, table: pa.Table, caption: str | None = "auto") -> Iterator[Sample]:
    """Yield one sample for each row of `table`, in its order."""
    entries = entries_of(table)
    with files.open_read(shard.uri) as source:
        try:
            file = open_table(source)
            schema = file.schema
        except CONTENT_ERRORS:  # it was replaced since it was indexed
            yield from (_sample(entry, ({}, "unreadable"), (None, None)) for entry in entries)
            return
        image = _image_column(schema)
        text = _caption_column(caption, schema, shard.uri)
        for run in _rising(entries):
            found = _values(file, [row for row, _ in run])
            for numbered, cells in zip(run, found, strict=True):
                yield _sample(numbered, cells, (image, text))


def _rising(entries: Sequence[tuple[int, Entry]]) -> Iterator[list[tuple[int, Entry]]]:
    """Yield the longest runs of entries whose row numbers rise."""
    run: list[tuple[int, Entry]] = []
    for numbered in entries:
        if run and numbered[0] <= run[-1][0]:
            yield run
            run = []
        run.append(numbered)
    if run:
        yield run


def _values(file: Table, rows: Sequence[int], columns: list[str] | None = None) -> Iterator[Read]:
    """Yield what the columns hold in each of the rising `rows`."""
    groups = file.group_rows
    for group, (start, stop) in enumerate(pairwise(accumulate(groups, initial=0))):
        first_row, last_row = bisect_left(rows, start), bisect_left(rows, stop)
        if first_row < last_row:
            inside = [row - start for row in rows[first_row:last_row]]
            yield from _group_values(file, group, inside, columns)
    yield from [({}, "unreadable")] * (len(rows) - bisect_left(rows, sum(groups)))


def _group_values(
    file: Table, group: int, rows: Sequence[int], columns: list[str] | None
) -> Iterator[Read]:
    num_done = 0
    try:
        for batch in file.rows(group, rows, columns):
            yield _cells(batch)
            num_done += 1
    except CONTENT_ERRORS:
        pass
    yield from [({}, "unreadable")] * (len(rows) - num_done)


def _cells(batch: pa.RecordBatch) -> Read:
    columns = columns_of(batch)
    image = _image_column(batch.schema)
    fields = [column for name, column in columns.items() if name != image]
    if batch.nbytes > MAX_ROW_BYTES:
        return {}, "member-too-large"
    if weight(fields) > MAX_FIELD_BYTES:
        return {}, "fields-too-large"
    try:
        return {name: value_of(column[0]) for name, column in columns.items()}, None
    except CONTENT_ERRORS:
        return {}, "bad-value"


def _sample(
    numbered: tuple[int, Entry], read: Read, columns: tuple[str | None, str | None]
) -> Sample:
    row, entry = numbered
    cells, fault = read
    image_column, text_column = columns
    image, path = _image(cells, image_column)
    caption, text_fault = None, None
    if text_column is not None and fault is None:
        caption, text_fault = caption_of(cells[text_column])
    return Sample(
        row=row,
        key=entry.key,
        image=image,
        extension=None if image is None else _extension(image, path, image_column),
        caption=caption,
        fields=json_safe({k: v for k, v in cells.items() if k != image_column}),
        members={},
        fault=first(
            entry.fault,
            fault,
            "missing-image" if image is None else None,
            "empty-image" if image == b"" else None,
            text_fault,
        ),
    )


def _image(value: dict[str, Any], column: str | None) -> tuple[bytes | None, str]:
    found = value.get(column) if column else None
    if isinstance(found, dict):
        path = found.get("path")
        return found["bytes"], path if isinstance(path, str) else ""
    return found, ""


def _extension(image: bytes, path: str, column: str | None) -> str:
    known = (kind for magic, kind in _MAGIC if image.startswith(magic))
    named = (path.rpartition(".")[2].lower(), column)
    return next(chain(known, (name for name in named if name in IMAGE_EXTENSIONS)), "jpg")
