"""The page shows what the summary says, and nothing of a crawl but its letters."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from pipeline.report.page import render
from pipeline.report.summary import Summary
from pipeline.report.views import NUM_BEST, NUM_WORST, classes

ATTRIBUTES = {
    "alt", "aria-label", "charset", "class", "content", "d", "data-filter", "data-value", "height",
    "hidden", "href", "http-equiv", "id", "lang", "name", "open", "placeholder", "rel", "role",
    "rx", "src", "style", "text-anchor", "title", "type", "viewbox", "width", "x", "y",
}  # fmt: skip


class Page(HTMLParser):
    """Collects the tags, attributes and texts of a page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def no_pictures(entries):
    return [None] * len(entries)


@pytest.fixture
def page(thresholds, about):
    def make(table):
        return render(Summary.of(table, thresholds), about=about, thumbnail=no_pictures)

    return make


def test_hostile_text_adds_no_tag_and_no_attribute(poison, ledger, thresholds, about, hostile):
    def read(text):
        summary = Summary.of(poison(ledger(40), text), thresholds)
        return Page(render(summary, about=about, thumbnail=no_pictures))

    harmless = read("a plain caption")
    for text in hostile:
        shown = read(text)
        assert harmless.tags == shown.tags
        assert [name for name, _ in harmless.attributes] == [name for name, _ in shown.attributes]
        assert {name for name, _ in shown.attributes} <= ATTRIBUTES
        for name, value in shown.attributes:
            if name in ("href", "src"):
                assert value.startswith(("#", "data:image/"))
            if name == "style":
                assert re.fullmatch(r"(width|left):[\d.]+%", value)


def test_hostile_characters_are_made_visible(poison, ledger, thresholds, about):
    text = "a\x00b\x1bc\x9bd\u202ee\u2066f\u200bg\ufeffh\u2028i"
    summary = Summary.of(poison(ledger(60), text), thresholds)
    html = render(summary, about=about, thumbnail=no_pictures)

    assert not set("\x00\x1b\x9b\u202e\u2066\u200b\ufeff\u2028") & set(html)
    assert "a␀b␛c⟨U+009B⟩d⟨U+202E⟩e⟨U+2066⟩f⟨U+200B⟩g⟨U+FEFF⟩h⟨U+2028⟩i" in html


def test_lone_surrogates_of_file_names_can_be_written(ledger, thresholds, about):
    faulty = replace(about, shard_faults=[("bad\udce9.tar", "no such file")])
    html = render(Summary.of(ledger(20), thresholds), about=faulty, thumbnail=no_pictures).encode(
        "utf-8"
    )

    assert "bad⟨U+DCE9⟩.tar".encode() in html


def test_template_syntax_of_a_caption_is_not_run(poison, ledger, thresholds, about):
    table = poison(ledger(60), "{{ 7 * 191 }}{% raw %}")
    html = render(Summary.of(table, thresholds), about=about, thumbnail=no_pictures)

    assert "{{ 7 * 191 }}{% raw %}" in html
    assert "1337" not in html


def test_long_captions_are_clipped(poison, ledger, thresholds, about):
    table = poison(ledger(60), "y" * 10_000)
    html = render(Summary.of(table, thresholds), about=about, thumbnail=no_pictures)

    assert 'title="' + "y" * 299 + "…" in html
    assert "y" * 300 not in html


def test_policy_forbids_every_script_but_the_one_of_the_package(page, ledger):
    html = page(ledger(60))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)

    assert policy.startswith("default-src 'none'; img-src data:;")
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}=';", policy)
    assert html.count("<script>") == 1


def test_page_shows_the_counts(page, ledger, thresholds):
    table = ledger(1500)
    summary = Summary.of(table, thresholds)
    texts = " ".join(" ".join(Page(page(table)).texts).split())

    assert "1,500 rows in" in texts
    for title, action in (("kept", "keep"), ("relabelled", "relabel"), ("dropped", "drop")):
        assert f"{summary.actions[action]:,} {title}" in texts


def test_same_summary_gives_the_same_page(ledger, thresholds, about, pictures):
    one, other = (
        render(Summary.of(ledger(40), thresholds), about=about, thumbnail=pictures)
        for _ in range(2)
    )

    assert one == other


def test_each_picture_is_asked_for_once(ledger, thresholds, about):
    asked = []

    def thumbnail(entries):
        asked.extend((entry.shard, entry.row) for entry in entries)
        return [None] * len(entries)

    render(Summary.of(ledger(900), thresholds), about=about, thumbnail=thumbnail)

    assert len(asked) == len(set(asked)) > 50


def test_page_of_no_rows_renders(ledger, about, thresholds):
    html = render(Summary.of(ledger(1).slice(0, 0), thresholds), about=about, thumbnail=no_pictures)

    assert "nan" not in html.lower()
    assert "Every row could be read." in html


def test_thousands_of_classes_are_cut_to_worst_and_best(ledger, thresholds):
    table = ledger(3000)
    names = [f"class {at % 1500:04d}" for at in range(3000)]
    table = table.set_column(table.schema.get_field_index("label"), "label", pa.array(names))
    found = classes(Summary.of(table, thresholds), [*names, "empty"])

    assert (len(found.worst), len(found.best)) == (NUM_WORST, NUM_BEST)
    assert (found.seen, found.unseen, found.hidden) == (1500, 1, 1440)
    assert found.worst[0].rate <= found.worst[-1].rate <= found.best[0].rate <= found.best[-1].rate
    assert not {row.label for row in found.worst} & {row.label for row in found.best}


def test_recipe_is_shown_with_its_lines(page, ledger, about):
    texts = Page(page(ledger(30))).texts

    assert about.recipe_text.strip() in "".join(texts)
    assert about.title in texts
