"""The two protocols of the package: `Cleaner`, and the `Rows` it learns from.

A cleaner finds one kind of fault. It never imports an engine, never reads or writes a file,
never drops a row, and speaks to other cleaners through columns only::

    state = cleaner.fit(rows)               # a global fit: sums over the corpus
    added = cleaner.score(state, batch)     # a pure map: any batch size, order kept
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from pipeline.observer import Observer, Watched

State = TypeVar("State")
Statistic = TypeVar("Statistic")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image-text pair as its shard holds it: what a reader hands on."""

    row: int
    """Position in the shard."""
    key: str
    """The source's own key."""
    image: bytes | None
    """Original bytes of the picture."""
    extension: str | None
    """Format of the picture in lower case: `jpg`, `jpeg`, `png` or `webp`."""
    caption: str | None
    fields: dict[str, Any]
    """Every other source field, ready for JSON."""
    members: dict[str, bytes]
    """Original bytes of the other members (WebDataset), by extension."""
    fault: str | None
    """Why the sample cannot be used, or None."""


@dataclass(frozen=True, kw_only=True)
class Classes:
    """The classes of a run, and what the text tower says of each."""

    name: tuple[str, ...]
    """`k` names, in the order of the class file: a label is an index into it."""
    embedding: NDArray[np.float32]
    """`(k, d)` unit text prototypes: the mean of a class's prompts, synonyms and definition."""

    def __len__(self) -> int:
        return len(self.name)


class Rows(Protocol):
    """A corpus seen by a cleaner: readable rows only, spread over any number of fragments."""

    @property
    def classes(self) -> Classes:
        """The classes that the `label` column indexes."""
        ...

    def select(self, *columns: str) -> "Rows":
        """Return the same rows with these columns only."""
        ...

    def map(self, score: Callable[[Any, pa.Table], pa.Table], state: Any) -> "Rows":
        """Return the same rows with the columns of `score(state, batch)` added."""
        ...

    def reduce(
        self,
        partial: Callable[[pa.Table], Statistic],
        merge: Callable[[Statistic, Statistic], Statistic],
    ) -> Statistic:
        """Return the statistic of all rows: `partial` of each batch, merged in a fixed order.

        `merge` must be associative and commutative up to floating-point error, and may
        change and return its first argument. The order of merging depends on the
        fragments alone, never on the engine or on the number of workers.
        """
        ...


class Cleaner(Protocol[State]):
    """Finds one kind of fault; a frozen dataclass whose fields are its whole configuration."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    name: ClassVar[str]
    """Its key in a recipe, and the prefix of its columns."""
    adds: ClassVar[pa.Schema]
    """Columns it adds, each named `<name>.<what>`."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns it needs: a class variable, or a property where they follow from its settings."""
        ...

    def fit(self, rows: Rows) -> State:
        """Learn from the corpus and return what was learned, as a value."""
        ...

    def score(self, state: State, batch: pa.Table) -> pa.Table:
        """Return the columns of `adds` for the rows of `batch`, in their order."""
        ...

    def dump(self, state: State) -> Mapping[str, NDArray[Any]]:
        """Return the state as named arrays, to be stored without pickle."""
        ...

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> State:
        """Return the state that `dump` described."""
        ...


@runtime_checkable
class Merging(Protocol):
    """A cleaner to which it matters what came first: a night adds to the state of the last one.

    The others are fitted over the rows of all nights, where sums of earlier nights are reused.
    """

    def merge(self, before: Any, tonight: Any) -> Any:
        """Return the state of both: `before` is that of the last night, `tonight` of its rows."""
        ...


@runtime_checkable
class Parted(Protocol):
    """A cleaner whose state would be as large as the corpus: it learns one part of it at a time.

    Every part is a cleaner of its own, with a state of its own and the columns of the whole: the
    next one reads them, and those of the last one stand.
    """

    def parts_for(self, num_rows: int) -> Sequence["Cleaner[Any]"]:
        """Return the cleaners of all parts of a corpus of so many rows, in order."""
        ...


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Folds = Annotated[int, Field(ge=2)]
Seconds = Annotated[float, Field(gt=0, le=365 * 86_400)]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a run bears before it gives up; nothing here changes what comes out of it."""

    tries: Annotated[int, Field(ge=1)] = 3
    """How many workers a fragment or a shard may kill before it is looked at alone."""
    fragment_s: Seconds = 1800
    """Seconds that a worker may spend on one fragment or shard before it is killed."""
    stall_s: Seconds = 7200
    """Seconds in which a step may finish nothing; more than `tries` times `fragment_s`."""
    quarantined: Share = 0.5
    """Share of the rows that may be quarantined, failed downloads not counted."""
    faulty_shards: Share = 0.5
    """Share of the shards that may be unreadable or cut."""


DEFAULT_LIMITS = Limits()
"""Those of a recipe that says nothing."""


class Engine(Protocol):
    """Where items are worked on: in this process, or on a cluster."""

    @property
    def limits(self) -> Limits:
        """What it bears before it gives up."""
        ...

    @property
    def observer(self) -> Observer:
        """Who is told how the run goes on."""
        ...

    def within(self, limits: Limits) -> "Engine":
        """Return the same engine under other limits."""
        ...

    def observed(self, watched: Watched) -> "Engine":
        """Return the same engine with an observer of this run."""
        ...

    def each(
        self, function: Callable[[Any], Any], items: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """Yield `(index, function(item))` as the items are done, in any order.

        Raises
        ------
        WorkerError
            If an item kills every worker that takes it.
        StallError
            If nothing is finished for `limits.stall_s`.
        """
        ...

    def pipe(
        self,
        prepare: Callable[[Any], Any],
        make_stage: Callable[[], Callable[[Any], Any]],
        items: Sequence[Any],
    ) -> Iterator[tuple[int, Any]]:
        """Yield `(index, stage(prepare(item)))` in any order.

        `make_stage` is called once per worker and what it returns is kept: a loaded encoder.
        A worker that dies is replaced, and its item begun again, without end: `prepare` and the
        stage must know for themselves when an item was begun too often.

        Raises
        ------
        StallError
            If nothing is finished for `limits.stall_s`.
        """
        ...
