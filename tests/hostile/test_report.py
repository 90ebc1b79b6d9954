"""Hostile text goes through a whole run as it is, and is shown on page and terminal as letters."""

import io
import json
import tarfile
from dataclasses import replace
from datetime import datetime, timezone

import pyarrow as pa
import pytest
from rich.table import Table

from pipeline.complaint import complain
from pipeline.curate import curate
from pipeline.engine.local import LocalEngine
from pipeline.recipe import parse_recipe
from pipeline.report.gallery import CAPTION_CHARS
from pipeline.report.page import About, render
from pipeline.report.summary import Summary
from pipeline.schema import LEDGER
from pipeline.shards.check import check
from pipeline.terminal import Terminal

EVIL = "[red]x[/red] :smile: \x1b[31mred\x1b]8;;http://evil\x1b\\ \x9b2J \u202eabc\r\x07\x00\u200b"
CAPTIONS = (
    b"<script>window.hacked=1</script> <img src=x onerror=hack()>",
    b"\x1b[31mred\x1b[0m \x1b]0;title\x07",
    "safe\u202egnp.exe\u2066 \u200b\ufeff".encode(),
    b"a\x00b",
    b"\xef\xbb\xbf a marked caption",
    b"one\r\ntwo\rthree\n",
    b"=cmd|' /C calc'!A0",
    b" \t ",
    b"word " * 400_000,
    b"{{ 7 * 7 }}{% raw %} ${x} %s {0}",
)


def hostile_bytes(text):
    return [part for part in ("\x1b[31", "\x1b]", "\x9b", "\u202e", "\x07", "\x00") if part in text]


def terminal():
    file = io.StringIO()
    return file, Terminal(file=file, force_terminal=True, width=300, highlight=False)


@pytest.mark.parametrize("style", [None, "red"])
def test_a_terminal_does_nothing_of_what_data_says(style):
    file, console = terminal()
    table = Table(EVIL, title=EVIL)
    table.add_row(EVIL)

    console.print(EVIL, style=style, soft_wrap=True)
    console.print(table)
    console.print("two", EVIL)

    shown = file.getvalue().replace("\x1b[31m[red]", "[red]")  # the style that was asked for
    assert not hostile_bytes(shown)
    assert "[red]x[/red] :smile: ␛[31mred" in shown


def test_a_complaint_does_nothing_of_what_it_quotes(capsys):
    complain(f"label {EVIL} is no class")

    assert not hostile_bytes(capsys.readouterr().err)


def summary_of(**values):
    row = {"uid": b"\x00" * 16, "key": "k", "shard": "s", "row": 0, "action": "keep", "reasons": []}
    table = pa.Table.from_pylist([row | values], LEDGER.append(pa.field("caption", pa.string())))
    return Summary.of(table, {})


@pytest.fixture
def about():
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return About(
        title="t",
        started=now,
        finished=now,
        recipe_text="",
        versions={},
        steps=[],
        shard_faults=[],
        thresholds={},
        classes=[],
    )


def page(summary, about):
    return render(summary, about=about, thumbnail=lambda entries: [None] * len(entries))


def test_a_long_caption_is_cut_and_its_length_is_said(about):
    summary = summary_of(caption="x" * 10_000_000, key="k" * 1_000_000, label="l" * 1_000_000)

    html = page(replace(summary, classes=type(summary.classes)()), about)

    assert "10,000,000 characters" in html
    assert len(html) < 200_000
    (entry,) = summary.galleries["keep", ""]
    assert {len(entry.caption), len(entry.key), len(entry.label)} == {CAPTION_CHARS}


def test_a_short_caption_is_whole_and_has_no_length(about):
    html = page(summary_of(caption="a red panda"), about)

    assert "a red panda" in html
    assert " characters)" not in html


@pytest.fixture(scope="module")
def curated(tmp_path_factory, make_hostile):
    return make_hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def make_hostile(spec):
    """Run a crawl of hostile captions and return its output folder."""
    from contextlib import contextmanager

    from tests.conftest import picture, write_tar

    @contextmanager
    def track(name, total):
        yield lambda _: None

    def make(folder):
        samples = {
            f"{number}{chr(0x202E)}": {
                "jpg": picture(number),
                "txt": caption,
                "json": json.dumps({"label": "oak", EVIL: EVIL, "__proto__": {}}).encode(),
            }
            for number, caption in enumerate(CAPTIONS)
        }
        write_tar(folder / "crawl" / "0.tar", samples)
        (folder / "classes.csv").write_text("name\noak\n=cmd\n")
        recipe = parse_recipe(
            {
                "name": EVIL.replace("\x00", ""),
                "source": {"path": str(folder / "crawl")},
                "classes": str(folder / "classes.csv"),
                "encoder": {"model": spec.model, "precision": "fp32"},
                "cleaners": [],
                "policy": {"name": "none", "rules": []},
            }
        )
        curate(recipe, str(folder / "work"), str(folder / "out"), LocalEngine(), track)
        return folder / "out"

    return make


@pytest.mark.slow
def test_hostile_captions_and_fields_come_out_byte_for_byte(curated):
    found, fields = [], []
    with tarfile.open(curated / "00000.tar") as tar:
        for member in tar:
            data = tar.extractfile(member).read()
            found += [data] if member.name.endswith(".txt") else []
            fields += [json.loads(data)] if member.name.endswith(".json") else []

    assert sorted(found) == sorted(CAPTIONS)
    assert all(each[EVIL] == EVIL and each["__proto__"] == {} for each in fields)
    assert sorted(each["source_key"] for each in fields)[0] == "0\u202e"


@pytest.mark.slow
def test_the_report_of_hostile_captions_has_no_control_and_no_tag_of_theirs(curated):
    html = (curated / "report.html").read_text()

    assert not hostile_bytes(html)
    assert "<script>window" not in html
    assert "onerror=hack()" not in html.replace("&lt;img src=x onerror=hack()&gt;", "")
    assert "1,999,999 characters" in html or "2,000,000 characters" in html


@pytest.mark.slow
def test_a_loader_takes_hostile_captions_and_misses_words_in_one(curated):
    checked = check(str(curated), 1, 1)

    assert [problem.what for problem in checked.problems] == ["empty-text"]
