"""The tree of errors that may leave the package.

CurationError
├── RecipeError    the recipe, a class file or an option is wrong
├── SchemaError    a file has other columns than its reader expects
├── ShardError     a source shard, a workspace file or an output file cannot be read or written
└── FitError       a cleaner cannot learn from the rows it was given

Every message names the value that is wrong and what to do about it.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class CurationError(Exception):
    """Base of all errors that a user of the package can meet."""


class RecipeError(CurationError):
    """A recipe, a class file or a command-line option is wrong."""


class SchemaError(CurationError):
    """A file has other columns than its reader expects."""


class ShardError(CurationError):
    """A shard or a file of the workspace or output cannot be read or written."""


class FitError(CurationError):
    """A cleaner cannot learn from the rows it was given."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the choice closest to `word`, or an empty string.

    Examples
    --------
    >>> did_you_mean("shrinkag", ["shrinkage", "rounds"])
    "; did you mean 'shrinkage'?"
    >>> did_you_mean("zzz", ["shrinkage"])
    ''
    """
    close = get_close_matches(word, list(choices), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
