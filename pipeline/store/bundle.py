"""Many committed fragments in one file: what the steps of earlier nights are compacted into.

A bundle is the files of its fragments one after the other, and an index that says where each lies.
The index is written last and the files are deleted after it, so whoever is killed in between
leaves a fragment twice, never not at all; both say the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import accumulate, pairwise

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import SchemaError
from pipeline.shards import files

FOLDER = "bundles"
"""Of a step: its bundles and their indices."""
INDEX, DATA = ".json", ".bin"
MOST_BYTES = 512 * 2**20
"""Of one bundle: a store takes it in one piece."""

Places = Mapping[str, tuple[int, int]]
"""First byte and the one after the last, by fragment."""
_PLACES = TypeAdapter(dict[str, tuple[int, int]])


@dataclass(frozen=True)
class Bundles:
    """The bundles of one step, as this process has seen them last."""

    uri: str
    """Folder of the step."""

    @cached_property
    def places(self) -> Mapping[str, tuple[str, int, int]]:
        """Where each fragment lies: the file, the first byte and the one after the last."""
        found = files.list_files(files.join(self.uri, FOLDER))
        indices = [uri for uri in found if uri.endswith(INDEX)]
        return {
            name: (uri.removesuffix(INDEX) + DATA, *span)
            for uri in indices
            for name, span in load(uri).items()
        }

    def read(self, fragment: str) -> bytes | None:
        """Return the bytes of the file of a fragment, or None if no bundle has it."""
        place = self.places.get(fragment)
        return None if place is None else files.read_bytes(*place)


@lru_cache(maxsize=256)
def bundles(uri: str) -> Bundles:
    """Return the bundles of a step; what was bundled since is seen after `forget`."""
    return Bundles(uri)


def forget() -> None:
    """Look anew at what is bundled."""
    bundles.cache_clear()


def bundled(found: Iterable[str]) -> set[str]:
    """Return the fragments that the bundles among the files of a step hold."""
    indices = (uri for uri in found if f"/{FOLDER}/" in uri and uri.endswith(INDEX))
    return {name for uri in indices for name in load(uri)}


def load(uri: str) -> Places:
    """Return the index of a bundle.

    Raises
    ------
    SchemaError
        If it is damaged.
    """
    try:
        return _PLACES.validate_json(files.read_bytes(uri))
    except ValidationError as error:
        raise SchemaError(
            f"{files.redact(uri)} is damaged; put it back from a copy, or delete it and run again "
            "to make its fragments anew"
        ) from error


def bundle(uri: str, fragments: Sequence[str]) -> int:
    """Put the files of fragments into bundles and delete them; return how many there were."""
    names = [files.join(uri, f"{fragment}.parquet") for fragment in fragments]
    sizes = [files.stat(name).size for name in names]
    for start, stop in groups(sizes):
        spans = pairwise(accumulate(sizes[start:stop], initial=0))
        places = dict(zip(fragments[start:stop], spans, strict=True))
        index = _PLACES.dump_json(places)
        stem = files.join(uri, FOLDER, blake2b(index, digest_size=8).hexdigest())
        files.write_parts(stem + DATA, Joined(names[start:stop]))
        files.write(stem + INDEX, index)
        for name in names[start:stop]:
            files.remove(name)
    forget()
    return len(names)


def groups(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges of files that fit into one bundle, at least one file each.

    Examples
    --------
    >>> list(groups([MOST_BYTES // 2, MOST_BYTES // 2, 5, MOST_BYTES]))
    [(0, 2), (2, 3), (3, 4)]
    """
    start = total = 0
    for number, size in enumerate(sizes):
        if number > start and total + size > MOST_BYTES:
            yield start, number
            start, total = number, 0
        total += size
    if len(sizes) > start:
        yield start, len(sizes)


@dataclass(frozen=True)
class Joined:
    """The bytes of files one after the other, read anew every time."""

    uris: Sequence[str]

    def __iter__(self) -> Iterator[bytes]:
        return map(files.read_bytes, self.uris)
