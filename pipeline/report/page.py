"""The report of a run: one HTML page that needs no network and runs no code of the crawl."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.findings import Findings
from pipeline.report import learned, text, views
from pipeline.report.agreement import matrix
from pipeline.report.deciding import Thresholds
from pipeline.report.drift import Drift, percentage, view_of
from pipeline.report.gallery import Entry
from pipeline.report.plots import flow
from pipeline.report.summary import Summary
from pipeline.report.thumbnails import data_uri

WIDE, NARROW = 1000, 340
"""Widths that the picture of the flow is drawn for; the style sheet shows one of them."""
NUM_FAULTS: Final = 100
"""Shard faults that are listed."""

Pictures = Callable[[Sequence[Entry]], Sequence[bytes | None]]
"""Returns the original image file of each entry, or None."""


class Step(NamedTuple):
    """What one step of the run did."""

    name: str
    rows: int
    seconds: float
    reused: int
    """Rows that were found done; shards, where those are what the step counts."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What a report says of its run beside the rows."""

    title: str
    """Name of the recipe."""
    started: datetime
    """An aware time."""
    finished: datetime
    """An aware time."""
    recipe_text: str
    """The recipe file."""
    versions: Mapping[str, str]
    """Package to version."""
    steps: Sequence[Step]
    shard_faults: Sequence[tuple[str, str]]
    """Shards that could not be read, and why."""
    thresholds: Thresholds
    """Score column to the reasons it gives, each with the score from which it is given."""
    classes: Sequence[str]
    """Names of the class file."""
    findings: Mapping[str, Findings] = field(default_factory=dict)
    """What the cleaners have learned, by their names; classes in the order of `classes`."""


def render(
    summary: Summary, *, about: About, thumbnail: Pictures, drift: Drift | None = None
) -> str:
    """Return the report as one HTML document.

    Parameters
    ----------
    summary
        The numbers and examples.
    about
        The run.
    thumbnail
        Called once, with every entry that is shown with its picture.
    drift
        How a night differs from the nights before; None = the run is no night.
    """
    sections = list(views.sections(summary))
    shown = {entry.order[1:]: entry for section in sections for entry in section.entries}
    images = thumbnail(list(shown.values()))
    pictures = {at: data_uri(image) for at, image in zip(shown, images, strict=True)}
    template = _environment().get_template("report.html.j2")
    return template.render(
        _assets(),
        **_numbers(summary, about),
        **view_of(drift),
        **learned.view_of(about.findings, about.classes, summary),
        sections=sections,
        pictures=pictures,
    )


def _numbers(summary: Summary, about: About) -> dict[str, Any]:
    """Return what the template shows, apart from the galleries, under the names it uses."""
    counts = views.outcomes(summary)
    return {
        "about": about,
        "rows": summary.rows,
        "counts": counts,
        "titles": views.TITLES,
        "flows": [flow(counts, views.TITLES, width) for width in (WIDE, NARROW)],
        "reasons": views.reasons(summary),
        "quarantined": views.quarantined(summary),
        "quarantine_list": summary.galleries.get(("quarantine", ""), ()),
        "classes": views.classes(summary, about.classes),
        "pairs": views.pairs(summary),
        "plots": views.plots(summary, about.thresholds),
        "agreement": matrix(summary.overlaps),
        "seconds": sum(step.seconds for step in about.steps),
        "faults": about.shard_faults[:NUM_FAULTS],
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clip": text.clip,
        "visible": text.visible,
        "number": text.number,
        "percent": text.percent,
        "share": percentage,
        "rough": text.rough,
        "duration": text.duration,
        "rate": text.rate,
        "moment": _moment,
    }
    return environment


def _finalize(value: Any) -> Any:
    """Make visible what no template asked to: the last stop before every text is escaped."""
    if value is None:
        return "—"
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return text.visible(value, keep="\n\t") if is_text else value


def _moment(time: datetime) -> str:
    return f"{time.astimezone(timezone.utc):%d %B %Y, %H:%M} UTC".lstrip("0")


def _assets() -> dict[str, Markup]:
    """Return style, script and the policy that lets this script run and no other."""
    folder = files("pipeline.report")
    style = folder.joinpath("report.css").read_text("utf-8")
    script = folder.joinpath("report.js").read_text("utf-8")
    digest = b64encode(sha256(script.encode()).digest()).decode("ascii")
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    # Files of the package, never of a crawl: the only text that is not escaped.
    return {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}
