"""What a workspace and an output of nights can do without.

Kept is whatever a night needs that stands, waits for a person or is under way, and whatever a run
that is no night has used. Sums over earlier nights are kept for the last two: without them the
next night goes over all rows once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.shards import files
from pipeline.shards.fields import parse_object
from pipeline.shards.listing import list_folder, list_stats
from pipeline.store.bundle import bundle
from pipeline.store.history import TOTALS, learned, published
from pipeline.store.nights import Night, Nights
from pipeline.store.workspace import Workspace

KEPT_TOTALS = 2
"""Nights whose sums are kept: after one is withdrawn, the next goes on from the one before."""


@dataclass(frozen=True)
class Waste:
    """A folder that nobody needs."""

    uri: str
    why: str
    num_files: int
    num_bytes: int

    def remove(self) -> None:
        """Delete every file of it."""
        for uri in files.list_files(self.uri):
            files.remove(uri)


def find(workspace: str, output: str) -> list[Waste]:
    """Return what can be deleted of nights, the largest first; nothing is changed."""
    nights = Nights(Workspace(workspace)).all()
    found = [
        *steps(workspace, nights),
        *totals(workspace, nights),
        *generations(output, nights),
    ]
    waste = [measured(uri, why) for uri, why in found]
    return sorted((w for w in waste if w.num_files), key=lambda w: (-w.num_bytes, w.uri))


def steps(workspace: str, nights: Sequence[Night]) -> Iterator[tuple[str, str]]:
    """Yield the folders of steps and states that no night and no run refers to."""
    standing = {night.name for night in (*published(nights), *learned(nights))}
    gone = {n.name for n in nights if n.state in ("discarded", "left")}
    gone |= {n.name for n in nights if n.state == "published"} - standing
    needed = {kept.name for n in nights if n.name not in gone for kept in n.steps}
    needed |= {n.decided.name for n in nights if n.name not in gone and n.decided}
    ended = {n.name for n in nights if n.state == "published" or n.name in gone}
    keys = {name.rpartition("-")[2] for name in {*needed, *noted(workspace, ended)}}
    for kind in ("steps", "states"):
        for uri in list_folder(files.join(workspace, kind))[1]:
            name, _, key = uri.rpartition("/")[2].rpartition("-")
            if key not in keys and name != "classes":
                yield uri, f"{kind[:-1]} of no night that stands or waits"


def noted(workspace: str, ended: set[str]) -> Iterator[str]:
    """Yield the folders of steps that the notes of runs name, but for nights that have ended."""
    folder = files.join(workspace, "runs")
    notes = [uri for uri in files.list_files(folder) if uri.rsplit("/", 2)[-2] not in ended]
    for data in files.read_many(notes):
        yield str((parse_object(data or b"") or {}).get("uri", ""))


@dataclass(frozen=True)
class Scattered:
    """Files of one step of a night that may become one."""

    step: str
    """URI of its folder."""
    night: str
    fragments: tuple[str, ...]

    def compact(self) -> None:
        """Put them into bundles."""
        bundle(self.step, self.fragments)


def scattered(workspace: str) -> list[Scattered]:
    """Return the steps of earlier nights that lie in many files.

    The last nights are left as they are: they may yet be taken back and curated anew.
    """
    place = Workspace(workspace)
    found: list[Scattered] = []
    listed: dict[str, set[str]] = {}
    for night in learned(Nights(place).all())[:-KEPT_TOTALS]:
        for kept in (*night.steps, *([night.decided] if night.decided else [])):
            uri = place.named(kept.name).uri
            if uri not in listed:
                listed[uri] = {name.rpartition("/")[2] for name in files.list_files(uri)}
            mine = tuple(f for f in night.fragments if f"{f}.parquet" in listed[uri])
            if len(mine) > 1:
                found.append(Scattered(uri, night.name, mine))
    return found


def totals(workspace: str, nights: Sequence[Night]) -> Iterator[tuple[str, str]]:
    """Yield the folders of sums that the next night does not go on from."""
    names = [night.name for night in learned(nights)]
    for night in nights:
        if night.name not in names[-KEPT_TOTALS:] and night.state not in ("open", "held"):
            yield Nights(Workspace(workspace)).uri(night.name, TOTALS), "sums of an earlier night"


def generations(output: str, nights: Sequence[Night]) -> Iterator[tuple[str, str]]:
    """Yield the folders of nights that stand no longer."""
    standing = {night.name for night in published(nights)}
    for night in nights:
        if night.sizes and night.name not in standing:
            why = night.state if night.state != "published" else "replaced by a later night"
            yield files.join(output, night.name), f"generation that is {why}"


def measured(uri: str, why: str) -> Waste:
    """Return a folder with what it holds."""
    found = list_stats(uri)
    return Waste(uri, why, len(found), sum(stat.size for stat in found.values()))
