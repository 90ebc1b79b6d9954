"""Names and types of the columns that steps hand to each other.

Two rules hold everywhere:

* a score is a float32 in [0, 1] and **higher is more suspect**;
* `null` means that the cleaner abstains on the row, NaN is a programming error.

A column `<cleaner>.confidence` is no score: it is the probability of `<cleaner>.prediction`.
"""

from typing import Final

import pyarrow as pa

FORMAT_VERSION: Final = 3
"""Part of every step key: raise it when the meaning of a stored column changes."""

SAMPLE: Final = pa.schema(
    [
        pa.field("uid", pa.binary(16), metadata={"is": "128 bits of the hash of image and text"}),
        pa.field("image_hash", pa.uint64(), metadata={"is": "hash of the image bytes alone"}),
        pa.field("phash", pa.uint64(), metadata={"is": "what the picture looks like, or null"}),
        pa.field("shard", pa.string(), metadata={"is": "URI of the source shard"}),
        pa.field("row", pa.int32(), metadata={"is": "position of the sample in its shard"}),
        pa.field("key", pa.string(), metadata={"is": "the source's own key"}),
        pa.field("caption", pa.string()),
        pa.field("fields", pa.string(), metadata={"is": "every other source field, as JSON"}),
        pa.field("extension", pa.string(), metadata={"is": "image format as jpg, png or webp"}),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("caption_cut", pa.bool_(), metadata={"is": "longer than the encoder's context"}),
        pa.field("fault", pa.string(), metadata={"is": "why the row is quarantined, or null"}),
    ]
)
"""What the read stage says of one sample, before its vectors."""

IMAGE: Final = "embedding.image"
"""Unit image vector; null for a quarantined row."""
TEXT: Final = "embedding.text"
"""Unit text vector; null where there is no caption."""
EARLY: Final = "embedding.early"
"""Pooled activation of an early block of the image tower; null if the encoder has none."""

LABEL: Final = "label"
"""int32 index of the web label in the class file; null where a row has none."""
LABEL_TEXT: Final = "label.text"
"""The label as it was crawled, several joined by `SEPARATOR`; null where a row has none."""
SEPARATOR: Final = "|"
CANDIDATES: Final = "label.candidates"
"""list<int32>, rising: one of these labels is right; null where a row has none, or the corpus."""
CLAIMED: Final = "label.claimed"
"""list<int32>, rising: each of these labels is claimed; null as candidates are."""
MAX_LABELS: Final = 32
"""More candidates, or claims, say next to nothing: such a row has no label."""
ANSWERED: Final = "label.answered"
"""Whether the label is an answer of a teacher that `ask` has asked, and no web label."""

OPTIONAL: Final = {CANDIDATES: pa.list_(pa.int32()), CLAIMED: pa.list_(pa.int32())}
"""Columns that only some recipes store, and their types: null everywhere else."""

ACTIONS: Final = ("keep", "relabel", "drop", "quarantine")
"""What the policy can say of a row; only the read stage quarantines."""

LEDGER: Final = pa.schema(
    [
        ("uid", pa.binary(16)),
        ("key", pa.string()),
        ("shard", pa.string()),
        ("row", pa.int32()),
        ("extension", pa.string()),
        ("action", pa.string()),
        ("label", pa.string()),
        ("new_label", pa.string()),
        ("weight", pa.float32()),
        ("reasons", pa.list_(pa.string())),
    ]
)
"""One row per input row; the score columns of the cleaners follow."""


def is_score(field: pa.Field) -> bool:
    """Say whether a column is a score: float32, named `<cleaner>.<what>`, higher more suspect."""
    is_number = "." in field.name and field.type == pa.float32()
    return is_number and not field.name.endswith(".confidence")


def is_ledgered(field: pa.Field) -> bool:
    """Say whether a cleaner's column stands in the ledger: lists are for other cleaners alone."""
    return not pa.types.is_nested(field.type)


def vector(num_dims: int) -> pa.DataType:
    """Return the Arrow type of a stored vector: `FixedSizeList<float16>[num_dims]`."""
    return pa.list_(pa.float16(), num_dims)
