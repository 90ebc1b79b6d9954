"""The drift of a night is shown where there is one, and hostile names stay text."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pipeline.report.drift import LEAST_SPAN, NUM_CHANGES, trend
from pipeline.report.page import render
from pipeline.report.summary import Summary


class Tags(HTMLParser):
    """Collects the tags and the names of the attributes of a page."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, [name for name, _ in attrs]))


@pytest.fixture
def page(ledger, thresholds, about):
    summary = Summary.of(ledger(40), thresholds)

    def make(drift):
        return render(summary, about=about, thumbnail=lambda e: [None] * len(e), drift=drift)

    return make


def section(html):
    """Return the section of the drift as text with single spaces."""
    inner = html[html.index('id="drift"') :].split("</section>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", inner).split())


def test_a_run_that_is_no_night_has_no_drift(page):
    html = page(None)

    assert "drift" not in html.replace("/drift", "").lower().split("<style>")[0]
    assert 'id="drift"' not in html
    assert 'href="#drift"' not in html


def test_the_section_shows_the_night_the_gates_and_the_changes(page, drifted):
    text = section(page(drifted()))

    assert "2026-11-20 against 7 nights before, 2026-11-13 to 2026-11-19 ." in text
    assert "gates.max_drift.actions action drop had 13.1% of the rows" in text
    assert "Every gate was passed" not in text
    assert "all rows dropped 13.1% → 42.0% ▲ 9.0" in text
    assert "all rows match.outlier 0.13 → 0.42 ▼ 8.9" in text
    assert "host vanished 13.1% → 0.0%" in text
    assert f"What is different {NUM_CHANGES} of 70" in text
    assert "Dropped 42.0%" in text


def test_a_night_like_the_others_says_so(page, drifted):
    calm = replace(drifted(), changes=[], violations=[], groups=[])
    text = section(page(calm))

    assert "Every gate was passed." in text
    assert "Nothing that chance would not explain." in text
    assert "stand together" not in text


def test_the_first_night_has_nothing_before_it(page, drifted):
    made = drifted()
    first = replace(made, reference_nights=[], shares={made.night: made.shares[made.night]})

    assert "against no night: it is the first." in section(page(first))
    assert "no night before" in section(page(first))


def test_hostile_names_add_no_tag_and_no_attribute(page, drifted, hostile):
    harmless = Tags(page(drifted("a plain name"))).found
    for text in hostile:
        assert harmless == Tags(page(drifted(text))).found


def test_hostile_characters_of_names_are_made_visible(page, drifted):
    html = page(drifted("a\x00b\u202ec\u200b"))

    assert not set("\x00\u202e\u200b") & set(html)
    assert "a␀b⟨U+202E⟩c⟨U+200B⟩" in html


def test_long_names_are_clipped(page, drifted):
    assert "y" * 300 not in page(drifted("y" * 10_000))


def test_a_hostile_name_of_a_night_stays_text(page, drifted):
    made, evil = drifted(), "<script>\u202e"
    odd = replace(made, night=evil, reference_nights=[evil], shares={evil: made.shares[made.night]})
    html = page(odd)

    assert html.count("<script>") == 1
    assert "\u202e" not in html


def heights(svg):
    return [float(y) for y in re.findall(r'cy="([\d.]+)"', svg)]


def test_a_trend_has_a_dot_per_night_and_rises_with_the_share():
    svg = trend("drop", [("a", 0.1), ("b", 0.3), ("c", 0.2)])
    first, second, third = heights(svg)

    assert first > third > second
    assert third == pytest.approx((first + second) / 2, abs=0.1)
    assert "<title>b: 30.0%</title>" in svg


def test_a_small_step_looks_small():
    low, high = heights(trend("drop", [("a", 0.1), ("b", 0.1 + LEAST_SPAN / 10)]))

    assert low - high == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("series", [[], [("a", 0.0)], [("a", 1.0), ("b", 1.0)]])
def test_a_trend_of_few_nights_or_one_share_is_drawn_inside(series):
    svg = trend("keep", series)

    assert "nan" not in svg
    assert all(0 < y < 64 for y in heights(svg))
