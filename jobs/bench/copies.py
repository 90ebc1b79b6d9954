"""Find planted copies among millions of pictures: how many are found, memory and time a picture.

    python -m jobs.bench copies --rows 1000000 3000000

Rows are drawn anew by every pass, so the memory is that of the cleaner. A tenth of the pictures
look like an earlier one (pHash two bits off), and a tenth mean the same; the others are alone.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from jobs.bench.processes import alone, peak
from pipeline.cleaners.dedup import Dedup
from pipeline.numeric.prototypes import unit
from pipeline.schema import IMAGE, LABEL, vector

FRAGMENT_ROWS = 10_000
NUM_DIMS = 64
SHIFT = np.repeat(np.float32([0.053, 0.01]), 1_000)[:, None]
"""Deviation of copies' vectors from their originals' in each dimension: cosines of .92 and .997."""
LOOKS, MEANS = slice(8_000, 9_000), slice(9_000, 10_000)
"""Rows of a fragment that copy the first of the fragment before, by look and by meaning."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the benchmark."""
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])


def report(sizes: list[int]) -> None:
    """Print what was found at each size, and what it cost."""
    for num_rows in sizes:
        print(alone(found, num_rows).line(), flush=True)


@dataclass(frozen=True)
class Found:
    """What one fit has found, and what it cost."""

    rows: int
    looks: float
    means: float
    """Shares of the planted copies that were found."""
    wrong: int
    """Rows that were called copies and are none."""
    row_bytes: float
    row_s: float

    def line(self) -> str:
        """Return the figures as text."""
        return (
            f"copies, {self.rows} pictures: found {self.looks:.3f} by look and {self.means:.3f} by "
            f"meaning, {self.wrong} wrong; {self.row_bytes:.0f} bytes and "
            f"{1e6 * self.row_s:.0f} us a picture"
        )


@dataclass(frozen=True)
class Drawn:
    """Rows that are made when they are looked at: of `contract.Rows`, what `dedup` asks for."""

    num_fragments: int
    columns: tuple[str, ...] = Dedup.reads

    def select(self, *columns: str) -> "Drawn":
        """Return the same rows with these columns only."""
        return replace(self, columns=columns)

    def reduce(self, partial: Callable[[pa.Table], Any], merge: Callable[[Any, Any], Any]) -> Any:
        """Return the statistic of all rows, merged from left to right."""
        fragments = (
            drawn(number).select(list(self.columns)) for number in range(self.num_fragments)
        )
        return reduce(merge, map(partial, fragments))


def drawn(number: int) -> pa.Table:
    """Return a fragment: the same one for the same number."""
    rng = np.random.default_rng([0, number])
    image = unit(rng.standard_normal((FRAGMENT_ROWS, NUM_DIMS), np.float32))
    phash = rng.integers(1, 2**64, FRAGMENT_ROWS, dtype=np.uint64)
    own = rng.integers(0, 2**64, FRAGMENT_ROWS, dtype=np.uint64)
    if number:
        before = np.random.default_rng([0, number - 1])
        original = unit(before.standard_normal((FRAGMENT_ROWS, NUM_DIMS), np.float32))
        looked = before.integers(1, 2**64, FRAGMENT_ROWS, dtype=np.uint64)
        shift = SHIFT * rng.standard_normal((2_000, NUM_DIMS), np.float32)
        image[8_000:] = unit(original[:2_000] + shift)
        phash[LOOKS] = looked[:1_000] ^ np.uint64(0b11 << 20)
    count = np.full(FRAGMENT_ROWS, 64)
    columns = {
        "uid": pa.array([name.tobytes().ljust(16, b"\0") for name in own], pa.binary(16)),
        "image_hash": pa.array(own),
        "phash": pa.array(phash),
        "shard": pa.array([f"{number:05d}.tar"] * FRAGMENT_ROWS),
        "row": pa.array(np.arange(FRAGMENT_ROWS)),
        "width": pa.array(count - (np.arange(FRAGMENT_ROWS) >= LOOKS.start)),  # a copy is smaller
        "height": pa.array(count),
        "caption": pa.array(["a thing"] * FRAGMENT_ROWS),
        IMAGE: pa.FixedSizeListArray.from_arrays(
            pa.array(image.astype(np.float16).ravel()), type=vector(NUM_DIMS)
        ),
        LABEL: pa.array(np.zeros(FRAGMENT_ROWS, np.int32)),
    }
    return pa.table(columns)


def found(num_rows: int) -> Found:
    """Find the copies of a corpus in this process."""
    rows = Drawn(num_rows // FRAGMENT_ROWS)
    before, started, cleaner = peak(), time.perf_counter(), Dedup()
    with threadpool_limits(1):
        state = cleaner.fit(rows)
    took, most = time.perf_counter() - started, peak()
    num_copies, looks, means, wrong = 0, 0, 0, 0
    for number in range(1, rows.num_fragments, max(rows.num_fragments // 10, 1)):
        is_copy = cleaner.score(state, drawn(number))["dedup.copy"].to_numpy() > 0
        num_copies += LOOKS.stop - LOOKS.start
        looks, means = looks + is_copy[LOOKS].sum(), means + is_copy[MEANS].sum()
        wrong += is_copy[: LOOKS.start].sum()
    return Found(
        rows=num_rows,
        looks=float(looks / num_copies),
        means=float(means / num_copies),
        wrong=int(wrong),
        row_bytes=(most - before) / num_rows,
        row_s=took / num_rows,
    )
