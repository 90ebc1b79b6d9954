"""Plots are well-formed SVG whose lengths are the numbers."""

import itertools
from xml.etree import ElementTree as ET

import pytest

from pipeline.report.plots import estimates, flow, histogram

TITLES = {"keep": "Kept", "drop": "<Dropped> & gone"}


def rectangles(svg, name):
    return [r for r in ET.fromstring(str(svg)).iter("rect") if r.get("class") == name]


def test_ribbons_are_as_thick_as_their_share():
    svg = flow({"keep": 300, "drop": 100}, TITLES, 700)
    (kept,), (dropped,) = rectangles(svg, "keep"), rectangles(svg, "drop")

    assert pytest.approx(float(kept.get("height")) / float(dropped.get("height"))) == 3


@pytest.mark.parametrize("counts", [{}, {"keep": 0, "drop": 0}, {"keep": 1, "drop": 10**9}])
def test_any_counts_can_be_drawn(counts):
    assert "nan" not in str(flow(counts, TITLES, 340))


def test_labels_of_the_flow_do_not_touch():
    names = {name: name for name in "abcd"}
    svg = flow({"a": 10**6, "b": 1, "c": 1, "d": 1}, names, 340)
    heads = [t for t in ET.fromstring(str(svg)).iter("text") if t.get("class") == "strong"]
    places = sorted(float(t.get("y")) for t in heads if t.text in names)

    assert all(b - a > 30 for a, b in itertools.pairwise(places))


def test_bars_share_their_height_as_the_rows_do():
    svg = histogram([0, 30], [0, 10], [])
    (kept,), (flagged,) = rectangles(svg, "keep"), rectangles(svg, "flagged")

    assert pytest.approx(float(kept.get("height")) / float(flagged.get("height")), rel=0.01) == 3


def test_height_is_the_square_root_of_the_rows():
    few, many = rectangles(histogram([100, 400], [0, 0], []), "keep")

    assert pytest.approx(float(many.get("height")) / float(few.get("height")), rel=0.01) == 2


def test_thresholds_are_labelled_and_escaped():
    svg = histogram([1] * 50, [0] * 50, [("<b>\u202ered", 0.25), ("late", 0.9), ("never", 1.5)])
    marks = [t.text for t in ET.fromstring(str(svg)).iter("text") if t.get("class") == "mark"]

    assert marks == ["<b>⟨U+202E⟩red ≥ 0.25", "late ≥ 0.9", "never ≥ 1.5"]


def test_a_bar_of_estimates_is_as_long_as_their_middle_and_has_a_tick_for_each():
    svg = estimates(0.25, {"<b>one": 0.0, "two": 1.0})
    (well,), (bar,) = rectangles(svg, "well"), rectangles(svg, "drop")
    first, last = rectangles(svg, "opinion")

    assert float(bar.get("width")) == float(well.get("width")) / 4
    assert float(first.get("x")) == 0.0
    assert float(last.get("x")) + float(last.get("width")) == float(well.get("width"))
    assert [t.text for t in ET.fromstring(str(svg)).iter("title")] == ["<b>one 0.0%", "two 100.0%"]


def test_without_an_estimate_there_is_no_bar():
    assert rectangles(estimates(None, {}), "drop") == []
