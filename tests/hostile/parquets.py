"""Parquet files byte by byte: footers and pages that no writer would write."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

MAGIC = b"PAR1"
BYTE_ARRAY, INT32 = 6, 1
CODES = {"none": 0, "snappy": 1, "gzip": 2, "zstd": 6}

Fields = dict[int, Any]
"""A struct of Thrift: number of a field -> `Narrow`, int, bytes, list or again such a dict."""


@dataclass(frozen=True)
class Narrow:
    """An integer of 32 bits; plain ones have 64."""

    value: int


def thrift(value: Any) -> bytes:
    """Return a value in Thrift's compact protocol."""
    if isinstance(value, Narrow | int):
        number = value.value if isinstance(value, Narrow) else value
        return varint((number << 1) ^ (number >> 63))
    if isinstance(value, bytes):
        return varint(len(value)) + value
    if isinstance(value, list):
        head = b"\xf0"[0] | kind(value[0]) if value else 0xFC
        return bytes([head]) + varint(len(value)) + b"".join(map(thrift, value))
    parts, last = [], 0
    for number, item in sorted(value.items()):
        parts += [bytes([(number - last) << 4 | kind(item)]), thrift(item)]
        last = number
    return b"".join(parts) + b"\0"


def kind(value: Any) -> int:
    """Return the code of a type."""
    return {Narrow: 5, int: 6, bytes: 8, list: 9, dict: 12}[type(value)]


def varint(number: int) -> bytes:
    """Return an unsigned number in groups of seven bits."""
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def leaf(name: str, physical: int = BYTE_ARRAY) -> Fields:
    """Return the schema of a required column."""
    return {1: Narrow(physical), 3: Narrow(0), 4: name.encode()}


def parent(name: str, num_children: int = 1) -> Fields:
    """Return the schema of a required group."""
    return {3: Narrow(0), 4: name.encode(), 5: Narrow(num_children)}


def page(data: bytes, num_values: int, codec: str = "none", **lies: int) -> bytes:
    """Return a data page; `whole` and `packed` are what its header says of its sizes."""
    packed = data if codec == "none" else pa.Codec(codec).compress(data, asbytes=True)
    head = {
        1: Narrow(0),
        2: Narrow(lies.get("whole", len(data))),
        3: Narrow(lies.get("packed", len(packed))),
        5: {1: Narrow(num_values), 2: Narrow(0), 3: Narrow(3), 4: Narrow(3)},
    }
    return thrift(head) + packed


def chunk(path: list[str], num_values: int, size: int, codec: str = "none", **lies: int) -> Fields:
    """Return the place of a column of a row group; `whole` and `offset` may lie."""
    meta = {
        1: Narrow(BYTE_ARRAY),
        2: [Narrow(0)],
        3: [name.encode() for name in path],
        4: Narrow(CODES[codec]),
        5: num_values,
        6: lies.get("whole", size),
        7: size,
        9: lies.get("offset", len(MAGIC)),
    }
    return {2: lies.get("offset", len(MAGIC)), 3: meta}


def group(chunks: list[Fields], num_rows: int) -> Fields:
    """Return a row group."""
    return {1: chunks, 2: 1, 3: num_rows}


def parquet(schema: list[Fields], groups: list[Fields], num_rows: int, pages: bytes = b"") -> bytes:
    """Return a file of one stretch of pages and a footer."""
    footer = thrift({1: Narrow(2), 2: schema, 3: num_rows, 4: groups})
    return MAGIC + pages + footer + len(footer).to_bytes(4, "little") + MAGIC


def one_column(pages: bytes, num_rows: int, codec: str = "none", **lies: int) -> bytes:
    """Return a file whose only column is `jpg`."""
    chunks = [chunk(["jpg"], lies.pop("values", num_rows), len(pages), codec, **lies)]
    return parquet([parent("schema"), leaf("jpg")], [group(chunks, num_rows)], num_rows, pages)


def plain(*values: bytes) -> bytes:
    """Return byte strings as a page holds them."""
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)
