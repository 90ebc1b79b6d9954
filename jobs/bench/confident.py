"""Confident learning end to end, beside a 5-fold logistic regression and cleanlab.

    python -m jobs.bench confident --rows 100000 1000000 3000000 --classes 1000 --dims 512

The corpus is planted and lies on disk in fragments. Every run is a process of its own, so that
its peak memory is its own. Both sides start from embeddings and end with flags: the probabilities
are part of the time. cleanlab gets the first `--subsample` rows, and its time a row is compared.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.bench.processes import alone, peak
from pipeline.cleaners.columns import labels, vectors
from pipeline.cleaners.confident import Confident
from pipeline.cleaners.probe import Probe
from pipeline.contract import Classes
from pipeline.numeric.prototypes import unit
from pipeline.schema import IMAGE, LABEL, vector

FRAGMENT_ROWS = 8192
NOISE, SPREAD, KINSHIP, TO_SISTER = 0.2, 0.2, 0.8, 0.5
"""Share of wrong labels, deviation of a row, cosine of sisters, wrong labels that are theirs."""
Statistic = TypeVar("Statistic")


LEAST_ROWS = 20
"""Rows a class that cleanlab gets at least: five folds must each have every class."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the benchmark."""
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--dims", type=int, default=512)
    parser.add_argument("--subsample", type=int, default=20_000, help="rows that cleanlab gets")


def report(sizes: list[int], num_classes: int, num_dims: int, subsample: int) -> None:
    """Print time and memory of both sides."""
    if subsample < LEAST_ROWS * num_classes:
        least = LEAST_ROWS * num_classes
        raise SystemExit(f"--subsample must be {least} or more for {num_classes} classes")
    with tempfile.TemporaryDirectory() as folder:
        largest = max(*sizes, subsample)
        alone(plant, Path(folder), largest, num_classes, num_dims)
        print(f"confident: {num_classes} classes, {num_dims} dimensions, {NOISE:.0%} wrong labels")
        theirs = alone(run_cleanlab, Path(folder), subsample, num_classes)
        print(theirs.line("logistic regression and cleanlab"))
        for num_rows in sizes:
            ours = alone(run_winnow, Path(folder), num_rows, num_classes)
            ratio = theirs.row_seconds / ours.row_seconds
            print(f"{ours.line('probe and confident')}, {ratio:.1f} times as fast a row")


@dataclass
class Run:
    """What one process measured."""

    rows: int
    seconds: dict[str, float] = field(default_factory=dict)
    base_bytes: int = 0
    """Memory of the process before the run: imports."""
    peak_bytes: int = 0
    precision: float = 0.0
    recall: float = 0.0

    @property
    def row_seconds(self) -> float:
        """Seconds a row."""
        return sum(self.seconds.values()) / self.rows

    def line(self, what: str) -> str:
        """Return the figures as a line."""
        steps = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in self.seconds.items())
        return (
            f"{what}, {self.rows} rows: {1e6 * self.row_seconds:.0f} us a row ({steps}), "
            f"peak {self.peak_bytes / 2**30:.2f} GiB ({self.base_bytes / 2**30:.2f} before), "
            f"precision {self.precision:.3f}, recall {self.recall:.3f}"
        )

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add a step."""
        started = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - started

    def judge(self, flag: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> None:
        """Add how right the flags are."""
        self.precision = float((flag & wrong).sum() / max(flag.sum(), 1))
        self.recall = float((flag & wrong).sum() / max(wrong.sum(), 1))


@dataclass(frozen=True)
class Files:
    """Rows on disk, read anew by every pass: one fragment is in memory at a time."""

    fragments: tuple[tuple[Path, ...], ...]
    """The files of each fragment: the same rows, other columns."""
    classes: Classes
    columns: tuple[str, ...] | None = None

    def select(self, *columns: str) -> "Files":
        """Return the same rows with these columns only."""
        return replace(self, columns=columns)

    def map(self, score: Callable[[Any, pa.Table], pa.Table], state: Any) -> "Files":
        """Refuse: neither cleaner adds columns while it fits."""
        raise NotImplementedError

    def reduce(
        self,
        partial: Callable[[pa.Table], Statistic],
        merge: Callable[[Statistic, Statistic], Statistic],
    ) -> Statistic:
        """Return the statistic of all rows, merged from left to right."""
        return reduce(merge, map(partial, self))

    def __iter__(self) -> Iterator[pa.Table]:
        for fragment in self.fragments:
            columns: dict[str, Any] = {}
            for file in map(pq.ParquetFile, fragment):
                names = [n for n in file.schema_arrow.names if n in (self.columns or (n,))]
                part = file.read(names)
                columns |= {name: part[name] for name in names}
            yield pa.table({name: columns[name] for name in self.columns or columns})


def write(table: pa.Table, file: Path) -> None:
    """Write one fragment."""
    pq.write_table(table, file, compression="NONE", use_dictionary=False)


def plant(folder: Path, num_rows: int, num_classes: int, num_dims: int) -> None:
    """Write a corpus: classes in pairs of sisters, half of the wrong labels are the sister's."""
    centre = unit(np.random.default_rng(0).normal(size=(num_classes, num_dims)))
    own = np.sqrt(1.0 - KINSHIP**2) * centre[1::2]
    centre[1::2] = KINSHIP * centre[: 2 * len(own) : 2] + own
    for index, start in enumerate(range(0, num_rows, FRAGMENT_ROWS)):
        size = min(FRAGMENT_ROWS, num_rows - start)
        rng = np.random.default_rng([1, index])
        true = rng.integers(0, num_classes, size)
        spread = rng.standard_normal((size, num_dims), np.float32) * np.float32(SPREAD)
        image = unit(centre[true].astype(np.float32) + spread).astype(np.float16)
        sister = np.minimum(true ^ 1, num_classes - 1)
        near = rng.random(size) < TO_SISTER
        other = np.where(near, sister, rng.integers(0, num_classes, size))
        label = np.where(rng.random(size) < NOISE, other, true)
        uid = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(16), size, [None, pa.py_buffer(rng.bytes(16 * size))]
        )
        hashed = rng.integers(0, 2**63, size, np.uint64)
        names = ("uid", "image_hash", IMAGE, LABEL, "true")
        rows = pa.FixedSizeListArray.from_arrays(pa.array(image.ravel()), type=vector(num_dims))
        columns = (uid, hashed, rows, pa.array(label, pa.int32()))
        table = pa.table(dict(zip(names, (*columns, true), strict=True)))
        write(table, folder / f"{index:06}.parquet")


