"""Write output shards: equal in size, numbered without gaps, and the same bytes every time."""

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract import Sample
from pipeline.errors import SchemaError
from pipeline.shards import files
from pipeline.shards.manifest import (
    KEY,
    SIZES,
    UIDS,
    output_keys,
    rows_name,
    stats_name,
    tar_name,
)

_EXECUTABLE: Final = frozenset({"pyd", "pickle", "pth"})
"""WebDataset's loader unpickles these, so a crawl could run code in the training job."""
_REWRITTEN: Final = frozenset({"txt", "json"})
_VERDICT: Final = ("action", "label", "new_label", "weight")


def plan(num_rows: int, shard_rows: int) -> list[tuple[int, int]]:
    """Return the row ranges of contiguous output shards whose sizes differ by one at most.

    Parameters
    ----------
    num_rows
        Rows of the output.
    shard_rows
        Most rows of one shard, at least 1.

    Examples
    --------
    >>> plan(7, 3)
    [(0, 3), (3, 5), (5, 7)]
    """
    if shard_rows < 1:
        raise ValueError(f"shard_rows must be at least 1, got {shard_rows}")
    num_shards = -(-num_rows // shard_rows)
    size, rest = divmod(num_rows, num_shards) if num_shards else (0, 0)
    bounds = [number * size + min(number, rest) for number in range(num_shards + 1)]
    return list(pairwise(bounds))


def write_shard(
    base_uri: str,
    number: int,
    samples: Sequence[Sample],
    rows: pa.Table,
    plan_key: str = "",
    attach: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the tar, the table and, last of all, the stats of one output shard.

    Parameters
    ----------
    base_uri
        Folder of the output.
    number
        Position of the shard in the output, from 0.
    samples
        Readable samples in output order; their image bytes are written as they are.
    rows
        Aligned with `samples`; `uid`, `shard`, `action`, `label`, `new_label` and `weight` go to
        the `winnow` object of the json, all columns to the table.
    plan_key
        Goes into the stats: says which plan of the whole output the shard belongs to.
    attach
        More columns of `rows` that go into the `winnow` object, under their names.

    Returns
    -------
    What the stats file says: the number of the shard, counts and a hash of the tar.
    """
    if len(samples) != rows.num_rows:
        raise ValueError(f"samples ({len(samples)}) and rows ({rows.num_rows}) must align")
    keys = output_keys(number, len(samples))
    tar = _tar(keys, samples, list(_verdicts(rows, attach)))
    stats = {
        "number": number,
        "plan": plan_key,
        "count": len(samples),
        "successes": len(samples),
        "actions": dict(sorted(Counter(map(str, _column(rows, "action"))).items())),
        "tar_bytes": len(tar),
        "tar_blake2b": blake2b(tar, digest_size=16).hexdigest(),
    }
    files.write(files.join(base_uri, tar_name(number)), tar)
    files.write(files.join(base_uri, rows_name(number)), _parquet(_described(rows, keys, samples)))
    files.write(files.join(base_uri, stats_name(number)), _json(stats))
    return stats


def write_index(base_uri: str, stats: Sequence[Mapping[str, Any]]) -> None:
    """Write `sizes.json` and `uids.npy` over all committed shards.

    Raises
    ------
    SchemaError
        If the table of a shard has no `uid`.
    """
    ordered = sorted(stats, key=lambda each: int(each["number"]))
    tables = [files.join(base_uri, rows_name(each["number"])) for each in ordered]
    halves = np.concatenate([np.empty((0, 2), ">u8"), *map(_uid_halves, tables)])
    uids = np.empty(len(halves), dtype="u8,u8")
    uids["f0"], uids["f1"] = halves[:, 0], halves[:, 1]
    uids.sort()
    buffer = io.BytesIO()
    np.save(buffer, uids, allow_pickle=False)
    files.write(files.join(base_uri, UIDS), buffer.getvalue())
    sizes = {tar_name(each["number"]): each["count"] for each in ordered}
    files.write(files.join(base_uri, SIZES), _json(sizes))


def _uid_halves(uri: str) -> np.ndarray[Any, np.dtype[np.uint64]]:
    with files.open_read(uri) as source:
        file = pq.ParquetFile(source)
        if "uid" not in file.schema_arrow.names:
            raise SchemaError(f"{files.redact(uri)} must have the column 'uid'; pack it again")
        uid = b"".join(file.read(["uid"])["uid"].to_pylist())
    return np.frombuffer(uid, ">u8").reshape(-1, 2)


def _tar(
    keys: Sequence[str], samples: Sequence[Sample], verdicts: Sequence[dict[str, Any]]
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for key, sample, verdict in zip(keys, samples, verdicts, strict=True):
            for extension, data in _members(sample, verdict):
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _verdicts(rows: pa.Table, attach: Sequence[str]) -> Iterator[dict[str, Any]]:
    columns = {name: _column(rows, name) for name in ("uid", *_VERDICT, "shard", *attach)}
    for values in zip(*columns.values(), strict=True):
        verdict = dict(zip(columns, values, strict=True))
        uid = verdict["uid"]
        verdict["uid"] = uid.hex() if isinstance(uid, bytes) else uid
        verdict["source_shard"] = verdict.pop("shard")
        yield verdict


def _column(rows: pa.Table, name: str) -> list[Any]:
    return rows[name].to_pylist() if name in rows.column_names else [None] * rows.num_rows


def _members(sample: Sample, verdict: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the members of one output sample: image, txt, json, then the source's others."""
    if sample.image is None or sample.extension is None:
        raise ValueError(f"sample {sample.key!r} must have an image to be packed")
    yield sample.extension, sample.image
    if "txt" in sample.members:
        yield "txt", sample.members["txt"]
    elif sample.caption is not None:
        yield "txt", sample.caption.encode("utf-8", "replace")
    fields = {**sample.fields, "source_key": sample.key, "winnow": verdict}
    yield "json", _json(fields)
    for extension, data in sorted(sample.members.items()):
        if extension not in _REWRITTEN and _is_loadable(extension, data):
            yield extension, data


def _is_loadable(extension: str, data: bytes) -> bool:
    """Return whether a training job can load a member: a word as `cls` would lose the sample."""
    last = extension.rpartition(".")[2]
    if last == "cls":
        return data.strip().isdigit()
    return last not in _EXECUTABLE


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _described(rows: pa.Table, keys: list[str], samples: Sequence[Sample]) -> pa.Table:
    """Return `rows` with the output key first, and with the caption and the URL if there is one."""
    table = rows.add_column(0, KEY, pa.array(keys, pa.string()))
    urls = [sample.fields.get("url") or sample.fields.get("URL") for sample in samples]
    added = {"caption": [sample.caption for sample in samples], "url": urls}
    for name, values in added.items():
        if name not in rows.column_names and any(value is not None for value in values):
            texts = [None if value is None else str(value) for value in values]
            table = table.append_column(name, pa.array(texts, pa.string()))
    return table


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
