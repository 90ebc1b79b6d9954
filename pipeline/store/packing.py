"""Pack the rows that are kept: shuffled by a seeded hash, cut into equal shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.contract import Sample
from pipeline.shards.find import Shard
from pipeline.shards.index import read
from pipeline.shards.manifest import tar_name
from pipeline.shards.pack import plan, write_index, write_shard
from pipeline.store.attach import Attached
from pipeline.store.catalog import Catalog
from pipeline.store.order import LISTED, PackSpec, Part, Sorter, Window, parts, windows
from pipeline.store.packed import Packed
from pipeline.store.place import EMITTED, TIERS, Place
from pipeline.store.run import Run
from pipeline.store.settle import CountEmitted
from pipeline.store.workspace import Step, key_of


@dataclass(frozen=True)
class Piece:
    """One output shard."""

    number: int
    """Position in the output."""
    parts: tuple[Part, ...]
    sources: tuple[tuple[Shard, ...], ...]
    """The source shards that the rows of each part come from."""


@dataclass(frozen=True)
class Packer:
    """Writes one output shard."""

    place: Place
    ordered: Step
    """Holds the rows of every part in output order."""
    spec: PackSpec
    caption: str | None
    key: str

    def __call__(self, piece: Piece) -> dict[str, Any]:
        table = pa.concat_tables([self.ordered.read(part.name) for part in piece.parts])
        samples, rows = self.samples(piece, table), table.drop_columns(list(LISTED))
        place, number = self.place, self.place.first + piece.number
        return write_shard(place.uri, number, samples, rows, self.key, self.spec.attach)

    def samples(self, piece: Piece, table: pa.Table) -> Iterator[tuple[int, Sample]]:
        """Yield the samples of a shard with their places, one source shard after the other."""
        listed = table.select(list(LISTED)).rename_columns(list(LISTED.values()))
        shards = {shard.uri: shard for part in piece.sources for shard in part}
        uris = table["shard"].combine_chunks().dictionary_encode()
        code, row = uris.indices.to_numpy(), table["row"].to_numpy()
        order = np.lexsort((row, code))
        for places in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
            shard = shards[uris.dictionary[int(code[places[0]])].as_py()]
            found = read(shard, listed.take(places), self.caption)
            yield from zip(places.tolist(), found, strict=True)


def pack_tiers(
    run: Run,
    place: Place,
    catalog: Catalog,
    decided: Step | Attached,
    spec: PackSpec,
    caption: str | None,
) -> dict[str, dict[str, Any]]:
    """Write the shards of the output; return their stats by the path of their tar in it."""
    made: dict[str, dict[str, Any]] = {}
    for tier in TIERS if spec.tiers else [""]:
        sizes = {tar: stat["count"] for tar, stat in made.items()}
        here = place.part(tier, sizes) if tier else place
        for stat in pack(run, here, catalog, decided, spec, caption):
            made[here.named(tar_name(stat["number"]))] = stat
    return made


def pack(
    run: Run,
    place: Place,
    catalog: Catalog,
    decided: Step | Attached,
    spec: PackSpec,
    caption: str | None,
) -> list[dict[str, Any]]:
    """Write the shards of a folder of the output and return their stats."""
    key = plan_key(decided, spec, catalog, place)
    ordered = run.workspace.step("order", key)
    counter = CountEmitted(decided, place.actions)
    pieces, total = order(run, catalog, counter, spec, ordered)
    numbers = [place.first + piece.number for piece in pieces]
    packer = Packer(place, ordered, spec, caption, key)
    with run.step("pack", total, place.uri) as advance:
        there = dict(run.engine.each(Packed(place.uri, key), numbers))
        stats = [stat for stat in there.values() if stat is not None]
        advance(sum(stat["count"] for stat in stats))
        for _, stat in run.engine.each(packer, [p for p in pieces if there[p.number] is None]):
            stats.append(stat)
            advance(stat["count"])
    write_index(place.uri, stats, place.earlier)
    return sorted(stats, key=lambda stat: stat["number"])


def plan_key(decided: Step | Attached, spec: PackSpec, catalog: Catalog, place: Place) -> str:
    """Return what names the content and the order of all shards of a folder."""
    told = {name: value for name, value in vars(spec).items() if name != "tiers"}
    tier = [place.tier] if place.tier else []
    return key_of(decided.key, told, catalog.identity, *tier)


def order(
    run: Run, catalog: Catalog, counter: CountEmitted, spec: PackSpec, step: Step
) -> tuple[list[Piece], int]:
    """Store the rows of every output shard in their order; return the shards and all rows."""
    counts = dict(run.engine.each(counter, catalog.identity))
    found = windows(catalog.fragments, [counts[i] for i in range(len(counts))], spec)
    total = sum(counts.values())
    bounds = plan(total, spec.shard_rows)
    cut = [(window, parts(window, bounds)) for window in found]
    done = step.done()
    todo = [item for item in cut if not done.issuperset(part.name for part in item[1])]
    with run.step("order", total, step.uri) as advance:
        advance(total - sum(window.stop - window.start for window, _ in todo))
        sorter = Sorter(counter.step, spec.seed, step, counter.actions)
        for _, rows in run.engine.each(sorter, todo):
            advance(rows)
    return pieces_of(cut, len(bounds)), total


def pieces_of(cut: Sequence[tuple[Window, tuple[Part, ...]]], num_shards: int) -> list[Piece]:
    """Return every output shard with its parts, in order."""
    mine: list[list[tuple[Part, tuple[Shard, ...]]]] = [[] for _ in range(num_shards)]
    for window, found in cut:
        sources = tuple(dict.fromkeys(fragment.shard for fragment in window.fragments))
        for part in found:
            mine[part.shard].append((part, sources))
    return [
        Piece(number, tuple(part for part, _ in pairs), tuple(sources for _, sources in pairs))
        for number, pairs in enumerate(mine)
    ]


def shard_sizes(run: Run, catalog: Catalog, decided: Step, spec: PackSpec) -> tuple[int, ...]:
    """Return the rows of each shard that `pack` would write."""
    sizes: list[int] = []
    for actions in TIERS.values() if spec.tiers else [EMITTED]:
        counter = CountEmitted(decided, actions)
        total = sum(count for _, count in run.engine.each(counter, catalog.identity))
        sizes += [stop - start for start, stop in plan(total, spec.shard_rows)]
    return tuple(sizes)
