"""How fast stored vectors are read: the type that the workspace uses against fixed-size binary."""

import io
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.embed.fragment import scatter

ROWS, DIMS, REPEATS = 16_384, 512, 7


def report() -> None:
    """Print the read speed of both types."""
    vector = np.random.default_rng(0).standard_normal((ROWS, DIMS)).astype(np.float16)
    lists = scatter(vector, np.ones(ROWS, bool))
    buffer = pa.py_buffer(vector.tobytes())
    binary = pa.Array.from_buffers(pa.binary(2 * DIMS), ROWS, [None, buffer])
    for name, column in (("FixedSizeList<float16>", lists), ("fixed-size binary", binary)):
        print(f"storage {name}: read {speed(column):.2f} GB/s of {ROWS} x {DIMS} float16")


def speed(column: pa.Array) -> float:
    """Return GB/s of reading a one-column Parquet file into an array of numbers."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"v": column}), sink, compression="NONE", use_dictionary=False)
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        read = pq.read_table(io.BytesIO(sink.getvalue()))["v"].combine_chunks()
        flat = read.flatten() if pa.types.is_fixed_size_list(read.type) else read
        np.frombuffer(flat.buffers()[1], np.float16).sum()
        times.append(time.perf_counter() - started)
    return 2e-9 * ROWS * DIMS / float(np.median(times))
