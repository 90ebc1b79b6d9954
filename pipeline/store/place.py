"""Where the shards of an output go, and which numbers they bear."""

from collections.abc import Mapping
from dataclasses import dataclass, field


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
