"""Write output shards: equal in size, numbered without gaps, and the same bytes every time."""

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract import Sample
from pipeline.shards import files
from pipeline.shards.carried import is_loadable
from pipeline.shards.manifest import (
    KEY,
    SIZES,
    UIDS,
    output_keys,
    rows_name,
    stats_name,
    tar_name,
)
from pipeline.shards.seal import sealed
from pipeline.shards.spool import Spool
from pipeline.shards.uids import write_uids

_REWRITTEN: Final = frozenset({"txt", "json"})
_VERDICT: Final = ("action", "label", "new_label", "weight")
_Told = tuple[str | None, Any]
"""Caption and URL of a sample."""


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
    samples: Iterable[tuple[int, Sample]],
    rows: pa.Table,
    plan_key: str = "",
    attach: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the tar, the table and, last of all, the stats of one output shard.

    The samples may come in any order; only one of them is held at a time.

    Parameters
    ----------
    base_uri
        Folder of the output.
    number
        Position of the shard in the output, from 0.
    samples
        Readable samples, each with its place in the shard from 0, every place once; their image
        bytes are written as they are.
    rows
        In output order; `uid`, `shard`, `action`, `label`, `new_label` and `weight` go to the
        `winnow` object of the json, all columns to the table.
    plan_key
        Goes into the stats: says which plan of the whole output the shard belongs to.
    attach
        More columns of `rows` that go into the `winnow` object, under their names.

    Returns
    -------
    What the stats file says: the number of the shard, counts and hashes of both files.
    """
    keys = output_keys(number, rows.num_rows)
    known = {name: _column(rows, name) for name in ("uid", *_VERDICT, "shard", *attach)}
    told: list[_Told] = [(None, None)] * rows.num_rows
    with Spool(rows.num_rows) as tar:
        for place, sample in samples:
            members = _members(sample, _verdict(known, place))
            tar.add(place, [(f"{keys[place]}.{extension}", data) for extension, data in members])
            told[place] = sample.caption, sample.fields.get("url") or sample.fields.get("URL")
        if tar.num_missing:
            raise ValueError(f"every row must have a sample, got none for {tar.num_missing}")
        tar_bytes, digest = tar.digest()
        files.write_parts(files.join(base_uri, tar_name(number)), tar)
    table = _parquet(_described(rows, keys, told))
    values = {
        "number": number,
        "plan": plan_key,
        "count": rows.num_rows,
        "successes": rows.num_rows,
        "actions": dict(sorted(Counter(map(str, _column(rows, "action"))).items())),
        "tar_bytes": tar_bytes,
        "tar_blake2b": digest,
        "rows_blake2b": blake2b(table, digest_size=16).hexdigest(),
    }
    stats = sealed(values)
    files.write(files.join(base_uri, rows_name(number)), table)
    files.write(files.join(base_uri, stats_name(number)), _json(stats))
    return stats


def write_index(
    base_uri: str, stats: Sequence[Mapping[str, Any]], earlier: Mapping[str, int] | None = None
) -> None:
    """Write `sizes.json` and `uids.npy` over all committed shards.

    Parameters
    ----------
    base_uri
        Folder of the output.
    stats
        Of every shard, in any order.
    earlier
        Number of samples by tar name of shards in other folders that are read together with these.

    Raises
    ------
    SchemaError
        If the table of a shard has no `uid`.
    """
    ordered = sorted(stats, key=lambda each: int(each["number"]))
    tables = [files.join(base_uri, rows_name(each["number"])) for each in ordered]
    write_uids(files.join(base_uri, UIDS), tables, sum(each["count"] for each in ordered))
    sizes = dict(earlier or {}) | {tar_name(each["number"]): each["count"] for each in ordered}
    files.write(files.join(base_uri, SIZES), _json(sizes))


def _verdict(known: Mapping[str, list[Any]], place: int) -> dict[str, Any]:
    """Return what the json of a sample says of it, given the columns of all rows."""
    verdict = {name: values[place] for name, values in known.items()}
    uid = verdict["uid"]
    verdict["uid"] = uid.hex() if isinstance(uid, bytes) else uid
    verdict["source_shard"] = verdict.pop("shard")
    return verdict


def _column(rows: pa.Table, name: str) -> list[Any]:
    return rows[name].to_pylist() if name in rows.column_names else [None] * rows.num_rows


def _members(sample: Sample, verdict: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the members of one output sample: image, txt, json, then the source's others."""
    if sample.image is None or sample.extension is None:
        raise ValueError(f"sample {sample.key!r} must have an image to be packed")
    yield sample.extension, sample.image
    text = sample.members.get("txt")
    if text is not None and is_loadable("txt", text):
        yield "txt", text
    elif sample.caption is not None:
        yield "txt", sample.caption.encode("utf-8", "replace")
    fields = {**sample.fields, "source_key": sample.key, "winnow": verdict}
    yield "json", _json(fields)
    for extension, data in sorted(sample.members.items()):
        if extension not in _REWRITTEN and is_loadable(extension, data):
            yield extension, data


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _described(rows: pa.Table, keys: list[str], told: Sequence[_Told]) -> pa.Table:
    """Return `rows` with the output key first, and with the caption and the URL if there is one."""
    table = rows.add_column(0, KEY, pa.array(keys, pa.string()))
    for name, values in zip(("caption", "url"), zip(*told, strict=True), strict=False):
        if name not in rows.column_names and any(value is not None for value in values):
            texts = [None if value is None else str(value) for value in values]
            table = table.append_column(name, pa.array(texts, pa.string()))
    return table


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
