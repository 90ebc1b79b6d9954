"""The parquet file that img2dataset writes beside each tar: fields, and what was not fetched."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract import Sample
from pipeline.shards import files, listing
from pipeline.shards.fields import caption_of, json_safe
from pipeline.shards.find import Shard, sidecar_uri
from pipeline.shards.sample import Entry

_NEEDED = {"key", "status"}


def failures(shard: Shard, entries: Sequence[Entry]) -> list[Entry]:
    """Return an entry for each failed download that the tar has no sample of."""
    present = {entry.key for entry in entries}
    return [
        Entry(key, fault="download-failed")
        for key, row in _rows(shard.uri, shard.identity).items()
        if row["status"] != "success" and key not in present
    ]


def fields(shard: Shard, key: str) -> dict[str, Any]:
    """Return what the sidecar says of a sample; nothing where there is no sidecar."""
    return json_safe(_rows(shard.uri, shard.identity).get(key, {}))


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


@lru_cache(maxsize=4)
def _rows(uri: str, identity: str) -> Mapping[str, dict[str, Any]]:  # noqa: ARG001 (cache key)
    """Return the rows of the sidecar by key; none if it is absent, broken or of another tool."""
    beside = sidecar_uri(uri)
    if not listing.exists(beside):
        return {}
    try:
        with files.open_read(beside) as source:
            table = pq.ParquetFile(source).read()
    except (pa.ArrowException, OSError):
        return {}
    if not _NEEDED.issubset(table.column_names):
        return {}
    return {str(row["key"]): row for row in table.to_pylist()}
