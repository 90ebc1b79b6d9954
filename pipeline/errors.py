"""The tree of errors that may leave the package.

CurationError
├── RecipeError    the recipe, a class file or an option is wrong
├── SchemaError    a file has other columns than its reader expects
├── ShardError     a source shard, a workspace file or an output file cannot be read or written
├── FitError       a cleaner cannot learn from the rows it was given
├── WorkerError    a worker dies or hangs over an item, however often it is tried
├── StallError     a step has finished nothing for too long
├── BudgetError    more rows or shards are faulty than the recipe bears
├── GateError      a night does not pass its gates, and waits for a person
├── LeaseError     another run holds the output, or has taken it over
└── ClusterError   a Ray cluster cannot be reached, or does not take a job

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


class WorkerError(CurationError):
    """A worker dies or hangs over an item, however often it is tried."""


class StallError(CurationError):
    """A step has finished nothing for too long."""


class BudgetError(CurationError):
    """More rows or shards are faulty than the recipe bears."""


class GateError(CurationError):
    """A night does not pass its gates, and waits for a person."""


class LeaseError(CurationError):
    """Another run holds the output, or has taken it over."""


class ClusterError(CurationError):
    """A Ray cluster cannot be reached, or does not take a job."""


SHOWN_CHARS = 200
"""Of a wrong value, what a message quotes: it may be as large as the file that it stands in."""


def quoted(value: object) -> str:
    """Return a wrong value as a message shows it: on one line, and cut where it is long.

    Examples
    --------
    >>> quoted("cat"), quoted("x" * 1000)[-25:]
    ("'cat'", 'xxx... (1,002 characters)')
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of more digits than Python prints
        return f"a {type(value).__name__} that is too large to show"
    if len(text) <= SHOWN_CHARS:
        return text
    return f"{text[:SHOWN_CHARS]}... ({len(text):,} characters)"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the choice closest to `word`, or an empty string.

    Examples
    --------
    >>> did_you_mean("shrinkag", ["shrinkage", "rounds"])
    "; did you mean 'shrinkage'?"
    >>> did_you_mean("zzz", ["shrinkage"])
    ''
    """
    close = get_close_matches(word[:SHOWN_CHARS], list(choices), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
