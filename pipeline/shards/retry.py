"""Ask a store again after an error that passes by itself, a bounded number of times."""

import errno
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay
from tenacity.wait import wait_random_exponential

Result = TypeVar("Result")

ATTEMPTS: Final = 6
"""Clients repeat single requests by themselves (botocore: 5 times); this is on top of that."""
LAST_START: Final = 60
"""No attempt starts later than this many seconds after the first."""
WAIT: Final = wait_random_exponential(multiplier=0.5, max=20)
"""Seconds between attempts: random up to 0.5, 1, 2, 4, 8, so that workers do not come in step."""

STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504, 509})
CODES: Final = frozenset(
    {
        *("BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch"),  # damaged on the way
        *("ConditionalRequestConflict", "OperationAborted"),
        *("InternalError", "ServiceUnavailable", "SlowDown"),
        *("RequestTimeout", "RequestTimeoutException"),
        *("BandwidthLimitExceeded", "RequestLimitExceeded", "RequestThrottled"),
        *("RequestThrottledException", "Throttling", "ThrottlingException", "ThrottledException"),
        *("TooManyRequests", "TooManyRequestsException"),
    }
)
"""Error codes of S3 and its like."""
KINDS: Final = frozenset(
    {
        "ClientConnectionError",  # aiohttp: refused, reset, closed
        "ClientPayloadError",  # aiohttp: the body ended early
        "ConnectionError",  # Python, botocore, requests
        "FSTimeoutError",
        "HTTPClientError",  # botocore: closed, timed out
        "IncompleteRead",
        "IncompleteReadError",
        "ResponseParserError",  # botocore: half an answer
        "ResponseStreamingError",
        "TimeoutError",
    }
)
"""Classes by name, own or inherited: the packages of a store are installed only by its users."""
ERRNOS: Final = frozenset(
    {errno.EAGAIN, errno.EBUSY, errno.ESTALE, errno.EHOSTUNREACH, errno.ENETUNREACH}
)


def retried(function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Return `function(*args, **kwargs)`, tried again after errors that pass by themselves.

    Raises
    ------
    RetryError
        If the last attempt failed in the same way.
    """
    attempts = Retrying(
        retry=retry_if_exception(is_transient),
        wait=WAIT,
        stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(LAST_START),
    )
    return attempts(function, *args, **kwargs)


def is_transient(error: BaseException | None) -> bool:
    """Return whether an error, or one that it was made from, passes by itself."""
    return any(_passes(cause) for cause in causes(error))


def reason(error: BaseException) -> str:
    """Return what a store answered, in a word: `SlowDown`, `HTTP 503` or the class of the error.

    The text of the error is left out: it may quote credentials.
    """
    for cause in causes(error):
        code, status = _answer(cause)
        if code or status:
            return code or f"HTTP {status}"
        if _is_known(cause):
            return type(cause).__name__
    return type(error).__name__


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was made from."""
    while error is not None:
        yield error
        error = error.__cause__


def _passes(error: BaseException) -> bool:
    code, status = _answer(error)
    if code or status:
        return code in CODES or status in STATUSES
    if isinstance(error, OSError) and error.errno in ERRNOS:
        return True
    return _is_known(error)


def _is_known(error: BaseException) -> bool:
    return not KINDS.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def _answer(error: BaseException) -> tuple[str, int]:
    """Return the error code and the HTTP status of an answer; `""` and 0 where there is none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        code = str(response.get("Error", {}).get("Code", ""))
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return ("", int(code)) if code.isdecimal() else (code, int(status))
    places = (getattr(error, name, 0) for name in ("status", "status_code", "code"))
    return "", next((place for place in places if isinstance(place, int) and place), 0)
