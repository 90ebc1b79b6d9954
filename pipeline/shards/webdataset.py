"""WebDataset tars: group members into samples by their headers, then read rows by offset."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from pipeline.contract import Sample
from pipeline.shards import files, sidecar
from pipeline.shards.fields import caption_of, decode_text, first, parse_object
from pipeline.shards.find import Shard
from pipeline.shards.headers import BLOCK, BrokenTarError, headers
from pipeline.shards.sample import (
    IMAGE_EXTENSIONS,
    MAX_MEMBER_BYTES,
    MAX_NAME_CHARS,
    Entry,
    Index,
    Member,
    entries_of,
    index_table,
)
from pipeline.shards.spans import batches, read_members

Found = tuple[str, Member | None]
"""Name and place of a member; None for one that is not followed."""


def index(shard: Shard) -> Index:
    """Return one row per sample of the tar, then one per failed download of its sidecar."""
    if shard.size == 0:
        return Index(index_table([]), "empty-shard")
    found: list[Found] = []
    with files.open_read(shard.uri) as source:
        fault = _scan(source, shard.size, found)
    entries = [_judged(entry, shard.size) for entry in group(found)]
    if fault == "truncated-shard":
        entries = _without_cut_end(entries)
    return Index(index_table([*entries, *sidecar.failures(shard, entries)]), fault)


def _scan(source: files.Source, size: int, found: list[Found]) -> str | None:
    """Append the members of a tar to `found` and return the fault of the shard."""
    try:
        for header in headers(source, size):
            member = Member("", header.offset, header.size) if header.is_plain else None
            found.append((header.name, member))
    except BrokenTarError as error:
        is_tar = found or size < BLOCK
        return str(error) if is_tar else "unreadable-shard"
    return None


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


def group(found: Iterable[Found]) -> Iterator[Entry]:
    """Yield the samples of a tar: runs of members with one key and no extension twice."""
    key: str | None = None
    members: dict[str, Member | None] = {}
    for name, member in found:
        parts = split_name(name)
        if parts is None:
            continue
        if key != parts[0] or parts[1] in members:
            if key is not None:
                yield _entry(key, members)
            key, members = parts[0], {}
        members[parts[1]] = member
    if key is not None:
        yield _entry(key, members)


def _entry(key: str, found: dict[str, Member | None]) -> Entry:
    members = tuple(Member(name, m.offset, m.size) for name, m in found.items() if m is not None)
    return Entry(key, members, None if len(members) == len(found) else "special-member")


def _judged(entry: Entry, size: int) -> Entry:
    names = (entry.key, *(member.extension for member in entry.members))
    if max(map(len, names)) > MAX_NAME_CHARS:
        return Entry(entry.key, fault="name-too-long")
    if any(member.offset + member.size > size for member in entry.members):
        return Entry(entry.key, entry.members, "truncated-member")
    if sum(member.size for member in entry.members) > MAX_MEMBER_BYTES:
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
