"""Parquet files with image bytes in a column, as Hugging Face or one's own export writes them."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract import Sample
from pipeline.errors import SchemaError, did_you_mean
from pipeline.shards import files
from pipeline.shards.fields import caption_of, first, json_safe
from pipeline.shards.find import Shard
from pipeline.shards.sample import (
    IMAGE_EXTENSIONS,
    INDEX,
    MAX_MEMBER_BYTES,
    Entry,
    Index,
    entries_of,
    index_table,
)

IMAGE_COLUMNS: Final = ("jpg", "image", "png", "bytes", "img", "jpeg", "webp")
KEY_COLUMNS: Final = ("key", "uid", "id", "__key__")
CAPTION_COLUMNS: Final = ("caption", "text", "TEXT", "alt", "title")

_MAGIC: Final = ((b"\xff\xd8", "jpg"), (b"\x89PNG", "png"), (b"RIFF", "webp"))
_BATCH_ROWS = 128
_CONTENT_ERRORS = (pa.ArrowException, OSError)
"""What Arrow raises on corrupt pages; storage raises `ShardError`."""


def index(shard: Shard) -> Index:
    """Return one row per row of the file; only the footer and the key column are read."""
    if shard.size == 0:
        return Index(INDEX.empty_table(), "empty-shard")
    with files.open_read(shard.uri) as source:
        file = pq.ParquetFile(source)
        fault = None if _image_column(file.schema_arrow) else "no-image-column"
        name = _present(KEY_COLUMNS, file.schema_arrow)
        keys = file.read([name])[name].to_pylist() if name else [None] * file.metadata.num_rows
    entries = (Entry(_key(row, key)) for row, key in enumerate(keys))
    return Index(index_table(entries), fault)


def _key(row: int, value: Any) -> str:
    if value is None:
        return f"{row:09d}"
    return value.hex() if isinstance(value, bytes) else str(value)


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
        file = pq.ParquetFile(source)
        image = _image_column(file.schema_arrow)
        text = _caption_column(caption, file.schema_arrow, shard.uri)
        for run in _rising(entries):
            values = _values(file, [row for row, _ in run])
            for (row, entry), value in zip(run, values, strict=True):
                yield _sample(row, entry.key, value, (image, text))


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


def _values(file: pq.ParquetFile, rows: Sequence[int]) -> Iterator[dict[str, Any] | None]:
    """Yield the columns of each of the rising `rows`, None for one in a corrupt row group."""
    start = 0
    for group in range(file.metadata.num_row_groups):
        stop = start + file.metadata.row_group(group).num_rows
        inside = [row - start for row in rows if start <= row < stop]
        if inside:
            yield from _group_values(file, group, inside)
        start = stop
    yield from [None] * sum(row >= start for row in rows)


def _group_values(
    file: pq.ParquetFile, group: int, rows: Sequence[int]
) -> Iterator[dict[str, Any] | None]:
    num_done = 0
    try:
        for value in _stream(file, group, rows):
            yield value
            num_done += 1
    except _CONTENT_ERRORS:
        yield from [None] * (len(rows) - num_done)


def _stream(file: pq.ParquetFile, group: int, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield rows of one row group in batches, so that a group larger than memory can be read."""
    start = 0
    for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group]):
        stop = start + batch.num_rows
        inside = [row - start for row in rows if start <= row < stop]
        yield from batch.take(pa.array(inside, pa.int64())).to_pylist()
        start = stop
        if start > rows[-1]:
            return


def _sample(
    row: int, key: str, value: dict[str, Any] | None, columns: tuple[str | None, str | None]
) -> Sample:
    image_column, text_column = columns
    image, path = _image(value or {}, image_column)
    is_large = image is not None and len(image) > MAX_MEMBER_BYTES
    caption, text_fault = None, None
    if text_column is not None and value is not None:
        caption, text_fault = caption_of(value[text_column])
    return Sample(
        row=row,
        key=key,
        image=None if is_large else image,
        extension=None if image is None else _extension(image, path, image_column),
        caption=caption,
        fields=json_safe({k: v for k, v in (value or {}).items() if k != image_column}),
        members={},
        fault=first(
            "unreadable" if value is None else None,
            "missing-image" if image is None else None,
            "member-too-large" if is_large else None,
            "empty-image" if image == b"" else None,
            text_fault,
        ),
    )


def _image(value: dict[str, Any], column: str | None) -> tuple[bytes | None, str]:
    found = value.get(column) if column else None
    if isinstance(found, dict):
        return found["bytes"], found.get("path") or ""
    return found, ""


def _extension(image: bytes, path: str, column: str | None) -> str:
    known = (kind for magic, kind in _MAGIC if image.startswith(magic))
    named = (path.rpartition(".")[2].lower(), column)
    return next(chain(known, (name for name in named if name in IMAGE_EXTENSIONS)), "jpg")
