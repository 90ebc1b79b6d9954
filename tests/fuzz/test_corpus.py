"""What the fuzzer has found stays found: every reader takes its old findings, and fresh inputs."""

from contextlib import suppress
from pathlib import Path

import pytest

from jobs.fuzz.__main__ import main
from jobs.fuzz.readers import READERS
from pipeline.errors import CurationError

CORPUS = Path(__file__).parent / "corpus"
FINDINGS = sorted(path for path in CORPUS.rglob("*") if path.is_file())
INPUTS = 2000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("finding", FINDINGS, ids=lambda path: str(path.relative_to(CORPUS)))
def test_a_finding_is_read_or_refused(tmp_path, finding):
    reader = READERS[finding.parent.name]
    file = tmp_path / reader.file
    file.write_bytes(finding.read_bytes())

    with suppress(CurationError):
        reader.call(file)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.slow
def test_the_first_valid_input_of_a_reader_is_read(tmp_path, name):
    reader = READERS[name]
    (tmp_path / reader.file).write_bytes(reader.seeds[0])

    reader.call(tmp_path / reader.file)


def test_the_corpus_is_small():
    assert 0 < sum(path.stat().st_size for path in FINDINGS) < 200_000


@pytest.mark.slow
def test_a_short_run_finds_nothing(tmp_path, capfd):
    with pytest.raises(SystemExit) as ended:
        main(["--inputs", str(INPUTS), "--guided", "0", "--keep", str(tmp_path)])

    said = capfd.readouterr()
    assert ended.value.code == 0, said.out + said.err
    assert "sum: " in said.out
