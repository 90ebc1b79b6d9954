"""Folders of images: one shard per class folder, a caption in a `.txt` beside each image."""

import os
from collections.abc import Iterator

import pyarrow as pa

from pipeline.contract import Sample
from pipeline.shards import files, listing
from pipeline.shards.fields import caption_of, first
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
from pipeline.shards.spans import Numbered, batches
from pipeline.shards.unchanged import changed


def index(shard: Shard) -> Index:
    """Return one row per image; its key is the path below the folder."""
    sizes = {
        uri[len(shard.uri) + 1 :]: stat.size for uri, stat in listing.list_stats(shard.uri).items()
    }
    entries = (_entry(shard, name, sizes) for name in sorted(sizes) if _extension(name))
    return Index(index_table(entries), None)


def _entry(shard: Shard, name: str, sizes: dict[str, int]) -> Entry:
    members = [Member(_extension(name), 0, sizes[name])]
    text = _text_name(name)
    if text in sizes:
        members.append(Member("txt", 0, sizes[text]))
    is_large = sum(member.size for member in members) > MAX_MEMBER_BYTES
    names = [name, text][: len(members)]
    fault = first(
        "bad-name" if _is_unspeakable(name) else None,
        "special-member" if any(_leads_out(shard, each) for each in names) else None,
        "member-too-large" if is_large else None,
    )
    return Entry(name, tuple(members), fault)


def _is_unspeakable(name: str) -> bool:
    """Return whether a name is not UTF-8, or is read as a chain of file systems."""
    return "::" in name or name.encode("utf-8", "replace") != os.fsencode(name)


def _leads_out(shard: Shard, name: str) -> bool:
    """Return whether a file of a local folder is a link to a place outside of the folder.

    Who packs a folder may not know what lies there: such a file could be a secret of this machine.
    """
    if "://" in shard.uri or not os.path.islink(path := os.path.join(shard.uri, name)):
        return False
    root = os.path.realpath(shard.uri)
    return os.path.commonpath([root, os.path.realpath(path)]) != root


def _extension(name: str) -> str:
    extension = name.rpartition("/")[2].rpartition(".")[2].lower()
    return extension if extension in IMAGE_EXTENSIONS else ""


def _text_name(name: str) -> str:
    return name.rpartition(".")[0] + ".txt"


def read(shard: Shard, table: pa.Table, caption: str | None = "auto") -> Iterator[Sample]:
    """Yield one sample for each row of `table`, in its order."""
    for batch in batches(entries_of(table)):
        found = iter(files.read_many([uri for _, entry in batch for uri in _uris(shard, entry)]))
        for numbered in batch:
            data = [next(found) for _ in _uris(shard, numbered[1])]
            _require_sizes(shard, numbered[1], data)
            yield _sample(shard, numbered, data, caption)


def _require_sizes(shard: Shard, entry: Entry, data: list[bytes | None]) -> None:
    """Check that the files of a sample are as long as they were when the folder was indexed."""
    for uri, member, part in zip(_uris(shard, entry), entry.members, data, strict=False):
        if part is not None and len(part) != member.size:
            raise changed(uri)


def _uris(shard: Shard, entry: Entry) -> list[str]:
    if entry.fault is not None:
        return []
    names = {"txt": _text_name(entry.key)}
    return [files.join(shard.uri, names.get(m.extension, entry.key)) for m in entry.members]


def _sample(
    shard: Shard, numbered: Numbered, data: list[bytes | None], source: str | None
) -> Sample:
    row, entry = numbered
    image = data[0] if data else None
    text = data[1] if len(data) > 1 else None
    caption, text_fault = caption_of(text) if source is not None else (None, None)
    if source == "auto" and len(entry.members) == 1:
        text_fault = None
    return Sample(
        row=row,
        key=entry.key,
        image=image,
        extension=entry.members[0].extension,
        caption=caption,
        fields={"label": shard.uri.rpartition("/")[2]},
        members={} if text is None else {"txt": text},
        fault=first(
            entry.fault,
            "unreadable" if image is None else None,
            "empty-image" if image == b"" else None,
            text_fault,
        ),
    )
