"""Several labels in one field: a list of names, or a text with `|` between them."""

from dataclasses import dataclass
from typing import Any

from pipeline.schema import SEPARATOR

MAX_NAMES = 1_000
"""A longer list is no set of labels: nothing of it is looked up, and its text is cut."""


@dataclass(frozen=True)
class Named:
    """What a sample says of its class."""

    text: str | None
    """As it was crawled, the names of a list joined by `|`; None without a label."""
    names: tuple[str, ...]
    """What may be the name of a class."""


def named_in(value: Any, *, is_split: bool) -> Named:
    """Return what the value of a field names.

    Parameters
    ----------
    value
        A text, a number, a list of them, or None. What is nested deeper is the name of no class.
    is_split
        Whether a text holds several names, with `|` between them.

    Examples
    --------
    >>> named_in(["cat", 7, None], is_split=False)
    Named(text='cat|7', names=('cat', '7'))
    >>> named_in("cat | dog", is_split=True), named_in("cat | dog", is_split=False)
    (Named(text='cat | dog', names=('cat', 'dog')), Named(text='cat | dog', names=('cat | dog',)))
    """
    if isinstance(value, list):
        names = [encodable(name) for name in value[: MAX_NAMES + 1] if name is not None]
        text = SEPARATOR.join(names[:MAX_NAMES]) or None
        if len(names) > MAX_NAMES:
            return Named(f"{text}{SEPARATOR}...", ())
    else:
        text = None if value is None else encodable(value)
        names = [text or ""]
        if is_split:
            names = [name.strip() for name in names[0].split(SEPARATOR, MAX_NAMES)]
    names = names if len(names) <= MAX_NAMES else []
    return Named(text, tuple(name for name in names if name.strip()))


def encodable(value: Any) -> str:
    """Return the text of a value, with `?` for the lone surrogates that JSON can smuggle in."""
    return str(value).encode("utf-8", "replace").decode()
