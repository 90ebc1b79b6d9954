"""Open an output by the rules of OpenCLIP's loader, which skips what it cannot load in silence."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from pipeline.contract import Sample
from pipeline.errors import ShardError
from pipeline.shards import files
from pipeline.shards.carried import is_executed, is_loadable, is_picture
from pipeline.shards.fields import parse_object
from pipeline.shards.find import Shard
from pipeline.shards.listing import is_file, list_folder
from pipeline.shards.manifest import MANIFEST, SIZES, stats_name, tar_name
from pipeline.shards.webdataset import index, read

BATCH_ROWS = 1024
CHUNK_BYTES = 16 * 2**20
MAX_CLAIMS_BYTES = 256 * 2**20
"""Of a JSON file of the output; a million shards take a tenth."""
STEM = re.compile(r"\d{5,9}")
"""How a shard is called, without an extension."""
_JUDGED = frozenset({"txt", "json"})
"""Members that have faults of their own."""


@dataclass(frozen=True)
class Problem:
    """Something that a training job would skip or stumble over."""

    shard: str
    """Name of the file, without its folder."""
    key: str | None
    """Output key of the sample; None if the whole file is meant."""
    what: str
    """Kebab-case name of the problem."""
    detail: str


@dataclass(frozen=True)
class Checked:
    """What `check` found."""

    problems: tuple[Problem, ...]
    num_shards: int
    num_samples: int
    """Samples that OpenCLIP's loader would yield or skip, problems included."""

    @property
    def is_sound(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def check(output_uri: str, num_workers: int = 1, world_size: int = 1) -> Checked:
    """Return every problem that a training job would meet with the shards of an output.

    Parameters
    ----------
    output_uri
        Folder with `00000.tar`, `sizes.json` and their companions.
    num_workers, world_size
        Loader workers of each process, and processes: without resampling OpenCLIP needs a
        shard for each of them.

    Raises
    ------
    ShardError
        If the storage fails, or if the folder has no tar.
    """
    names = [uri.rpartition("/")[2] for uri in list_folder(output_uri)[0]]
    tars = [name for name in names if name.endswith(".tar")]
    if not tars:
        raise ShardError(f"{files.redact(output_uri)} must hold tars, got none; pack it first")
    counts: dict[str, int] = {}
    seen: Counter[str] = Counter()
    first = _first(output_uri)
    problems = list(_numbering(tars, num_workers * world_size, first))
    for name in tars:
        problems += _shard_problems(files.join(output_uri, name), seen, counts)
    earlier = {tar_name(number) for number in range(first)}
    for source, sizes in _claims(output_uri, tars):
        mine = {name: size for name, size in sizes.items() if name not in earlier}
        problems += _size_problems(source, mine, counts)
    return Checked(tuple(problems), len(tars), sum(counts.values()))


def _numbering(tars: list[str], num_readers: int, first: int) -> Iterator[Problem]:
    numbers = range(first, first + len(tars))
    for name in sorted({tar_name(number) for number in numbers} - set(tars)):
        yield Problem(name, None, "missing-shard", "shard numbers must have no gap; pack again")
    if len(tars) < num_readers:
        detail = f"{len(tars)} shards for {num_readers} workers in all: make smaller shards"
        yield Problem(SIZES, None, "too-few-shards", detail)


def _shard_problems(uri: str, seen: Counter[str], counts: dict[str, int]) -> Iterator[Problem]:
    name = uri.rpartition("/")[2]
    version = files.stat(uri)
    shard = Shard(uri, "webdataset", version.size, "", ((uri, version),))
    found = index(shard)
    counts[name] = found.table.num_rows
    if found.fault:
        yield Problem(name, None, found.fault, "the tar is damaged; pack it again")
    if not found.table.num_rows:
        yield Problem(name, None, "no-samples", "the tar has no sample")
    if _has_changed(uri):
        yield Problem(name, None, "changed-shard", "the tar is not the one that was packed")
    for start in range(0, found.table.num_rows, BATCH_ROWS):
        for sample in read(shard, found.table.slice(start, BATCH_ROWS), "txt"):
            seen[sample.key] += 1
            yield from (
                Problem(name, sample.key, what, detail)
                for what, detail in _sample_problems(sample, seen)
            )


def _has_changed(uri: str) -> bool:
    """Return whether the stats of a tar hold another hash than that of its bytes."""
    folder, _, name = uri.rpartition("/")
    said = _load(files.join(folder, _stats_of(name))).get("tar_blake2b")
    if said is None:
        return False
    digest = blake2b(digest_size=16)
    with files.open_read(uri) as source:
        while part := source.read(CHUNK_BYTES):
            digest.update(part)
    return bool(said != digest.hexdigest())


def _sample_problems(sample: Sample, seen: Counter[str]) -> Iterator[tuple[str, str]]:
    if seen[sample.key] > 1:
        yield "duplicate-key", "the key must be unique over the output"
    if sample.fault:
        yield sample.fault, "the loader skips the sample"
    if sample.caption == "":
        yield "empty-text", "the caption has no words"
    if sample.image and not sample.fault and not is_picture(sample.image):
        yield "undecodable-image", "PIL cannot decode the image"
    for extension, data in sample.members.items():
        if is_executed(extension):
            yield "executable-member", f"the loader may run what its {extension!r} member holds"
        elif extension not in _JUDGED and not is_loadable(extension, data):
            yield "undecodable-member", f"the loader skips the sample for its {extension!r} member"


def _first(output_uri: str) -> int:
    """Return the number of the first shard that the manifest lists for a folder.

    A night numbers on from the nights before it; a tier is listed by the output it is a part of.
    """
    folder, _, tier = files.canonical(output_uri).rpartition("/")
    for uri, prefix in ((output_uri, ""), (folder, f"{tier}/")):
        listed = _load(files.join(uri, MANIFEST)).get("shards")
        names = [*listed] if isinstance(listed, dict) else []
        stems = [name.removeprefix(prefix).removesuffix(".tar") for name in names]
        numbers = [int(stem) for stem in stems if STEM.fullmatch(stem)]
        if numbers:
            return min(numbers)
    return 0


def _claims(output_uri: str, tars: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of each file that says how many samples there are, and what it says."""
    yield SIZES, _load(files.join(output_uri, SIZES))
    stats = {name: _load(files.join(output_uri, _stats_of(name))) for name in tars}
    yield "its stats", {name: said["count"] for name, said in stats.items() if "count" in said}
    manifest = files.join(output_uri, MANIFEST)
    if files.exists(manifest):
        listed = _load(manifest).get("shards")
        yield MANIFEST, listed if isinstance(listed, dict) else {}


def _stats_of(name: str) -> str:
    stem = name.removesuffix(".tar")
    return stats_name(int(stem)) if stem.isdecimal() else stem + "_stats.json"


def _load(uri: str) -> dict[str, Any]:
    found = parse_object(files.read_bytes(uri, 0, MAX_CLAIMS_BYTES)) if is_file(uri) else None
    return found or {}


def _size_problems(
    source: str, sizes: Mapping[str, Any], counts: Mapping[str, int]
) -> Iterator[Problem]:
    for name, count in counts.items():
        if name not in sizes:
            yield Problem(name, None, "unlisted-shard", f"{source} does not list it")
        elif sizes[name] != count:
            detail = f"{source} says {sizes[name]} samples, the tar has {count}"
            yield Problem(name, None, "wrong-count", detail)
    for name in sorted(set(sizes) - set(counts)):
        yield Problem(name, None, "missing-shard", f"{source} lists it, the folder lacks it")
