from pathlib import Path

import pytest

from pipeline.errors import ShardError
from pipeline.shards import files


def test_a_local_file_is_opened_once_for_all_its_ranges(tmp_path, monkeypatch):
    uri = str(tmp_path / "x.bin")
    files.write(uri, bytes(range(256)))
    opened, open_path = [], Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *given: opened.append(path) or open_path(path, *given)
    )
    ranges = [(n, n + 3) for n in range(0, 250, 5)]

    found = files.read_ranges(uri, ranges)

    assert found == [bytes(range(start, stop)) for start, stop in ranges]
    assert opened == [Path(uri)]


def test_ranges_behind_the_end_of_a_file_are_cut_off(tmp_path):
    uri = str(tmp_path / "x.bin")
    files.write(uri, b"0123456789")

    assert files.read_ranges(uri, [(8, 12), (10, 12), (20, 30), (3, 3)]) == [b"89", b"", b"", b""]


def test_ranges_of_an_absent_file_are_an_error_that_names_it(tmp_path):
    with pytest.raises(ShardError, match=r"gone: cannot read it: FileNotFoundError; check that"):
        files.read_ranges(str(tmp_path / "gone"), [(0, 1)])
