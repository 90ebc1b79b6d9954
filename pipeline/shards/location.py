"""Names of places in storage, and the one boundary at which foreign errors become ours."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec

from pipeline.errors import ShardError

_LOGIN = re.compile(r"(?<=://)[^/@]*@")


@dataclass(frozen=True)
class Stat:
    """What tells one content of a file from another, without reading it."""

    size: int
    version: str
    """The etag where the store has one, else the time of the last change in nanoseconds."""


def redact(uri: str) -> str:
    """Return `uri` without the user, password or signed query that it may carry.

    Examples
    --------
    >>> redact("https://me:secret@example.org/a.tar?signature=abc")
    'https://example.org/a.tar'
    """
    if uri.startswith(("http://", "https://")):
        uri = uri.partition("?")[0]
    return _LOGIN.sub("", uri)


@contextmanager
def shard_errors(uri: str, doing: str) -> Iterator[None]:
    """Turn whatever a store raises inside into a `ShardError` that names `uri` and a remedy.

    The text of the foreign error is left out of the message: it may quote credentials.
    """
    try:
        yield
    except ShardError:
        raise
    except Exception as error:
        message = f"{redact(uri)}: cannot {doing}: {type(error).__name__}; {_remedy(error)}"
        raise ShardError(message) from error


def _remedy(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return "check that the path names an existing file"
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return "check the credentials and the permissions of this process"
    if isinstance(error, ImportError):
        return "install the fsspec package of this protocol, such as s3fs or gcsfs"
    if isinstance(error, ValueError):
        return "check the protocol and the spelling of the path"
    return "run the same command again; if it fails again, check the store"


def resolve(uri: str) -> tuple[Any, str]:
    """Return the file system of `uri` and the path of `uri` in it.

    Listings are never cached: another process may have written since.
    """
    with shard_errors(uri, "open its file system"):
        fs, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
        return fs, path


def canonical(uri: str) -> str:
    """Return `uri` without a trailing slash; a local path is made absolute and loses `file://`.

    Examples
    --------
    >>> canonical("s3://bucket/folder/"), canonical("file:///data/x")
    ('s3://bucket/folder', '/data/x')
    """
    if "://" in uri and not uri.startswith(("file://", "local://")):
        return uri.rstrip("/")
    return str(resolve(uri)[1])


def join(base: str, *parts: str) -> str:
    """Return the URI of `parts` below `base`.

    Examples
    --------
    >>> join("s3://bucket/folder/", "steps", "a.parquet")
    's3://bucket/folder/steps/a.parquet'
    """
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts)])
