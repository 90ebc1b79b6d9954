"""Fragments through the encoder; those that kill or hang their workers are isolated."""

import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch

from pipeline.contract import Engine
from pipeline.embed.encoder import Encoder
from pipeline.embed.fragment import Prepared, embed
from pipeline.errors import StallError, WorkerError
from pipeline.store.attempts import Attempts, listed
from pipeline.store.catalog import Fragment
from pipeline.store.isolate import Isolate
from pipeline.store.samples import Faults, Read
from pipeline.store.workspace import Step

YEAR_S = 365 * 86_400
"""No limit: a search for rows has limits of its own."""


@dataclass(frozen=True)
class Item:
    """A fragment that was prepared, on its way to an encoder."""

    fragment: Fragment
    prepared: Prepared | None
    """None: it was begun too often without an end."""
    failed: int
    """How often it was begun before without an end."""


@dataclass(frozen=True)
class Embedded:
    """What became of a fragment."""

    rows: Counter[str] | None
    """Its rows by their fault, "" for none; None if it was begun too often and nothing was done."""
    seconds: float
    """That the encoder has worked."""
    retries: int
    """How often it was begun again."""


@dataclass(frozen=True)
class Encoding:
    """Takes fragments to their end, whatever rows they hold."""

    read: Read
    step: Step
    engine: Engine

    def run(self, todo: Sequence[Fragment]) -> Iterator[Counter[str]]:
        """Yield what the rows of each fragment are that is done: faults, "" for none.

        A fragment that was begun too often without an end is looked at in a process of its own,
        first for rows that nobody can read, then for rows that nobody can encode. Those become
        rows with a fault, and the fragment goes the usual way: the others get the usual bytes.

        Raises
        ------
        WorkerError
            If a fragment still kills its workers.
        StallError
            If none is finished for `limits.stall_s`.
        """
        found: dict[str, dict[int, str]] = {}
        suspects = yield from self.attempt(todo, found)
        for is_embedded in (False, True):
            if suspects:
                self.isolate(suspects, found, is_embedded=is_embedded)
                suspects = yield from self.attempt(suspects, found)
        if suspects:
            names = ", ".join(fragment.name for fragment in suspects[:8])
            raise WorkerError(
                f"{len(suspects)} fragments kill their workers and no row of them does alone: "
                f"{names}; look at the memory of the nodes and GPUs, lower encoder.batch_rows or "
                "source.fragment_rows, and run again: what is done is kept"
            )

    def attempt(
        self, todo: Sequence[Fragment], found: Mapping[str, Faults]
    ) -> Generator[Counter[str], None, list[Fragment]]:
        """Yield what `run` does, and return the fragments that were begun too often."""
        tries, suspects = self.engine.limits.tries, []
        known = {name: dict(faults) for name, faults in found.items()}
        reader = Reader(self.read, known, Attempts.of(self.step, "read"), tries)
        encoding = Attempts.of(self.step, "encode")
        towers = partial(Towers, self.read, self.step, encoding, tries)
        try:
            for index, done in self.engine.pipe(reader, towers, todo):
                self.observe(done)
                if done.rows is None:
                    suspects.append(todo[index])
                else:
                    yield done.rows
        except StallError as error:
            begun = [*reader.attempts.open(), *encoding.open()]
            raise StallError(f"{error}; begun and not ended: {listed(begun)}") from error
        return suspects

    def observe(self, done: Embedded) -> None:
        """Tell who watches the run what a fragment has cost."""
        self.engine.observer.encoded(done.seconds)
        self.engine.observer.retried(done.retries)

    def isolate(
        self, suspects: Sequence[Fragment], found: dict[str, dict[int, str]], *, is_embedded: bool
    ) -> None:
        """Add the rows that kill or hang to `found`, and let the fragments be begun again."""
        limits = self.engine.limits
        patient = self.engine.within(replace(limits, fragment_s=YEAR_S, stall_s=YEAR_S))
        isolate = Isolate(self.read, is_embedded, limits.fragment_s)
        for index, faults in patient.each(isolate, suspects):
            name = suspects[index].name
            found.setdefault(name, {}).update(faults)
            for kind in ("read", "encode"):
                Attempts.of(self.step, kind).forget(name, limits.tries)


@dataclass(frozen=True)
class Reader:
    """Reads and prepares a fragment on a CPU, unless it was begun too often."""

    read: Read
    found: Mapping[str, Faults]
    attempts: Attempts
    tries: int

    def __call__(self, fragment: Fragment) -> Item:
        failed = self.attempts.failed(fragment.name)
        if failed >= self.tries:
            return Item(fragment, None, failed)
        with self.attempts.attempt(fragment.name, failed + 1):
            return Item(fragment, self.read(fragment, self.found.get(fragment.name, {})), failed)


@dataclass(frozen=True)
class Towers:
    """Embeds and commits a fragment, unless it was begun too often: the stage of a worker."""

    read: Read
    step: Step
    attempts: Attempts
    tries: int

    @cached_property
    def encoder(self) -> Encoder:
        """Loaded with the first fragment, in whose name it dies if it does."""
        return Encoder(self.read.spec)

    def __call__(self, item: Item) -> Embedded:
        name = item.fragment.name
        failed = self.attempts.failed(name)
        retries = item.failed + failed
        if item.prepared is None or failed >= self.tries:
            return Embedded(None, 0.0, retries)
        # said anew for every fragment: a thread of its own may run it, or a reader before it
        torch.set_num_threads(max(torch.multiprocessing.cpu_count(), 1))
        with self.attempts.attempt(name, failed + 1):
            encoder = self.encoder  # loading it is no work on this fragment
            started = time.perf_counter()
            table = embed(item.prepared, encoder)
            seconds = time.perf_counter() - started
            self.step.write(name, table)
        faults = item.prepared.table["fault"].to_pylist()
        return Embedded(Counter(fault or "" for fault in faults), seconds, retries)
