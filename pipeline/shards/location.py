"""Names of places in storage, and the one boundary at which foreign errors become ours."""

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import fsspec
from tenacity import RetryError

from pipeline.errors import CurationError, ShardError
from pipeline.shards.protocol import refuse_protocol
from pipeline.shards.retry import reason, retried

Result = TypeVar("Result")

_WEB = re.compile(r"(?:^|::)https?://")
_PASSWORD = re.compile(r"(?<=://)[^/]*:[^/]*@")
_WEB_LOGIN = re.compile(r"(?<=://)[^/]*@")
_MISSPELT = re.compile(r"(?<=://)[^/:@]+:(?!\d*(?:/|$)).*@")
"""A password with a slash in it, which no store would understand."""

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_REASONS: Final = {
    *("HTTP 507", "InsufficientStorage", "QuotaExceeded", "StorageLimitExceeded"),
    *("XMinioAdminBucketQuotaExceeded", "XMinioStorageFull"),
}


@dataclass(frozen=True, slots=True)
class Stat:
    """What tells one content of a file from another, without reading it."""

    size: int
    version: str
    """The etag where the store has one, else the time of the last change in nanoseconds."""


def redact(uri: str) -> str:
    """Return `uri` without the login or the signed query that it may carry.

    Examples
    --------
    >>> redact("https://me:secret@example.org/a.tar?signature=abc")
    'https://example.org/a.tar'
    """
    login = _PASSWORD
    if _WEB.search(uri):
        uri, login = uri.partition("?")[0], _WEB_LOGIN
    return _MISSPELT.sub("", login.sub("", uri))


def refuse_secrets(uri: str) -> None:
    """Check that a URI carries no credentials, for it will stand in ledgers and manifests.

    Raises
    ------
    ShardError
        If it has a password, or, on the web, a login or a query.
    """
    is_web = _WEB.search(uri)
    if _PASSWORD.search(uri) or (is_web and (_WEB_LOGIN.search(uri) or "?" in uri)):
        raise ShardError(
            f"{redact(uri)} must be given without login and query: it is written into ledgers and "
            "manifests; let the store find its credentials in the environment, its configuration "
            "file or the role of the machine"
        )


def ask(uri: str, doing: str, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Return `function(*args, **kwargs)`, tried again where that helps; see `shard_errors`."""
    with shard_errors(uri, doing):
        return retried(function, *args, **kwargs)


@contextmanager
def shard_errors(uri: str, doing: str) -> Iterator[None]:
    """Turn whatever a store raises inside into a `ShardError` that names `uri` and a remedy.

    The text of the foreign error is left out of the message: it may quote credentials.
    """
    try:
        yield
    except CurationError:
        raise
    except RetryError as error:
        last, count = error.last_attempt.exception() or error, error.last_attempt.attempt_number
        message = f"{redact(uri)}: cannot {doing}: the store answered {reason(last)} {count} times"
        raise ShardError(f"{message}; {_AGAIN}") from last
    except Exception as error:
        message = f"{redact(uri)}: cannot {doing}: {type(error).__name__}; {_remedy(error)}"
        raise ShardError(message) from error


_AGAIN = "once the store is well, run the same command again: it goes on from where it stopped"


def _is_full(error: Exception) -> bool:
    return getattr(error, "errno", None) in _FULL or reason(error) in _FULL_REASONS


def _remedy(error: Exception) -> str:
    if _is_full(error):
        return (
            "the disk or the quota is full: free some space or raise the quota, then run the same "
            "command again: it goes on from where it stopped"
        )
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
    refuse_secrets(uri)
    refuse_protocol(uri)
    with shard_errors(uri, "open its file system"):
        fs, path = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    if "s3" in fs.protocol:
        fs.retries = 1  # botocore repeats requests already; five times five would take minutes
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
