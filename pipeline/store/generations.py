"""The growing output of nights: a folder a night, an index that training reads, and the latest.

`index.json` and `latest.json` follow from the records of the nights and are written whole, so a
reader sees those of one moment; whoever is killed before writing them leaves it to the next run.
"""

import json
from collections.abc import Sequence
from typing import Any

from pipeline.shards import files
from pipeline.shards.manifest import MANIFEST, MARK, REPORT, SIZES, shard_name, tar_name
from pipeline.store.nights import Night
from pipeline.store.place import Place

INDEX = "index.json"
"""Every night that stands, and how to read them all as one corpus."""
LATEST = "latest.json"
"""The night that was published last."""


def place_of(output: str, name: str, history: Sequence[Night]) -> Place:
    """Return where a night goes that follows others."""
    earlier = {tar: count for night in history for tar, count in night.sizes.items()}
    return Place(files.join(output, name), len(earlier), earlier)


def announce(output: str, standing: Sequence[Night]) -> None:
    """Write the index of the nights that stand, in order, and the latest of them."""
    files.write(files.join(output, MARK), b"")
    entries = [entry(night) for night in standing]
    index = {
        "nights": entries,
        "rows": sum(each["rows"] for each in entries),
        "shards": sum(each["shards"] for each in entries),
        "train_data": [each["pattern"] for each in reversed(entries) if each["shards"]],
    }
    files.write(files.join(output, INDEX), encoded(index))
    if entries:
        files.write(files.join(output, LATEST), encoded(entries[-1] | {"position": len(entries)}))


def entry(night: Night) -> dict[str, Any]:
    """Return what the index says of a night; paths are relative to the output."""
    return {
        "night": night.name,
        "pattern": pattern(night),
        "shards": len(night.sizes),
        "rows": sum(night.sizes.values()),
        "actions": dict(sorted(night.actions.items())),
        "replaces": night.replaces,
        "manifest": f"{night.name}/{MANIFEST}",
        "report": f"{night.name}/{REPORT}",
        "sizes": f"{night.name}/{SIZES}",
        "why": list(night.why),
    }


def pattern(night: Night) -> str:
    """Return the brace pattern of the shards of a night, relative to the output.

    Examples
    --------
    >>> night = Night(name="a", recipe="", space="", fragment_rows=1, shards=(), first=7,
    ...               sizes={"00007.tar": 2, "00008.tar": 2})
    >>> pattern(night)
    'a/{00007..00008}.tar'
    """
    last = night.first + len(night.sizes) - 1
    if last <= night.first:
        return f"{night.name}/{tar_name(night.first)}"
    return f"{night.name}/{{{shard_name(night.first)}..{shard_name(last)}}}.tar"


def train_data(output: str, index: dict[str, Any]) -> str:
    """Return what OpenCLIP takes as `--train-data` for all nights of an index.

    The latest night comes first: its sizes list the shards of all.
    """
    return "::".join(files.join(output, each) for each in index["train_data"])


def encoded(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, indent=1, sort_keys=True).encode()
