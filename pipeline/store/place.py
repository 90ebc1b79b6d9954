"""Where the shards of an output go, and which numbers they bear."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.shards import files

EMITTED: Final = ("keep", "relabel")
"""Actions whose rows go into the output."""
TIERS: Final = {"clean": ("keep",), "relabelled": ("relabel",)}
"""Folders of an output whose rows are told apart, and the actions in each."""


@dataclass(frozen=True)
class Place:
    """A folder of shards: the whole output of a run, or what one night adds to the nights before.

    The shards of a night are numbered on from those of the night before, so that the names of
    shards and the keys of samples are unique over all nights.
    """

    uri: str
    first: int = 0
    """Number of the first shard."""
    earlier: Mapping[str, int] = field(default_factory=dict)
    """Number of samples by tar name of the nights before. The sizes of a night list these too:
    OpenCLIP looks up every shard in the sizes beside the first one."""
    actions: tuple[str, ...] = EMITTED
    """Whose rows go there."""
    tier: str = ""
    """Name of the folder in the output; empty for the output itself."""

    def named(self, tar: str) -> str:
        """Return the path of a tar in the output."""
        return files.join(self.tier, tar) if self.tier else tar

    def part(self, tier: str, sizes: Mapping[str, int]) -> "Place":
        """Return the folder of one tier, given the shards of the tiers before it."""
        earlier = {**self.earlier, **{tar.rpartition("/")[2]: sizes[tar] for tar in sizes}}
        first = self.first + len(sizes)
        return Place(files.join(self.uri, tier), first, earlier, TIERS[tier], tier)
