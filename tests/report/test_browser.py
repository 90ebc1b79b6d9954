"""A real browser opens the report, runs nothing of the crawl and asks the network for nothing."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.report.page import render
from pipeline.report.summary import Summary

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
CHROMIUM = shutil.which("chromium", path=f"/usr/bin{os.pathsep}{os.environ.get('PATH', '')}")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def report(  # noqa: PLR0913  (the parts of a page)
    tmp_path, ledger, thresholds, about, pictures, drifted, learned
):
    file = tmp_path / "report.html"
    summary = Summary.of(ledger(2000), thresholds)
    told = replace(about, findings=learned(len(about.classes)))
    html = render(summary, about=told, thumbnail=pictures, drift=drifted())
    file.write_text(html, "utf-8")
    return file


@pytest.fixture
def poisoned(  # noqa: PLR0913  (the parts of a page)
    tmp_path, ledger, poison, hostile, about, drifted, learned
):
    """Write a report in which every text is hostile."""
    file = tmp_path / "poisoned.html"
    summary = Summary.of(poison(ledger(600), *hostile), about.thresholds)
    versions = dict(zip(hostile, hostile, strict=True))
    odd = replace(about, title=hostile[10], versions=versions, recipe_text="\n".join(hostile))
    odd = replace(odd, classes=hostile, findings=learned(len(hostile)))
    html = render(summary, about=odd, thumbnail=lambda e: [None] * len(e), drift=drifted(*hostile))
    file.write_text(html, "utf-8")
    return file


@pytest.fixture
def opened(browser, report):
    """Open the report at a width; collect what the browser complains of and asks for."""
    contexts = []

    def open_at(width: int, scheme: str = "light", file: Path = report):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        faults, requests = [], []
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(file.as_uri(), wait_until="load")
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
        return page, faults, requests

    yield open_at
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_report_opens_without_faults_requests_or_overflow(opened, report, width, scheme):
    page, faults, requests = opened(width, scheme)
    sizes = page.evaluate("[...document.images].map((image) => image.naturalWidth)")
    if folder := os.environ.get("REPORT_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{scheme}-{width}.png", full_page=True)

    assert faults == []
    assert [report.as_uri()] == [url for url in requests if not url.startswith("data:")]
    assert page.evaluate("window.hacked") is None
    assert len(sizes) > 50
    assert min(sizes) > 0
    assert width == page.evaluate("document.documentElement.scrollWidth")


@pytest.mark.parametrize("width", [390, 1280])
def test_hostile_labels_and_names_stay_in_their_place(opened, poisoned, width):
    page, faults, requests = opened(width, file=poisoned)
    if folder := os.environ.get("REPORT_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"hostile-{width}.png", full_page=True)

    assert faults == []
    assert [poisoned.as_uri()] == [url for url in requests if not url.startswith("data:")]
    assert page.evaluate("window.hacked") is None
    assert width == page.evaluate("document.documentElement.scrollWidth")


def test_hovering_and_clicking_a_caption_runs_nothing(opened):
    page, faults, _ = opened(1280)
    page.evaluate(
        "document.querySelectorAll('bdi').forEach((element) => "
        "['mouseover', 'click', 'error'].forEach((kind) => "
        "element.dispatchEvent(new Event(kind, { bubbles: true }))))"
    )

    assert page.evaluate("window.hacked") is None
    assert faults == []


def test_policy_stops_a_script_that_got_into_the_page(opened):
    page, _, _ = opened(1280)
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=window.hacked=1>')"
    )
    page.wait_for_timeout(200)

    assert page.evaluate("window.hacked") is None


def test_classes_can_be_sorted_and_found(opened):
    page, _, _ = opened(1280)
    rows = page.locator("#class-table tbody tr:visible")
    page.locator("#class-table th", has_text="Rows").locator("button").click()
    first, last = (
        int(row.locator("td").nth(1).get_attribute("data-value")) for row in (rows.first, rows.last)
    )
    page.get_by_label("Find a class").fill("BEAR")

    assert first > last
    assert rows.locator("td:first-child").all_inner_texts() == ["brown bear"]
