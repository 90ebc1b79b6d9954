"""Which stores a path may name: those that hold files, and none that runs or unpacks something."""

from typing import Final

from fsspec.registry import known_implementations

from pipeline.errors import ShardError, quoted

STORES: Final = frozenset(
    {"file", "local", "memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl"}
    | {"hdfs", "webhdfs", "http", "https", "hf", "oci", "oss", "tos"}
)
"""The protocols of fsspec that are allowed, of those that it knows by itself.

Left out are all that fetch through a program or a shell (`git`, `github`, `jupyter`, `ssh`), open
archives and caches on this machine (`zip`, `tar`, `simplecache`), or read a file that says what to
read (`reference`). A protocol that a program has registered itself is its own affair.
"""


def refuse_protocol(uri: str) -> None:
    """Check that a path names a plain store.

    Raises
    ------
    ShardError
        If it chains file systems with `::`, or its protocol is one that fsspec knows and that is
        not among `STORES`.
    """
    if "::" in uri:
        raise ShardError(
            f"path {quoted(uri)} must be without '::', which would open a file system in another "
            "one; rename the file, or copy it to a plain store"
        )
    protocol = uri.partition(":")[0]
    is_named = "://" in uri or protocol == "data"
    if is_named and protocol in known_implementations and protocol not in STORES:
        raise ShardError(
            f"path {quoted(uri)} must lie on one of the stores {', '.join(sorted(STORES))}; "
            f"{protocol}:// is not allowed, copy the files to one of them"
        )
