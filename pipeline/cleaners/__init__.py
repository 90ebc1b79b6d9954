"""The cleaners, by the name that a recipe gives them."""

from typing import Final

from pipeline.cleaners.match import Match
from pipeline.cleaners.neighbours import Neighbours
from pipeline.cleaners.probe import Probe
from pipeline.cleaners.separate import Separate

CLEANERS: Final[dict[str, type]] = {
    kind.name: kind for kind in (Match, Separate, Probe, Neighbours)
}
DEFAULT: Final = ("match", "separate")
"""The cleaners of a recipe that names none."""
