import pytest

from pipeline.errors import RecipeError
from pipeline.store.answers import NOTHING, load_answers

CLASSES = {"cat": 0, "sea lion": 1}


def load(tmp_path, text):
    path = tmp_path / "answers.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_answers(str(path), CLASSES.get)


def test_answers_are_classes_by_uid(tmp_path):
    text = f"uid,label,web_label\n{'0a' * 16},cat,dog\n{'0b' * 16},,cat\n{'0C' * 16}, sea lion ,\n"

    assert load(tmp_path, text).label == {b"\x0a" * 16: 0, b"\x0c" * 16: 1}


def test_a_changed_file_has_another_digest(tmp_path):
    line = f"uid,label\n{'0a' * 16},"

    assert load(tmp_path, line + "cat").digest != load(tmp_path, line + "sea lion").digest
    assert load_answers(None, CLASSES.get) == NOTHING


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("uid,answer\n", "must have the columns uid and label"),
        ("", "must have the columns uid and label"),
        (
            f"uid,label\n{'0a' * 16},cow\n",
            "line 2 has label 'cow', which is no class; write a name or a synonym",
        ),
        ("uid,label\n0a0a,cat\n", "line 2 has uid '0a0a', which is not 32 hex digits; copy it"),
        (f"uid,label\n{'xy' * 16},cat\n", "not 32 hex digits"),
        (f"uid,label\n{'0a ' * 10}aa,cat\n", "not 32 hex digits"),
        (b"uid,label\n\xff", "cannot be parsed"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, text, complaint):
    with pytest.raises(RecipeError, match=complaint):
        load(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="does not exist"):
        load_answers(str(tmp_path / "none.csv"), CLASSES.get)
