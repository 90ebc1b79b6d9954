"""Valid inputs of every reader, from which the hostile ones are made."""

import io
import json
import tarfile
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy
from PIL import Image

FIELDS = {"label": "oak", "url": "https://example.org/1", "nested": {"größe": [1, None, 0.5]}}


def picture(kind: str = "JPEG", size: tuple[int, int] = (20, 16), **options: Any) -> bytes:
    """Return a small picture of a format."""
    random = np.random.default_rng(size[0])
    buffer = io.BytesIO()
    pixel = random.integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixel).save(buffer, kind, **options)
    return buffer.getvalue()


def pictures() -> list[bytes]:
    """Return pictures of every format that is opened, animated and interlaced ones among them."""
    plain = [picture(kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO")]
    frames = [Image.new(mode, (8, 8)) for mode in ("RGB", "L", "P")]
    moving = io.BytesIO()
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    modes = []
    for mode in ("1", "LA", "RGBA", "CMYK", "I;16", "F"):
        buffer = io.BytesIO()
        Image.new(mode, (9, 7)).save(buffer, "TIFF" if mode in ("CMYK", "F") else "PNG")
        modes.append(buffer.getvalue())
    return [*plain, moving.getvalue(), picture("JPEG", progressive=True), *modes]


def tars() -> list[bytes]:
    """Return a plain tar, one with PAX headers, and one of members that are no files."""
    return [tar(tarfile.USTAR_FORMAT), tar(tarfile.PAX_FORMAT), tar(tarfile.GNU_FORMAT), odd_tar()]


def tar(kind: int) -> bytes:
    """Return a tar of two samples in one of the formats."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as file:
        for name in ("0001", "ключ" if kind != tarfile.USTAR_FORMAT else "0002"):
            members = {
                "jpg": picture(),
                "txt": b" a caption\n",
                "json": json.dumps(FIELDS).encode(),
            }
            for extension, data in members.items():
                info = tarfile.TarInfo(f"{name}.{extension}")
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def odd_tar() -> bytes:
    """Return a tar of links, devices, climbing names and a repeated key."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        names = ("../../up.jpg", "/etc/passwd.jpg", "a.jpg", "b.jpg", "a.txt", "c" * 200 + ".jpg")
        kinds = (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.LNKTYPE)
        for at, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kinds[at % len(kinds)], "/etc/passwd"
            info.size = 3 if info.isreg() else 0
            file.addfile(info, io.BytesIO(b"abc") if info.isreg() else None)
    return buffer.getvalue()


def tables() -> list[bytes]:
    """Return parquet files: plain, of nested and of extreme values, and of no image."""
    image = [picture(), picture("PNG"), None]
    plain = {"key": ["a", "b", "c"], "jpg": image, "caption": ["x", None, "z"]}
    nested = {
        "image": [{"bytes": data, "path": "../x.png"} for data in image],
        "meta": [{"a": [{"b": [1, 2]}]}, None, {"a": []}],
        "text": [["one", "two"], [], None],
    }
    late = pa.array([2**62, -(2**62), None], pa.timestamp("ms"))
    odd = {
        "png": pa.array(image, pa.large_binary()),
        "when": late,
        "zone": pa.array([0, 1, None], pa.timestamp("us", "UTC")),
        "long": pa.array([timedelta(days=9), None, None], pa.duration("us")),
        "number": pa.array([Decimal("1.5"), None, None], pa.decimal128(38, 2)),
        "map": pa.array([[("k", 1), ("k", 2)], None, []], pa.map_(pa.string(), pa.int32())),
        "half": pa.array(np.array([1, np.nan, np.inf], np.float16)),
        "word": pa.array(["a", "b", "a"]).dictionary_encode(),
        "time": [datetime(2024, 1, 1, tzinfo=timezone.utc), None, None],
    }
    return [written(pa.table(table)) for table in (plain, nested, odd, {"caption": ["no image"]})]


def written(table: pa.Table) -> bytes:
    """Return a table as parquet."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="snappy")
    return sink.getvalue()


def sidecars() -> list[bytes]:
    """Return tables as img2dataset writes them beside a tar."""
    rows = {
        "key": ["0001", "0002", "0003"],
        "status": ["success", "failed_to_download", None],
        "caption": ["a", "b", None],
        "width": [20, None, None],
    }
    return [written(pa.table(rows)), written(pa.table({"key": [1, 2]}))]


def arrays() -> list[bytes]:
    """Return `.npy` files of several types and orders."""
    given = np.arange(24).reshape(6, 4)
    found = []
    for array in (given.astype("f2"), np.asfortranarray(given, "f4"), given.astype(">f8")):
        buffer = io.BytesIO()
        np.save(buffer, array)
        found.append(buffer.getvalue())
    return found


def archives() -> list[bytes]:
    """Return `.npz` files, stored and deflated."""
    found = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, image=np.ones((6, 4), np.float32), text=np.zeros(3))
        found.append(buffer.getvalue())
    return found


def states() -> list[bytes]:
    """Return safetensors files."""
    arrays = {"mean": np.ones((3, 4), np.float32), "count": np.arange(3), "half": np.ones(2, "f2")}
    return [safetensors.numpy.save(arrays), safetensors.numpy.save({"one": np.ones(1)})]
