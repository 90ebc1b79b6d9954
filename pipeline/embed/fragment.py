"""One fragment through the towers: samples -> arrays -> the table that is committed."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.contract import Sample
from pipeline.embed.decode import Picture, decode, stack
from pipeline.schema import EARLY, IMAGE, SAMPLE, TEXT, vector

if TYPE_CHECKING:
    from pipeline.embed.encoder import Encoder
    from pipeline.embed.frontend import Frontend


@dataclass(frozen=True)
class Prepared:
    """A fragment that waits for the encoder."""

    table: pa.Table
    """Columns of `schema.SAMPLE`, one row per sample."""
    pixel: NDArray[np.uint8]
    """`(m, height, width, 3)`: pictures of the rows without a fault."""
    token: NDArray[np.int32]
    """`(t, context)`: captions of the rows without a fault that have one."""


def prepare(shard: str, samples: Iterable[Sample], frontend: "Frontend") -> Prepared:
    """Decode, validate and tokenise the samples of one fragment.

    A sample that cannot be used becomes a row with a `fault`; none is lost.
    """
    rows, pictures, captions = [], [], []
    for sample in samples:
        decoded = sample.fault or decode(sample.image or b"", frontend)
        rows.append(describe(shard, sample, decoded))
        if isinstance(decoded, Picture):
            pictures.append(decoded)
            captions.append(well_formed(sample.caption or ""))
    written = [caption for caption in captions if caption.strip()]
    token, cut = frontend.tokens(written)
    mark_cut(rows, cut)
    return Prepared(pa.Table.from_pylist(rows, SAMPLE), stack(pictures), token)


def describe(shard: str, sample: Sample, decoded: Picture | str) -> dict[str, Any]:
    """Return the `schema.SAMPLE` row of a sample, given its picture or the fault."""
    image = sample.image or b""
    caption = None if sample.caption is None else well_formed(sample.caption)
    picture = decoded if isinstance(decoded, Picture) else None
    return {
        "uid": hashlib.blake2b(image + (caption or "").encode(), digest_size=16).digest(),
        "image_hash": int.from_bytes(hashlib.blake2b(image, digest_size=8).digest(), "little"),
        "phash": picture.phash if picture else None,
        "shard": shard,
        "row": sample.row,
        "key": sample.key,
        "caption": caption,
        "fields": well_formed(json.dumps(sample.fields, ensure_ascii=False, sort_keys=True)),
        "extension": sample.extension,
        "width": picture.width if picture else None,
        "height": picture.height if picture else None,
        "caption_cut": False,
        "fault": decoded if isinstance(decoded, str) else None,
    }


def well_formed(text: str) -> str:
    """Return a text without the half characters that JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def mark_cut(rows: list[dict[str, Any]], cut: NDArray[np.bool_]) -> None:
    """Write which captions were longer than the encoder's context into their rows."""
    written = [row for row in rows if row["fault"] is None and (row["caption"] or "").strip()]
    for row, was_cut in zip(written, cut, strict=True):
        row["caption_cut"] = bool(was_cut)


def embed(prepared: Prepared, encoder: "Encoder") -> pa.Table:
    """Return the table of a fragment with its vectors, null where a row has none."""
    table = prepared.table
    readable = np.array([fault is None for fault in table["fault"].to_pylist()], dtype=bool)
    captions = table["caption"].to_pylist()
    written = readable & np.array([bool((c or "").strip()) for c in captions], dtype=bool)
    image, early = encoder.image(prepared.pixel)
    table = table.append_column(IMAGE, scatter(image, readable))
    table = table.append_column(TEXT, scatter(encoder.text(prepared.token), written))
    return table.append_column(EARLY, scatter(early, readable))


def scatter(rows: NDArray[np.float16], where: NDArray[np.bool_]) -> pa.FixedSizeListArray:
    """Return a column of `len(where)` vectors: `rows` in order where true, else null."""
    dense = np.zeros((len(where), rows.shape[1]), np.float16)
    dense[where] = rows
    flat = pa.array(dense.reshape(-1))
    mask = pa.array(~where)
    return pa.FixedSizeListArray.from_arrays(flat, type=vector(rows.shape[1]), mask=mask)
