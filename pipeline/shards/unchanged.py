"""Notice that a file was replaced under its name since it was found: no rows of both are mixed."""

from pipeline.errors import ShardError
from pipeline.shards import listing
from pipeline.shards.find import Shard
from pipeline.shards.location import Stat, redact


def require_unchanged(shard: Shard) -> None:
    """Check that the files of a shard are those that were found; one look at each.

    Call it after reading, not before: what was replaced by then was perhaps read, what is replaced
    later was not. Folders of images are too long to be listed so often: their files keep their
    sizes (`folder.read`), and a whole run looks at all once more before it publishes.

    Raises
    ------
    ShardError
        If one was replaced or removed.
    """
    for uri, version in shard.versions:
        if listing.find_stat(uri) != version and _listed(uri) != version:
            raise changed(uri)


def changed(uri: str) -> ShardError:
    """Return the error of a source file that is no longer what was found."""
    return ShardError(
        f"source shard {redact(uri)} must stay as it was found, it was replaced or removed during "
        "the run; run the same command again: it is read anew, the others are reused"
    )


def _listed(uri: str) -> Stat | None:
    """Return the version in the listing of the folder, where a store spells it in two ways."""
    return listing.list_folder(uri.rpartition("/")[0])[0].get(uri)
