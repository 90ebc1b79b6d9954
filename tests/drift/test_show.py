import pytest
from rich.console import Console

from pipeline import show
from tests.drift.nights import FOREIGN


@pytest.fixture
def printed():
    def lines(*nights):
        console = Console(width=160, color_system=None, record=True, quiet=False)
        with console.capture() as captured:
            show.diff(console, *nights)
        return [" ".join(line.split()) for line in captured.get().splitlines()]

    return lines


def test_two_nights_are_printed_side_by_side_with_what_is_different(profiled, printed):
    one, other = profiled(3500, seed=1), profiled(500, seed=2, mix=FOREIGN)
    lines = printed("monday", one, "tuesday", other)

    assert any("rows │ 3,500 │ 500" in line for line in lines)
    shares = [f"{100 * side.shares['drop']:.1f}%" for side in (one, other)]
    assert f"│ drop │ {shares[0]} │ {shares[1]} │" in lines
    assert any(f"all rows │ drop │ {shares[0]} │ {shares[1]} │ +" in line for line in lines)
    assert any("changes" in line for line in lines)


def test_nights_alike_are_said_to_be_alike(profiled, printed):
    lines = printed("monday", profiled(500), "tuesday", profiled(500))

    assert lines[-1] == "nothing is different that chance would not explain"


def test_names_of_a_crawl_are_printed_as_text(profiled, printed):
    evil = "[red]\x1b[31m\u202e"
    reference, tonight = profiled(3500, seed=1), profiled(500, seed=2, first=evil)
    text = "\n".join(printed("[bold]", reference, evil, tonight))

    assert "[bold]" in text
    assert "label of no class [red]␛[31m⟨U+202E⟩" in text
    assert not set("\x1b\u202e") & set(text)
