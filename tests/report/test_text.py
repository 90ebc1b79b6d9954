"""No text can hide a character or reorder its neighbours."""

from unicodedata import bidirectional, category

from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.text import clip, percent, visible

anything = st.text(st.characters(exclude_categories=()))


@given(anything)
def test_visible_text_has_no_control_and_can_be_encoded(text):
    shown = visible(text)

    shown.encode("utf-8")
    assert not {category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert not {bidirectional(c) for c in shown} & {"LRO", "RLO", "LRE", "RLE", "LRI", "RLI", "FSI"}


@given(anything)
def test_making_visible_twice_changes_nothing(text):
    assert visible(text) == visible(visible(text))


def test_letters_of_every_script_stay_as_they_are():
    text = "Zürich 東京 القاهرة ไทย नमस्ते 🦊 e\u0301"

    assert text == visible(text)


@given(st.text(), st.integers(1, 20))
def test_clipped_text_is_never_longer(text, num_chars):
    assert len(clip(text, num_chars)) <= num_chars


@given(st.integers(1, 10**12), st.data())
def test_only_everything_is_all_percent(whole, data):
    part = data.draw(st.integers(0, whole))

    assert (percent(part, whole) == "100%") == (part == whole)
    assert (percent(part, whole) == "0.0%") == (part == 0)
