"""The cleaners, by the name that a recipe gives them."""

from typing import Final

from pipeline.cleaners.match import Match
from pipeline.cleaners.separate import Separate

CLEANERS: Final[dict[str, type]] = {"match": Match, "separate": Separate}
