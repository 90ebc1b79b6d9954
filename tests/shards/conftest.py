"""Small pictures and shards for the tests of storage formats."""

import io
import json
import tarfile
from collections.abc import Callable

import pyarrow as pa
import pytest
from PIL import Image

Members = list[tuple[str, bytes]]


def picture_bytes(seed: int = 0, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    color = (seed * 37 % 256, seed * 91 % 256, seed * 13 % 256)
    Image.new("RGB", (8 + seed % 5, 8), color).save(buffer, kind)
    return buffer.getvalue()


def tar_bytes(members: Members) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def sample_members(count: int) -> Members:
    members = []
    for number in range(count):
        key = f"{number:04d}"
        fields = {"url": f"https://example.org/{key}", "label": f"class {number % 3}"}
        members += [
            (f"{key}.jpg", picture_bytes(number)),
            (f"{key}.txt", f"caption of {key}".encode()),
            (f"{key}.json", json.dumps(fields).encode()),
        ]
    return members


@pytest.fixture
def picture() -> Callable[..., bytes]:
    return picture_bytes


@pytest.fixture
def make_tar() -> Callable[[Members], bytes]:
    return tar_bytes


@pytest.fixture
def make_members() -> Callable[[int], Members]:
    return sample_members


@pytest.fixture
def verdicts() -> Callable[[int], pa.Table]:
    def make(count: int) -> pa.Table:
        numbers = range(count)
        return pa.table(
            {
                "uid": pa.array(
                    [bytes([255 - number]) + bytes(14) + b"\x07" for number in numbers],
                    pa.binary(16),
                ),
                "key": [f"{number:04d}" for number in numbers],
                "shard": ["crawl/00000.tar"] * count,
                "action": ["keep" if number % 2 else "relabel" for number in numbers],
                "label": ["cat"] * count,
                "new_label": pa.array(
                    [None if n % 2 else "dog" for n in range(count)], pa.string()
                ),
                "weight": pa.array([0.5] * count, pa.float32()),
            }
        )

    return make


@pytest.fixture
def memory() -> str:
    """A folder of its own in the memory file system."""
    import fsspec

    fs = fsspec.filesystem("memory")
    if fs.exists("/test"):
        fs.rm("/test", recursive=True)
    return "memory://test"
