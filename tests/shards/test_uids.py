import hashlib
import io
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.shards import uids
from pipeline.shards.uids import write_uids


def tables(folder, num_rows, num_tables=3):
    uid = [hashlib.blake2b(str(row).encode(), digest_size=16).digest() for row in range(num_rows)]
    paths = [str(folder / f"{number}.parquet") for number in range(num_tables)]
    for number, path in enumerate(paths):
        rows = pa.array(uid[number::num_tables], pa.binary(16))
        pq.write_table(pa.table({"uid": rows}), path)
    return paths, uid


@pytest.mark.parametrize("num_rows", [0, 1, 4, 1000])
@pytest.mark.parametrize("bucket_rows", [7, 300, 10_000])
def test_the_file_is_that_of_numpy_whatever_the_buckets(
    tmp_path, monkeypatch, num_rows, bucket_rows
):
    monkeypatch.setattr(uids, "BUCKET_ROWS", bucket_rows)
    paths, uid = tables(tmp_path, num_rows)

    write_uids(str(tmp_path / "uids.npy"), paths, num_rows)

    halves = np.frombuffer(b"".join(uid), ">u8").reshape(-1, 2)
    expected = np.empty(num_rows, "u8,u8")
    expected["f0"], expected["f1"] = halves[:, 0], halves[:, 1]
    buffer = io.BytesIO()
    np.save(buffer, np.sort(expected))
    assert (tmp_path / "uids.npy").read_bytes() == buffer.getvalue()


def test_uids_are_sorted_in_less_memory_than_they_take(tmp_path, monkeypatch):
    monkeypatch.setattr(uids, "BUCKET_ROWS", 2**10)
    paths, uid = tables(tmp_path, 60_000, 60)
    write_uids(str(tmp_path / "first.npy"), paths[:1], 1000)  # what is loaded once
    tracemalloc.start()
    write_uids(str(tmp_path / "uids.npy"), paths, len(uid))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 16 * len(uid)
