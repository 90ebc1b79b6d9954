"""YAML as people write it: no tags, no aliases, no key twice, and bounded in depth and size.

Tags make objects, aliases make billion laughs, and of a key that stands twice the last would win
in silence. All three are refused with their line, before anything is built.
"""

from collections.abc import Iterator
from typing import Any, Final

import yaml

MAX_CHARS: Final = 2**20
"""Characters of a document, unless a caller allows more."""
MAX_DEPTH: Final = 32
"""Mappings and lists inside of each other."""
MAX_DIGITS: Final = 100
"""Characters of a whole number."""

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OPENING = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


class Refused(yaml.MarkedYAMLError):
    """A document that is YAML, but holds what no recipe needs."""

    def __init__(self, problem: str, mark: Any = None) -> None:
        super().__init__(problem=problem, problem_mark=mark)


def load(text: str, max_chars: int = MAX_CHARS) -> Any:
    r"""Return what a document says.

    Parameters
    ----------
    text
        One document.
    max_chars
        Characters that it may have at most; the time and memory of reading grow with them alone.

    Raises
    ------
    yaml.YAMLError
        If it is no YAML, too large or too deep, or has a tag, an alias or a key twice.

    Examples
    --------
    >>> load("name: web\nsource: {path: a.tar}")
    {'name': 'web', 'source': {'path': 'a.tar'}}
    """
    if len(text) > max_chars:
        raise Refused(f"the document has {len(text):,} characters, {max_chars:,} are allowed")
    try:
        _check_events(text)
        return _built(text)
    except (ValueError, OverflowError) as error:  # a date such as 2001-99-99, half a character
        raise Refused(f"a value cannot be understood: {error}") from error


def _built(text: str) -> Any:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _check_nodes(root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _check_events(text: str) -> None:
    """Refuse depth, aliases and tags while the parser still keeps nothing."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, _OPENING) - isinstance(event, _CLOSING)
        if depth > MAX_DEPTH:
            raise Refused(f"more than {MAX_DEPTH} levels", event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            raise Refused(f"alias *{event.anchor} is not allowed: write it out", event.start_mark)
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise Refused(f"tag {tag} is not allowed", event.start_mark)


def _check_nodes(root: yaml.Node) -> None:
    for node in _nodes(root):
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        elif node.tag == "tag:yaml.org,2002:int" and len(node.value) > MAX_DIGITS:
            raise Refused(f"a number of {len(node.value):,} digits", node.start_mark)


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    left = [root]
    while left:
        node = left.pop()
        yield node
        if isinstance(node, yaml.MappingNode):
            left += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            left += node.value


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            raise Refused("a key must be a word", key.start_mark)
        if (key.tag, key.value) in seen:
            raise Refused(f"key {key.value[:80]!r} stands there twice", key.start_mark)
        seen.add((key.tag, key.value))
