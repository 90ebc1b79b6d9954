"""The parquet file that img2dataset writes beside each tar: fields, and what was not fetched."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from pipeline.contract import Sample
from pipeline.shards import files, listing
from pipeline.shards.fields import caption_of, json_safe
from pipeline.shards.find import Shard, sidecar_uri
from pipeline.shards.sample import Entry
from pipeline.shards.table import (
    CONTENT_ERRORS,
    Table,
    columns_of,
    open_table,
    value_of,
    weight,
)

MAX_BYTES: Final = 256 * 2**20
"""A larger sidecar is left alone: it is held in memory while its tar is read."""

_NEEDED = {"key", "status"}


def failures(shard: Shard, entries: Sequence[Entry]) -> list[Entry]:
    """Return an entry for each failed download that the tar has no sample of."""
    present = {entry.key for entry in entries}
    return [
        Entry(key, fault="download-failed")
        for key, row in _listed(shard).items()
        if row["status"] != "success" and key not in present
    ]


def fields(shard: Shard, key: str) -> dict[str, Any]:
    """Return what the sidecar says of a sample; nothing where there is no sidecar."""
    return json_safe(_listed(shard).get(key, {}))


def failed_sample(shard: Shard, row: int, key: str, *, has_caption: bool) -> Sample:
    """Return the sample of a download that failed: fields and caption without an image."""
    found = fields(shard, key)
    return Sample(
        row=row,
        key=key,
        image=None,
        extension=None,
        caption=caption_of(found.get("caption"))[0] if has_caption else None,
        fields=found,
        members={},
        fault="download-failed",
    )


def _listed(shard: Shard) -> Mapping[str, dict[str, Any]]:
    """Return the rows of the sidecar; where the shard was found without one, none is asked for."""
    return {} if len(shard.versions) == 1 else _rows(shard.uri, shard.identity)


@lru_cache(maxsize=4)
def _rows(uri: str, identity: str) -> Mapping[str, dict[str, Any]]:  # noqa: ARG001 (cache key)
    """Return the rows of the sidecar by key; none if it is absent, broken or of another tool."""
    beside = sidecar_uri(uri)
    if not listing.is_file(beside):
        return {}
    try:
        with files.open_read(beside) as source:
            return {str(cells["key"]): cells for cells in _cells(open_table(source))}
    except CONTENT_ERRORS:
        return {}


def _cells(table: Table) -> Iterator[dict[str, Any]]:
    if not _NEEDED.issubset(table.schema.names):
        return
    held = 0
    for group, num_rows in enumerate(table.group_rows):
        for batch in table.rows(group, range(num_rows)):
            columns = columns_of(batch)
            held += weight(columns.values())
            if held > MAX_BYTES:
                raise ValueError(f"the sidecar has more than {MAX_BYTES} bytes")
            yield {name: value_of(column[0]) for name, column in columns.items()}
