"""Output shards that an earlier attempt has left: taken only where they are whole."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from pipeline.shards import files
from pipeline.shards.manifest import rows_name, stats_name, tar_name
from pipeline.shards.seal import parse

CHUNK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Packed:
    """Looks for one shard of a plan in an output."""

    output: str
    plan: str

    def __call__(self, number: int) -> dict[str, Any] | None:
        """Return the stats of a shard, or None if it is to be written, or written again.

        Its files are read back and compared with their hashes, which costs less than packing.
        """
        (data,) = files.read_many([files.join(self.output, stats_name(number))])
        stats = parse(data or b"")
        if stats is None or (stats.get("plan"), stats.get("number")) != (self.plan, number):
            return None
        hashes = {tar_name(number): "tar_blake2b", rows_name(number): "rows_blake2b"}
        is_whole = all(
            digest(files.join(self.output, name)) == stats.get(key) for name, key in hashes.items()
        )
        return stats if is_whole else None


def digest(uri: str) -> str | None:
    """Return the hash of a file as stats hold it, None if there is no file."""
    if not files.exists(uri):
        return None
    found = blake2b(digest_size=16)
    with files.open_read(uri) as source:
        while chunk := source.read(CHUNK_BYTES):
            found.update(chunk)
    return found.hexdigest()
