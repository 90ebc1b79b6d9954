"""What the fuzzer has found stays found: every reader takes its old findings, and fresh inputs."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from jobs.fuzz.readers import READERS
from pipeline.errors import CurationError

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
FINDINGS = sorted(path for path in CORPUS.rglob("*") if path.is_file())
INPUTS = int(os.environ.get("WINNOW_FUZZ_INPUTS", "2000"))
"""How many inputs the short run has; `make soak` sets more."""


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
def test_a_short_run_finds_nothing(tmp_path):
    guided = os.environ.get("WINNOW_FUZZ_GUIDED", "0")
    options = ["--inputs", str(INPUTS), "--guided", guided, "--keep", str(tmp_path)]
    command = [sys.executable, "-m", "jobs.fuzz", *options]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "sum: " in ended.stdout
