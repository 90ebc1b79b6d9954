"""The right to change an output: an attempt number that no later attempt has outdone."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from pipeline.contract import Engine, Limits
from pipeline.errors import LeaseError
from pipeline.observer import Observer, Watched
from pipeline.shards import files
from pipeline.shards.manifest import LEASE
from pipeline.shards.permit import asking
from pipeline.store.holder import Holder, parse

NAME = re.compile(r"(\d{6,})\.json")


@dataclass(frozen=True)
class Fence:
    """The number of an attempt to write an output, the fencing token of its lease.

    Small, and fit to travel into tasks: whatever changes the output asks it right before.
    """

    output: str
    attempt: int

    @property
    def is_valid(self) -> bool:
        """Whether no later attempt has begun."""
        return max(attempts(self.output), default=0) <= self.attempt

    def check(self) -> None:
        """Refuse to go on if a later attempt has taken the output over.

        Raises
        ------
        LeaseError
            If it has: nothing more may be written.
        """
        if not self.is_valid:
            raise LeaseError(
                f"output {files.redact(self.output)} was taken over from attempt {self.attempt}, "
                f"which had given no sign of life, by {described(self.output)}; this run stops "
                "without publishing, what it has computed is in the workspace"
            )

    def guard(self) -> AbstractContextManager[None]:
        """Have every change of the output inside a block checked right before."""
        return asking(self.output, self.check)


@dataclass(frozen=True)
class FencedEngine:
    """An engine whose tasks check the fence before they begin, wherever they run."""

    engine: Engine
    fence: Fence

    @property
    def limits(self) -> Limits:
        return self.engine.limits

    @property
    def observer(self) -> Observer:
        return self.engine.observer

    def within(self, limits: Limits) -> "FencedEngine":
        return FencedEngine(self.engine.within(limits), self.fence)

    def observed(self, watched: Watched) -> "FencedEngine":
        return FencedEngine(self.engine.observed(watched), self.fence)

    def each(
        self, function: Callable[[Any], Any], items: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        return self.engine.each(Fenced(function, self.fence), items)

    def pipe(
        self,
        prepare: Callable[[Any], Any],
        make_stage: Callable[[], Callable[[Any], Any]],
        items: Sequence[Any],
    ) -> Iterator[tuple[int, Any]]:
        return self.engine.pipe(Fenced(prepare, self.fence), make_stage, items)


@dataclass(frozen=True)
class Fenced:
    """A function that is called only while the fence holds, and changes the output only then."""

    function: Callable[[Any], Any]
    fence: Fence

    def __call__(self, item: Any) -> Any:
        self.fence.check()
        with self.fence.guard():
            return self.function(item)


def attempts(output: str) -> dict[int, str]:
    """Return the files of the attempts to write an output, by number."""
    found = files.list_files(files.join(output, LEASE))
    matches = ((NAME.fullmatch(uri.rpartition("/")[2]), uri) for uri in found)
    return {int(match[1]): uri for match, uri in matches if match}


def attempt_uri(output: str, attempt: int) -> str:
    """Return the file of an attempt."""
    return files.join(output, LEASE, f"{attempt:06d}.json")


def latest(output: str) -> tuple[int, bytes]:
    """Return the number of the latest attempt and its file, or 0 and nothing without one."""
    while found := attempts(output):
        attempt = max(found)
        (data,) = files.read_many([found[attempt]])
        if data is not None:  # a later attempt has tidied up in the meantime
            return attempt, data
    return 0, b""


def holder_of(output: str) -> Holder | None:
    """Return who made the latest attempt to write an output; None if nobody or illegible."""
    return parse(latest(output)[1])


def described(output: str) -> str:
    """Return the latest attempt to write an output in words."""
    attempt, data = latest(output)
    holder = parse(data)
    return f"attempt {attempt} ({holder or 'its file is illegible'})"
