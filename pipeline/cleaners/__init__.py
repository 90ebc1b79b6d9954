"""The cleaners, by the name that a recipe gives them."""

from typing import Final

from pipeline.cleaners.ask import Ask
from pipeline.cleaners.combine import Combine
from pipeline.cleaners.compress import Compress
from pipeline.cleaners.confident import Confident
from pipeline.cleaners.dedup import Dedup
from pipeline.cleaners.diffuse import Diffuse
from pipeline.cleaners.early import Early
from pipeline.cleaners.imprecise import Imprecise
from pipeline.cleaners.match import Match
from pipeline.cleaners.mixture import Mixture
from pipeline.cleaners.neighbours import Neighbours
from pipeline.cleaners.probe import Probe
from pipeline.cleaners.propagate import Propagate
from pipeline.cleaners.prune import Prune
from pipeline.cleaners.rescale import Rescale
from pipeline.cleaners.separate import Separate
from pipeline.cleaners.similar import Similar
from pipeline.cleaners.tags import Tags
from pipeline.cleaners.vote import Vote

CLEANERS: Final[dict[str, type]] = {
    kind.name: kind
    for kind in (
        Match,
        Separate,
        Probe,
        Neighbours,
        Imprecise,
        Vote,
        Combine,
        Dedup,
        Prune,
        Ask,
        Similar,
        Mixture,
        Early,
        Rescale,
        Compress,
        Confident,
        Propagate,
        Diffuse,
        Tags,
    )
}
DEFAULT: Final = ("match", "separate")
"""The cleaners of a recipe that names none."""
