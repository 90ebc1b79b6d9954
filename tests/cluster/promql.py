"""What a query of Prometheus names: enough of its grammar for the dashboard."""

import re

STRING = re.compile(r'"(?:\\.|[^"\\])*"')
MATCHERS = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"\[[^\]]*\]")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
NAME = re.compile(r"(?<![\w.:$])[a-zA-Z_:][\w:]*")
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


def metrics(query: str) -> set[str]:
    """Return the metrics that a query selects.

    Examples
    --------
    >>> sorted(metrics('sum by (a) (rate(b_total{c=~"d{e}"}[5m])) / 1e3 > bool on (f) g:h'))
    ['b_total', 'g:h']
    """
    bare = STRING.sub('""', query)
    for ignored in (MATCHERS, RANGE, GROUPING):
        bare = ignored.sub(" ", bare)
    found = ((match[0], bare[match.end() :].lstrip()) for match in NAME.finditer(bare))
    return {name for name, rest in found if name not in WORDS and not rest.startswith("(")}


def labels(query: str) -> set[str]:
    """Return the labels that a query matches or groups by.

    Examples
    --------
    >>> sorted(labels('sum by (a, b) (rate(c_total{d=~"e, f=", g!="h"}[5m]))'))
    ['a', 'b', 'd', 'g']
    """
    bare = STRING.sub('""', query)
    groups = [match[1] for pattern in (MATCHERS, GROUPING) for match in pattern.finditer(bare)]
    return {name for group in groups for name in NAME.findall(group)}
