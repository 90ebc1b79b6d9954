import io
import random
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.shards import spool
from pipeline.shards.spool import Spool

names = st.text("ab/é.", min_size=1, max_size=150)
members = st.lists(st.tuples(names, st.binary(max_size=1100)), min_size=1, max_size=3)


def by_tarfile(samples):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in [member for sample in samples for member in sample]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@given(st.lists(members, max_size=30), st.randoms())
def test_the_tar_is_the_one_of_tarfile_in_whatever_order_samples_come(samples, random):
    order = random.sample(range(len(samples)), len(samples))
    with Spool(len(samples)) as tar:
        for place in order:
            tar.add(place, samples[place])

        assert b"".join(tar) == by_tarfile(samples)
        assert b"".join(tar) == by_tarfile(samples)  # a second attempt of a write


def test_a_shard_larger_than_the_budget_is_not_held_in_memory(monkeypatch):
    monkeypatch.setattr(spool, "MEMORY_BYTES", 2**20)
    num, data = 160, random.Random(0).randbytes(2**17)
    order = random.Random(0).sample(range(num), num)
    tracemalloc.start()
    with Spool(num) as tar:
        for place in order:
            tar.add(place, [(f"{place:09d}.jpg", data)])

        num_bytes, _ = tar.digest()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert num_bytes > num * len(data)  # 20 MiB
    assert peak < 4 * 2**20


def test_a_place_is_given_once_and_none_is_forgotten():
    with Spool(2) as tar:
        tar.add(1, [("a.jpg", b"1")])

        assert tar.num_missing == 1
        with pytest.raises(ValueError, match="place 1 of the shard must be given once"):
            tar.add(1, [("a.jpg", b"1")])
