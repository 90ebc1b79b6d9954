"""How a night differs from the nights before, as the report shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from pipeline.drift.changes import Change
from pipeline.drift.gates import Violation
from pipeline.drift.partitions import Regrouping
from pipeline.report.plots import SVG
from pipeline.report.text import percent, visible
from pipeline.schema import ACTIONS

NUM_CHANGES, NUM_GROUPS, NUM_GROUP_TAGS = 60, 12, 40
"""Changes, regroupings, and tags of one regrouping that are listed."""
WIDTH, HEIGHT, MARGIN = 230, 64, 7
"""Size of a trend, and the room for a dot around it."""
LEAST_SPAN: Final = 0.1
"""Range of shares that a trend shows at least: small steps must not look like large ones."""
SUBJECTS: Final = {
    "action": "all rows",
    "score": "all rows",
    "class": "class",
    "label": "label of no class",
    "host": "host",
    "pair": "tags",
}
"""What a change is about, by its kind."""
MEASURED: Final = ("score", "pair")
"""Kinds whose values are no shares."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What the report says of a night beside the nights before."""

    night: str
    """Its name."""
    reference_nights: Sequence[str]
    """Names of the nights that it is held against."""
    shares: Mapping[str, Mapping[str, float]]
    """Share of each action by night, the oldest first, this one last."""
    changes: Sequence[Change]
    """In the order of `drift.changes`."""
    violations: Sequence[Violation]
    """The gates that it does not pass."""
    groups: Sequence[Regrouping]
    """Tags that stand together in another way, as `partitions.regrouped` returns them."""


class ChangeRow(NamedTuple):
    """A change in words."""

    subject: str
    name: str | None
    what: str
    before: str
    now: str
    value: float
    """What `now` says."""
    effect: float


class Trend(NamedTuple):
    """The share of one action, night by night."""

    action: str
    now: str
    before: tuple[str, str] | None
    """The least and the largest share of the nights before."""
    svg: Markup


def view_of(drift: Drift | None) -> dict[str, Any]:
    """Return what the template shows, under the names it uses."""
    if drift is None:
        return {"drift": None}
    return {
        "drift": drift,
        "changes": [change_row(change) for change in drift.changes[:NUM_CHANGES]],
        "trends": [_trend(drift, action) for action in ACTIONS],
        "regroupings": [_cut(made) for made in drift.groups[:NUM_GROUPS]],
    }


def change_row(change: Change) -> ChangeRow:
    """Return a change in words."""
    is_measured = change.kind in MEASURED or "." in change.what
    before, now = (
        f"{value:.2f}" if is_measured else percentage(value)
        for value in (change.reference, change.tonight)
    )
    subject = SUBJECTS[change.kind]
    value = change.tonight
    return ChangeRow(subject, change.name, change.what, before, now, value, change.effect)


def percentage(value: float) -> str:
    """Return a share in [0, 1] in per cent.

    Examples
    --------
    >>> percentage(0.123), percentage(0.00001)
    ('12.3%', '<0.1%')
    """
    return percent(round(1_000_000 * value), 1_000_000)


def _cut(made: Regrouping) -> Regrouping:
    return Regrouping(*(tuple(group[:NUM_GROUP_TAGS] for group in side) for side in made))


def _trend(drift: Drift, action: str) -> Trend:
    series = [(night, shares[action]) for night, shares in drift.shares.items()]
    *old, now = [share[action] for share in drift.shares.values()] or [0.0]
    before = (percentage(min(old)), percentage(max(old))) if old else None
    return Trend(action, percentage(now), before, trend(action, series))


def trend(action: str, series: Sequence[tuple[str, float]]) -> Markup:
    """Return a line of shares over nights, the last one marked.

    Parameters
    ----------
    action
        Also the CSS class.
    series
        Night and share, the oldest first.
    """
    values = [value for _, value in series]
    middle = (max(values, default=0.0) + min(values, default=0.0)) / 2
    span = max(max(values, default=0.0) - min(values, default=0.0), LEAST_SPAN)
    step = (WIDTH - 2 * MARGIN) / max(len(series) - 1, 1)
    points = [
        (WIDTH - MARGIN - step * (len(series) - 1 - at), _height((value - middle) / span))
        for at, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    body = Markup('<polyline class="{}" points="{}"/>').format(action, line)
    for (night, value), (x, y) in zip(series, points, strict=True):
        dot = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>')
        tip = f"{visible(night)}: {percentage(value)}"
        body += dot.format(action, x, y, 4.5 if (x, y) == points[-1] else 2.2, tip)
    label = f"{action} over {len(series)} nights"
    return SVG.format(kind="trend", width=WIDTH, height=HEIGHT, label=label, body=body)


def _height(place: float) -> float:
    """Return the height of a share, from its place in [-1/2, 1/2] of what a trend shows."""
    return HEIGHT / 2 - (HEIGHT - 2 * MARGIN) * place
