"""The section of what the cleaners learned: most suspicious first, bounded, hostile names inert."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipeline.findings import Findings, Kinship, LabelNoise
from pipeline.report.learned import NUM_CLASSES, ranked, view_of
from pipeline.report.page import render
from pipeline.report.summary import Summary
from tests.report.test_page import ATTRIBUTES, Page, no_pictures

NAMES = ["cat", "dog", "owl"]
NAN = float("nan")


def noise(rate, meant=None, share=None):
    if meant is None:
        return Findings(noise=LabelNoise.of_rate(np.array(rate)))
    return Findings(noise=LabelNoise(np.array(rate), np.array(meant), np.array(share)))


def compact(rate, gain):
    return Findings(coding_rate=np.array(rate), gain=np.array(gain))


@pytest.fixture
def summary(ledger):
    """Make a summary of rows whose labels are `names` in turn."""

    def make(names):
        table = ledger(3 * len(names))
        label = pa.array([names[at % len(names)] for at in range(len(table))], pa.string())
        return Summary.of(table.set_column(table.column_names.index("label"), "label", label), {})

    return make


def section(summary, about, told, names=NAMES):
    page = replace(about, findings=told, classes=names)
    html = render(summary, about=page, thumbnail=no_pictures)
    assert html.count('id="learned"') == html.count('href="#learned"')
    start = html.find('<section id="learned"')
    return html[start : html.index("</section>", start)] if start >= 0 else None


def test_the_noisiest_class_comes_first_by_the_median_of_the_cleaners():
    told = {"a": noise([0.9, 0.3, NAN]), "b": noise([0.1, 0.4, NAN]), "c": noise([0.2, 0.3, NAN])}

    assert ranked(told, 3) == [1, 0]


def test_equally_noisy_classes_are_ordered_by_what_they_gain():
    told = {"a": noise([0.2, 0.2, 0.3]), "b": compact([5.0, 6.0, 7.0], [0.5, 2.0, 0.0])}

    assert ranked(told, 3) == [2, 1, 0]


def test_without_rates_the_class_that_gains_most_comes_first(summary):
    told = {"a": compact([5.0, 6.0, NAN], [0.5, 2.0, NAN])}
    found = view_of(told, NAMES, summary(NAMES))

    assert [(row.name, row.noise, row.gain) for row in found["learned"]] == [
        ("dog", None, 2.0),
        ("cat", None, 0.5),
    ]


def test_a_row_has_what_every_cleaner_says(summary):
    told = {
        "a": noise([0.1, 0.2, 0.3], [1, -1, 0], [0.05, 0.0, 0.2]),
        "b": noise([0.3, NAN, 0.5], [2, 0, 1], [0.2, 0.1, 0.3]),
        "c": noise([0.2, 0.6, NAN], [1, 2, 0], [0.25, 0.3, 0.1]),
    }
    by_name = {row.name: row for row in view_of(told, NAMES, summary(NAMES))["learned"]}
    cat, dog, owl = (by_name[name] for name in NAMES)

    assert cat.by_cleaner == {"a": 0.1, "b": 0.3, "c": 0.2}
    assert (cat.noise, cat.meant, cat.meant_share) == (0.2, "dog", pytest.approx(0.15))
    assert dog.by_cleaner == {"a": 0.2, "b": None, "c": 0.6}
    assert (dog.noise, dog.meant, dog.meant_share) == (0.4, "owl", 0.3)
    assert (owl.noise, owl.meant, owl.meant_share) == (0.4, "cat", pytest.approx(0.15))


def test_only_classes_with_rows_are_listed(summary):
    told = {"a": noise([0.1, 0.2, 0.3])}

    assert [row.name for row in view_of(told, NAMES, summary(["owl", "cat"]))["learned"]] == [
        "owl",
        "cat",
    ]
    assert len(view_of(told, NAMES, summary(["owl|cat"]))["learned"]) == 3


def test_thousands_of_classes_are_cut_and_the_cut_is_told(summary, about):
    names = [f"class {at:04d}" for at in range(1500)]
    told = {"a": noise(np.linspace(0.0, 0.5, 1500))}
    html = section(summary(names), about, told, names)

    assert html.count("<tr>") == NUM_CLASSES + 1
    assert "1,450 more classes are not listed" in html
    assert "class 1499" in html
    assert "class 1449" not in html


@pytest.mark.parametrize("told", [{}, {"a": Findings()}, {"a": noise([NAN] * 3)}])
def test_there_is_no_section_where_nothing_is_told(summary, about, told):
    assert section(summary(NAMES), about, told) is None


def test_shares_of_the_same_stand_together_and_stay_in_range(summary, about):
    told = {
        "one": Findings(shares={"wrong labels": 0.25, "copies": 1.0 + 1e-12}),
        "two": Findings(shares={"wrong labels": -1e-17}),
    }
    found = view_of(told, NAMES, summary(NAMES))["shares"]

    assert [(s.what, s.cleaner, s.share) for s in found] == [
        ("wrong labels", "one", 0.25),
        ("wrong labels", "two", 0.0),
        ("copies", "one", 1.0),
    ]
    assert "25.0%" in section(summary(NAMES), about, told)


def test_a_combination_shows_what_its_members_share(summary, about):
    alike = np.array([[1.0, -0.25], [-0.25, 1.0]])
    told = {"combine": Findings(kinship=Kinship(("a.label", "b.label"), alike, np.ones(2)))}
    page = Page(section(summary(NAMES), about, told))

    assert [text for text in page.texts if text.strip() in ("-0.25", "1.00")] == [
        *("1.00", "-0.25", "1.00"),
        *("-0.25", "1.00", "1.00"),
    ]
    assert [v for name, v in page.attributes if name == "style"] == [
        f"--share:{share}" for share in ("1.00", "0.00", "0.00", "1.00")
    ]


def test_hostile_class_names_add_no_tag_and_no_attribute(summary, about, hostile):
    def read(text):
        told = {
            "a": noise([0.1, 0.2, 0.3], [1, 2, 0], [0.1] * 3),
            "b": compact([5.0, NAN, 7.0], [0.5, NAN, 0.0]),
        }
        names = [f"{text}{at}" for at in range(3)]
        return Page(section(summary(names), about, told, names))

    harmless = read("a plain name")
    for text in hostile:
        if "|" in text:
            continue
        shown = read(text)
        assert harmless.tags == shown.tags
        assert [name for name, _ in harmless.attributes] == [name for name, _ in shown.attributes]
        assert {name for name, _ in shown.attributes} <= ATTRIBUTES
        assert "nan" not in " ".join(shown.texts).lower().replace("plain name", "")
