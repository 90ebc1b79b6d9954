"""Pictures of numbers as inline SVG; colours come from the classes of the style sheet."""

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Final

from markupsafe import Markup

from pipeline.report.text import number, percent, visible

SLOT: Final = 44
"""Least height of one outcome of the flow, room for its two lines of text."""
GAP: Final = 10
TALL: Final = 200
"""Height of all ribbons of the flow together."""
PLOT_WIDTH, PLOT_HEIGHT, LINE = 340, 110, 15
"""Size of a histogram and height of one line of its threshold labels."""
RATE_WIDTH, TICK = 120, 2
"""Widths of a bar of estimates and of one estimate."""

RIBBON = Markup(
    '<path class="ribbon {name}" d="M{x0} {y0}C{mid} {y0} {mid} {y1} {x1} {y1}'
    'V{z1}C{mid} {z1} {mid} {z0} {x0} {z0}Z"/>'
    '<rect class="{name}" x="{x1}" y="{y1}" width="8" height="{h}" rx="2"/>'
)
SOURCE = Markup('<rect class="source" x="{}" y="{:.1f}" width="8" height="{:.1f}" rx="2"/>')
BOX = Markup('<rect class="{name}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{rx}"/>')
WORDS = Markup(
    '<text class="strong" x="{x}" y="{y}">{head}</text>'
    '<text class="soft" x="{x}" y="{below}">{tail}</text>'
)
SVG = Markup(
    '<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
    "{body}</svg>"
)


def flow(counts: Mapping[str, int], titles: Mapping[str, str], width: int) -> Markup:
    """Return the picture of rows that stream from the input to their outcomes.

    Parameters
    ----------
    counts
        Rows per outcome, drawn from top to bottom; the name is also the CSS class.
    titles
        Words for each outcome.
    width
        In pixels at which the text has its natural size.
    """
    total = sum(counts.values())
    drawn = {name: num for name, num in counts.items() if num}
    thick = {name: max(2.0, TALL * num / total) for name, num in drawn.items()}
    height = sum(max(SLOT, h) + GAP for h in thick.values()) - GAP if drawn else SLOT
    left, right = 78, width - 132
    source = top = (height - sum(thick.values())) / 2
    y, body = 0.0, Markup()
    for name, h in thick.items():
        slot = max(SLOT, h)
        y1 = y + (slot - h) / 2
        body += _ribbon(name, (left + 8, source), (right, y1), h)
        tail = f"{number(counts[name])} · {percent(counts[name], total)}"
        body += _words(right + 18, y + slot / 2, titles[name], tail)
        source, y = source + h, y + slot + GAP
    body += SOURCE.format(left, top, source - top)
    body += _words(0, height / 2, number(total), "rows in")
    label = ", ".join(f"{titles[name]} {number(num)}" for name, num in counts.items())
    return SVG.format(kind="flow", width=width, height=round(height), label=label, body=body)


def _ribbon(name: str, start: tuple[float, float], end: tuple[float, float], h: float) -> Markup:
    (x0, y0), (x1, y1) = start, end
    places = {"x0": x0, "y0": y0, "x1": x1, "y1": y1, "z0": y0 + h, "z1": y1 + h, "h": h}
    places["mid"] = (x0 + x1) / 2
    return RIBBON.format(name=name, **{key: f"{place:.1f}" for key, place in places.items()})


def _words(x: float, middle: float, head: str, tail: str) -> Markup:
    return WORDS.format(
        x=f"{x:.1f}", y=f"{middle - 3:.1f}", below=f"{middle + 14:.1f}", head=head, tail=tail
    )


