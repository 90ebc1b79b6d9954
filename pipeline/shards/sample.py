"""One sample of a source shard, what can be wrong with it, and the table that indexes a shard."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FAULTS: Final[dict[str, str]] = {
    "missing-image": "the sample has no member or value that is an image",
    "empty-image": "the image has no bytes",
    "missing-text": "a caption is configured and the sample has none",
    "bad-utf8-text": "the caption is not UTF-8",
    "bad-json": "the json member cannot be decoded, or is not an object",
    "truncated-member": "the file ends inside of the sample",
    "member-too-large": "the members are larger than 256 MiB together; the largest were not read",
    "special-member": "a member is a link or a device, has holes or a damaged header: not followed",
    "fields-too-large": "the columns beside the image have more than 16 MiB",
    "bad-value": "a column holds a value that cannot be decoded, such as a date after 9999",
    "name-too-long": "the name has more than 4,096 characters",
    "bad-name": "the name of the file is not UTF-8",
    "unreadable": "the file is gone or forbidden, or its part of the shard is corrupt",
    "download-failed": "the crawler has recorded that it could not fetch the image",
}
"""What can be wrong with one sample before its pixels are decoded."""

SHARD_FAULTS: Final[dict[str, str]] = {
    "empty-shard": "the file has no bytes",
    "unreadable-shard": "the file is not of the format that its name says, or is compressed",
    "truncated-shard": "the file ends early; the samples before its end are intact",
    "corrupt-shard": "the file has a broken header; the samples before it are intact",
    "kills-reader": "whoever lists its samples dies or does not come to an end: it was left out",
    "no-image-column": "the parquet file has no column of image bytes; every row lacks its image",
}
"""What can be wrong with a whole shard."""

MAX_MEMBER_BYTES: Final = 256 * 2**20
"""Of one sample are read; what would go over it is left out, the largest members first."""

MAX_NAME_CHARS: Final = 4096
"""Of a key or an extension: no file system has longer paths. Keys are cut there."""

IMAGE_EXTENSIONS: Final = ("jpg", "png", "jpeg", "webp")
"""In the order in which OpenCLIP looks for the image of a sample."""

_MEMBER: Final = pa.struct(
    [("extension", pa.string()), ("offset", pa.int64()), ("size", pa.int64())]
)

INDEX: Final = pa.schema(
    [
        pa.field("row", pa.int32()),
        pa.field("key", pa.string()),
        pa.field("member", pa.list_(_MEMBER)),
        pa.field("fault", pa.string()),
    ]
)
"""One row per sample: where its members lie, and the fault that the headers alone show."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside of a shard."""

    extension: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of an index, before it becomes a table."""

    key: str
    members: tuple[Member, ...] = ()
    fault: str | None = None

    @property
    def extensions(self) -> frozenset[str]:
        """The extensions of its members."""
        return frozenset(member.extension for member in self.members)


@dataclass(frozen=True)
class Index:
    """The samples of one shard, in the order of the file."""

    table: pa.Table
    """Columns as in `INDEX`."""
    fault: str | None
    """One of `SHARD_FAULTS`, or None."""


def index_table(entries: Iterable[Entry]) -> pa.Table:
    """Return the index table of `entries`, numbered from 0, with keys that Arrow can hold."""
    listed = list(entries)
    members = [member for entry in listed for member in entry.members]
    lengths = np.array([0, *(len(entry.members) for entry in listed)], np.int32)
    columns = {name: [getattr(m, name) for m in members] for name in _MEMBER.names}
    member = pa.StructArray.from_arrays(
        [pa.array(columns[field.name], field.type) for field in _MEMBER], fields=list(_MEMBER)
    )
    return pa.Table.from_arrays(
        [
            pa.array(np.arange(len(listed), dtype=np.int32)),
            pa.array([_shown(entry.key) for entry in listed], pa.string()),
            pa.ListArray.from_arrays(np.cumsum(lengths, dtype=np.int32), member),
            pa.array([entry.fault for entry in listed], pa.string()),
        ],
        schema=INDEX,
    )


def _shown(key: str) -> str:
    return key[:MAX_NAME_CHARS].encode("utf-8", "backslashreplace").decode()


def entries_of(table: pa.Table) -> list[tuple[int, Entry]]:
    """Return the row number and the entry of each row of an index table, in its order."""
    member = pc.list_flatten(table["member"])
    members = map(Member, *(pc.struct_field(member, f.name).to_pylist() for f in _MEMBER))
    lengths = pc.list_value_length(table["member"])
    columns = (
        column.to_pylist() for column in (table["row"], table["key"], lengths, table["fault"])
    )
    return [
        (row, Entry(key, tuple(islice(members, num)), fault))
        for row, key, num, fault in zip(*columns, strict=True)
    ]
