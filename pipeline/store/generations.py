"""The growing output of nights: a folder a night, an index that training reads, and the latest.

`index.json` and `latest.json` follow from the records of the nights and are written whole, so a
reader sees those of one moment; whoever is killed before writing them leaves it to the next run.
"""

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from pipeline.shards import files
from pipeline.shards.manifest import MANIFEST, MARK, REPORT
from pipeline.store.nights import Night
from pipeline.store.place import Place

INDEX = "index.json"
"""Every night that stands, and how to read them all as one corpus."""
ALL = "all"
"""What the index calls the shards of an output without tiers."""
LATEST = "latest.json"
"""The night that was published last."""


def place_of(output: str, name: str, history: Sequence[Night]) -> Place:
    """Return where a night goes that follows others."""
    earlier = {
        tar.rpartition("/")[2]: count for night in history for tar, count in night.sizes.items()
    }
    return Place(files.join(output, name), len(earlier), earlier)


def announce(output: str, standing: Sequence[Night]) -> None:
    """Write the index of the nights that stand, in order, and the latest of them."""
    files.write(files.join(output, MARK), b"")
    entries = [entry(night) for night in standing]
    tiers = dict.fromkeys(tier for each in entries for tier in each["patterns"])
    index = {
        "nights": entries,
        "rows": sum(each["rows"] for each in entries),
        "shards": sum(each["shards"] for each in entries),
        "train_data": {
            tier: [e["patterns"][tier] for e in reversed(entries) if tier in e["patterns"]]
            for tier in tiers
        },
    }
    files.write(files.join(output, INDEX), encoded(index))
    if entries:
        files.write(files.join(output, LATEST), encoded(entries[-1] | {"position": len(entries)}))


def entry(night: Night) -> dict[str, Any]:
    """Return what the index says of a night; paths are relative to the output."""
    return {
        "night": night.name,
        "patterns": patterns(night),
        "shards": len(night.sizes),
        "rows": sum(night.sizes.values()),
        "actions": dict(sorted(night.actions.items())),
        "replaces": night.replaces,
        "manifest": f"{night.name}/{MANIFEST}",
        "report": f"{night.name}/{REPORT}",
        "why": list(night.why),
    }


def patterns(night: Night) -> dict[str, str]:
    """Return the brace pattern of the shards of a night by tier, relative to the output.

    Examples
    --------
    >>> night = Night(name="a", recipe="", space="", fragment_rows=1, shards=(),
    ...               sizes={"clean/00007.tar": 2, "clean/00008.tar": 2, "relabelled/00009.tar": 1})
    >>> patterns(night)
    {'clean': 'a/clean/{00007..00008}.tar', 'relabelled': 'a/relabelled/00009.tar'}
    """
    tars: dict[str, list[str]] = {}
    for path in sorted(night.sizes, key=lambda path: (len(path), path)):
        tier, _, tar = path.rpartition("/")
        tars.setdefault(tier or ALL, []).append(tar.removesuffix(".tar"))
    found = {}
    for tier, stems in sorted(tars.items()):
        folder = [night.name, *([tier] if tier != ALL else [])]
        found[tier] = "/".join([*folder, f"{braced(stems)}.tar"])
    return found


def braced(stems: Sequence[str]) -> str:
    """Return the brace pattern of rising numbers, apart where they get longer: `{}` pads them.

    Examples
    --------
    >>> braced(["00007"]), braced(["00007", "00008"]), braced(["99998", "99999", "100000"])
    ('00007', '{00007..00008}', '{{99998..99999},100000}')
    """
    runs = [list(run) for _, run in groupby(stems, key=len)]
    parts = [run[0] if len(run) == 1 else f"{{{run[0]}..{run[-1]}}}" for run in runs]
    return parts[0] if len(parts) == 1 else f"{{{','.join(parts)}}}"


def train_data(output: str, index: dict[str, Any]) -> dict[str, str]:
    """Return what OpenCLIP takes as `--train-data` for all nights of an index, tier by tier.

    The latest night comes first: its sizes list the shards of all.
    """
    return {
        tier: "::".join(files.join(output, each) for each in found)
        for tier, found in index["train_data"].items()
    }


def encoded(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, indent=1, sort_keys=True).encode()