def histogram(
    kept: Sequence[int], flagged: Sequence[int], thresholds: Iterable[tuple[str, float]]
) -> Markup:
    """Return the histogram of one score over [0, 1], with the thresholds as labelled lines.

    The height of a bar is the square root of its rows, so that rare scores can be seen; its
    two colours share the height as the rows do.

    Parameters
    ----------
    kept, flagged
        Rows per bin, of the same length.
    thresholds
        Reason and the score from which it is given.
    """
    lines = sorted(thresholds, key=lambda line: line[1])
    top = LINE * len(lines) + 6
    largest = max((a + b for a, b in zip(kept, flagged, strict=True)), default=0)
    body = Markup().join(
        _bar(at, top, (a, b), (len(kept), largest))
        for at, (a, b) in enumerate(zip(kept, flagged, strict=True))
        if a + b
    )
    base = top + PLOT_HEIGHT
    body += _axis(base)
    for at, (reason, value) in enumerate(lines):
        body += _threshold(reason, value, LINE * (at + 1) - 4, base)
    label = f"{number(sum(kept))} kept and {number(sum(flagged))} flagged rows by score"
    return SVG.format(kind="histogram", width=PLOT_WIDTH, height=base + 20, label=label, body=body)


def _axis(base: float) -> Markup:
    body = Markup('<path class="axis" d="M0 {y}H{x}"/>').format(y=base, x=PLOT_WIDTH)
    tick = Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{:g}</text>')
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        anchor = {0.0: "start", 1.0: "end"}.get(share, "middle")
        body += tick.format(share * PLOT_WIDTH, base + 15, anchor, share)
    return body


def _bar(at: int, top: float, rows: tuple[int, int], scale: tuple[int, int]) -> Markup:
    (kept, flagged), (num_bins, largest) = rows, scale
    step = PLOT_WIDTH / num_bins
    height = max(1.5, PLOT_HEIGHT * sqrt((kept + flagged) / largest))
    upper = height * flagged / (kept + flagged)
    y = top + PLOT_HEIGHT - height
    tip = f"{at / num_bins:.2f} to {(at + 1) / num_bins:.2f}: {number(kept)} kept"
    tip += f", {number(flagged)} flagged"
    box = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
    body = Markup("<title>{}</title>").format(tip)
    for name, start, h in (("flagged", y, upper), ("keep", y + upper, height - upper)):
        body += box.format(name, at * step + 0.4, start, step - 0.8, h) if h > 0 else ""
    return Markup("<g>{}</g>").format(body)


def _threshold(reason: str, value: float, y: float, base: float) -> Markup:
    x = PLOT_WIDTH * min(max(value, 0.0), 1.0)
    is_right = x > PLOT_WIDTH / 2
    return Markup(
        '<path class="threshold" d="M{x:.1f} {y0:.1f}V{y1:.1f}"/>'
        '<text class="mark" x="{tx:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'
    ).format(
        x=x, y0=y - 10, y1=base, y=y, tx=x - 5 if is_right else x + 5,
        anchor="end" if is_right else "start", words=f"{visible(reason)} ≥ {value:g}",
    )  # fmt: skip


def estimates(middle: float | None, says: Mapping[str, float]) -> Markup:
    """Return a bar for a share in [0, 1], with a tick for each opinion on it.

    Parameters
    ----------
    middle
        Where the bar ends; None = there is no bar.
    says
        Share by who says it.
    """
    body = BOX.format(name="well", x=0, y=6, width=RATE_WIDTH, height=9, rx=2)
    if middle:
        length = f"{RATE_WIDTH * middle:.1f}"
        body += BOX.format(name="drop", x=0, y=6, width=length, height=9, rx=2)
    for name, share in says.items():
        tip = Markup("<title>{}</title>").format(f"{visible(name)} {share:.1%}")
        x = f"{(RATE_WIDTH - TICK) * share:.1f}"
        tick = BOX.format(name="opinion", x=x, y=2, width=TICK, height=17, rx=1)
        body += Markup("<g>{}{}</g>").format(tip, tick)
    label = ", ".join(f"{visible(name)} {share:.1%}" for name, share in says.items())
    return SVG.format(kind="estimates", width=RATE_WIDTH, height=21, label=label, body=body)
