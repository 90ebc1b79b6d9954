"""WebDataset tars: group members into samples by their headers, then read rows by offset."""

import tarfile
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pyarrow as pa

from pipeline.contract import Sample
from pipeline.shards import files, sidecar
from pipeline.shards.fields import caption_of, decode_text, first, parse_object
from pipeline.shards.find import Shard
from pipeline.shards.sample import (
    IMAGE_EXTENSIONS,
    MAX_MEMBER_BYTES,
    Entry,
    Index,
    Member,
    entries_of,
    index_table,
)
from pipeline.shards.spans import batches, read_members

BLOCK = 512

_BROKEN = (tarfile.TarError, ValueError, OverflowError, MemoryError)
"""What `tarfile` raises on hostile or cut headers."""


def index(shard: Shard) -> Index:
    """Return one row per sample of the tar, then one per failed download of its sidecar."""
    if shard.size == 0:
        return Index(index_table([]), "empty-shard")
    found: list[tuple[str, Member]] = []
    with files.open_read(shard.uri) as source:
        fault = _scan(source, shard.size, found)
    entries = [_judged(entry, shard.size) for entry in group(found)]
    if fault == "truncated-shard":
        entries = _without_cut_end(entries)
    return Index(index_table([*entries, *sidecar.failures(shard, entries)]), fault)


def _scan(source: files.Source, size: int, found: list[tuple[str, Member]]) -> str | None:
    """Append the regular files of a tar to `found` and return the fault of the shard."""
    try:
        with tarfile.open(
            fileobj=cast("Any", source), mode="r:", encoding="utf-8", errors="backslashreplace"
        ) as tar:
            return _walk(tar, size, found) or _ending(source, tar.offset, size)
    except _BROKEN:
        return "truncated-shard" if found or size < BLOCK else "unreadable-shard"


def _walk(tar: tarfile.TarFile, size: int, found: list[tuple[str, Member]]) -> str | None:
    position = -1
    while (info := tar.next()) is not None:
        if tar.offset <= position or info.size < 0:
            return "corrupt-shard"
        position = tar.offset
        if not info.isreg() or info.issparse():
            continue
        found.append((info.name, Member("", info.offset_data, info.size)))
        if info.offset_data + info.size > size:
            return "truncated-shard"
    return None


def _ending(source: files.Source, position: int, size: int) -> str | None:
    """Return the fault of a tar whose headers end at `position`: a sound one ends in zeros."""
    if position >= size:
        return "truncated-shard"
    source.seek(position)
    block = source.read(BLOCK)
    if not block.strip(b"\0"):
        return None
    return "truncated-shard" if len(block) < BLOCK else "corrupt-shard"


def split_name(name: str) -> tuple[str, str] | None:
    """Return the key and the lower-case extension of a member, None if it belongs to no sample.

    Examples
    --------
    >>> split_name("a.b/0001.seg.PNG"), split_name("a/.hidden.jpg")
    (('a.b/0001', 'seg.png'), None)
    """
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    is_meta = name.startswith("__") and name.partition("/")[0].endswith("__")
    if not stem or not extension or is_meta:
        return None
    return folder + slash + stem, extension.lower()


def group(found: Sequence[tuple[str, Member]]) -> list[Entry]:
    """Return the samples of a tar: runs of members with one key and no extension twice."""
    entries: list[tuple[str, dict[str, Member]]] = []
    for name, member in found:
        parts = split_name(name)
        if parts is None:
            continue
        key, extension = parts
        if not entries or entries[-1][0] != key or extension in entries[-1][1]:
            entries.append((key, {}))
        entries[-1][1][extension] = Member(extension, member.offset, member.size)
    return [Entry(key, tuple(members.values())) for key, members in entries]


def _judged(entry: Entry, size: int) -> Entry:
    if any(member.offset + member.size > size for member in entry.members):
        return Entry(entry.key, entry.members, "truncated-member")
    if any(member.size > MAX_MEMBER_BYTES for member in entry.members):
        return Entry(entry.key, entry.members, "member-too-large")
    return entry


def _without_cut_end(entries: list[Entry]) -> list[Entry]:
    """Mark the last sample of a truncated tar as cut unless it has all that its neighbour has."""
    if not entries:
        return entries
    *others, last = entries
    if others and others[-1].extensions <= last.extensions:
        return entries
    return [*others, Entry(last.key, last.members, last.fault or "truncated-member")]


def read(shard: Shard, table: pa.Table, caption: str | None = "auto") -> Iterator[Sample]:
    """Yield one sample for each row of `table`, in its order."""
    source = "txt" if caption == "auto" else caption
    for batch in batches(entries_of(table)):
        members = read_members(shard, [entry for _, entry in batch])
        for (row, entry), data in zip(batch, members, strict=True):
            yield _sample(shard, (row, entry), data, source)


def _sample(
    shard: Shard, numbered: tuple[int, Entry], data: dict[str, bytes], source: str | None
) -> Sample:
    row, entry = numbered
    if entry.fault == "download-failed":
        return sidecar.failed_sample(shard, row, entry.key, has_caption=source is not None)
    extension = next((name for name in IMAGE_EXTENSIONS if name in entry.extensions), None)
    image = data.get(extension) if extension else None
    fields, field_fault = _fields(shard, entry, data)
    caption, text_fault = _caption(data, fields, source)
    is_short = any(member.extension not in data for member in entry.members)
    return Sample(
        row=row,
        key=entry.key,
        image=image,
        extension=extension,
        caption=caption,
        fields=fields,
        members={name: part for name, part in data.items() if name != extension},
        fault=first(
            entry.fault,
            "truncated-member" if is_short else None,
            "missing-image" if image is None else None,
            "empty-image" if image == b"" else None,
            text_fault,
            field_fault,
        ),
    )


def _fields(
    shard: Shard, entry: Entry, data: dict[str, bytes]
) -> tuple[dict[str, Any], str | None]:
    fields = parse_object(data["json"]) if "json" in data else sidecar.fields(shard, entry.key)
    fault = "bad-json" if fields is None else None
    fields = fields or {}
    if "cls" in data:
        fields.setdefault("cls", decode_text(data["cls"]))
    return fields, fault


def _caption(
    data: dict[str, bytes], fields: dict[str, Any], source: str | None
) -> tuple[str | None, str | None]:
    if source is None:
        return None, None
    if source.startswith("json:"):
        return caption_of(fields.get(source.removeprefix("json:")))
    return caption_of(data.get(source))
