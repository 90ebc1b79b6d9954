"""Who watches a run from outside: nothing of what is told here changes what comes out."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What tells one run from others, in metrics and in log lines."""

    run: str
    """The id of the run; a run that is continued keeps it."""
    recipe: str
    """Name of the recipe."""
    attempt: int | None = None
    """Of the lease of the output; None where nothing is published."""


class Observer(Protocol):
    """Is told by the driver how a run goes on; calls are few and must be cheap."""

    def step(self, name: str, rows: int) -> AbstractContextManager[Callable[[int], None]]:
        """Watch a step; what it yields is called with the rows that are done, reused ones first."""
        ...

    def encoders(self, number: int) -> None:
        """Hear how many workers hold an encoder from now on."""
        ...

    def encoded(self, seconds: float) -> None:
        """Hear how long an encoder has worked on a fragment, input and output not counted."""
        ...

    def retried(self, number: int = 1) -> None:
        """Hear how often a fragment, or another piece of work, was begun again."""
        ...

    def quarantined(self, faults: Mapping[str, int]) -> None:
        """Hear of rows that have turned out to be of no use, by reason."""
        ...

    def judged(self, actions: Mapping[str, int], faults: Mapping[str, int]) -> None:
        """Hear of all rows, by what was decided, and of the quarantined ones, by reason."""
        ...

    def ended(self) -> None:
        """Hear that the run has ended, well or not."""
        ...


class Silent:
    """Watches nothing."""

    @contextmanager
    def step(self, name: str, rows: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        yield lambda _rows: None

    def encoders(self, number: int) -> None: ...

    def encoded(self, seconds: float) -> None: ...

    def retried(self, number: int = 1) -> None: ...

    def quarantined(self, faults: Mapping[str, int]) -> None: ...

    def judged(self, actions: Mapping[str, int], faults: Mapping[str, int]) -> None: ...

    def ended(self) -> None: ...


SILENT: Final = Silent()
"""Of a run that nobody watches."""