def stored(folder: Path, num_rows: int, num_classes: int) -> Files:
    """Return the first rows of the corpus, in whole fragments."""
    files = sorted(folder.glob("*.parquet"))[: -(-num_rows // FRAGMENT_ROWS)]
    names = tuple(f"class {c}" for c in range(num_classes))
    classes = Classes(name=names, embedding=np.zeros((num_classes, 1), np.float32))
    return Files(tuple((file,) for file in files), classes)


def run_winnow(folder: Path, num_rows: int, num_classes: int) -> Run:
    """Fit and score `probe`, store its columns, fit and score `confident`."""
    rows, probe, confident = stored(folder, num_rows, num_classes), Probe(), Confident()
    run = Run(num_rows, base_bytes=peak())
    with run.timed("probe fit"):
        probed = probe.fit(rows)
    with run.timed("probe score"):
        for (file,), table in zip(rows.fragments, rows.select(*probe.reads), strict=True):
            added = probe.score(probed, table)
            write(added, file.with_suffix(".probe"))
    both = tuple((file, file.with_suffix(".probe")) for (file,) in rows.fragments)
    rows = replace(rows, fragments=both)
    with run.timed("confident fit"):
        learned = confident.fit(rows)
    with run.timed("confident score"):
        parts = [confident.score(learned, table) for table in rows.select(*confident.reads)]
    flag = np.concatenate([part["confident.flag"].to_numpy() for part in parts])
    run.peak_bytes, run.rows = peak(), len(flag)
    run.judge(flag, np.concatenate([labels(t) != t["true"].to_numpy() for t in rows]))
    return run


def run_cleanlab(folder: Path, num_rows: int, num_classes: int) -> Run:
    """Find label issues from out-of-fold probabilities of a logistic regression."""
    # imported here, so that the other runs do not pay for them in memory
    from cleanlab.filter import find_label_issues
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    table = pa.concat_tables(stored(folder, num_rows, num_classes)).slice(0, num_rows)
    image, label = vectors(table, IMAGE)[0], labels(table)
    run = Run(num_rows, base_bytes=peak())
    with run.timed("probabilities"):
        model = LogisticRegression(C=10.0, max_iter=100)
        share = cross_val_predict(model, image, label, cv=5, method="predict_proba")
    with run.timed("cleanlab"):
        flag = find_label_issues(label, share, n_jobs=1)
    run.peak_bytes = peak()
    run.judge(flag, label != table["true"].to_numpy())
    return run
