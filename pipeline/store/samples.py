"""The samples of a fragment, read and prepared, with rows that are known to kill left unread."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch

from pipeline.contract import Sample
from pipeline.embed.fragment import Prepared, prepare
from pipeline.embed.frontend import frontend
from pipeline.embed.spec import EncoderSpec
from pipeline.shards.index import read
from pipeline.store.catalog import Fragment

Faults = Mapping[int, str]
"""What is wrong with rows of a fragment, by their place in it (from 0)."""


@dataclass(frozen=True)
class Read:
    """Reads, decodes and tokenises rows of fragments on a CPU."""

    spec: EncoderSpec
    caption: str | None

    def __call__(self, fragment: Fragment, faults: Faults) -> Prepared:
        """Return a whole fragment; the rows with a fault are not touched."""
        return self.rows(fragment, fragment.listed(), faults)

    def rows(self, fragment: Fragment, listed: pa.Table, faults: Faults) -> Prepared:
        """Return the rows of a fragment that a part of its index lists."""
        torch.set_num_threads(1)
        samples = sound(fragment, listed, self.caption, faults)
        return prepare(fragment.shard.uri, samples, frontend(self.spec))


def sound(
    fragment: Fragment, listed: pa.Table, caption: str | None, faults: Faults
) -> Iterator[Sample]:
    """Yield the samples of rows in their order; one with a fault has its key and nothing else."""
    places = [place for place in range(len(listed)) if place not in faults]
    samples = read(fragment.shard, listed.take(places) if faults else listed, caption)
    for place, entry in enumerate(listed.select(["row", "key"]).to_pylist()):
        yield untouched(entry, faults[place]) if place in faults else next(samples)


def untouched(entry: Mapping[str, Any], fault: str) -> Sample:
    """Return a sample that nobody has looked at."""
    return Sample(
        row=entry["row"],
        key=entry["key"],
        image=None,
        extension=None,
        caption=None,
        fields={},
        members={},
        fault=fault,
    )
