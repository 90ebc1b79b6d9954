"""Find the shards that a recipe's patterns name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from braceexpand import braceexpand

from pipeline.errors import RecipeError
from pipeline.shards import listing
from pipeline.shards.folders import Folders, Stats
from pipeline.shards.location import Stat, canonical, redact, refuse_secrets
from pipeline.shards.sample import IMAGE_EXTENSIONS

Versions = tuple[tuple[str, Stat], ...]

_FORMATS = {"tar": "webdataset", "parquet": "parquet"}


@dataclass(frozen=True)
class Shard:
    """One source file, or one folder of images."""

    uri: str
    format: str
    """`webdataset`, `parquet` or `folder`."""
    size: int
    """Bytes of the file, or of all files of the folder."""
    identity: str
    """16 hex digits that change when the content may have changed."""
    versions: Versions = ()
    """The file, and the sidecar if there is one, as they were found; none of a folder."""


def find_shards(patterns: str | Sequence[str]) -> list[Shard]:
    """Return the shards that patterns name, sorted by URI, each once.

    Parameters
    ----------
    patterns
        Files, folders or globs on any fsspec store, with braces (`{00000..00099}.tar`), several
        joined by `::`. A folder stands for its tars; without tars for its parquet files; without
        those for its images, or for one shard per sub-folder with images.

    Raises
    ------
    RecipeError
        If a pattern matches nothing.
    """
    given = [patterns] if isinstance(patterns, str) else list(patterns)
    single = [part for pattern in given for part in pattern.split("::") if part]
    if not single:
        raise RecipeError(f"source {patterns!r} must name a file, a folder or a pattern")
    for pattern in single:
        refuse_secrets(pattern)
    folders = Folders()
    found = {shard.uri: shard for pattern in single for shard in _match(pattern, folders)}
    tars = {uri for uri in found if uri.endswith(".tar")}
    sidecars = {sidecar_uri(uri) for uri in tars}
    return [found[uri] for uri in sorted(found) if uri not in sidecars]


def expand(pattern: str) -> list[str]:
    """Return the files that a pattern with braces and wildcards names, sorted.

    Raises
    ------
    RecipeError
        If it names none.
    """
    names = _expanded(pattern)
    wild = [name for name in names if any(sign in name for sign in listing.WILDCARDS)]
    plain = [canonical(name) for name in names if name not in wild and listing.exists(name)]
    found = sorted({*plain, *(uri for name in wild for uri in listing.glob(name))})
    if not found:
        raise RecipeError(f"pattern {redact(pattern)!r} matches no file")
    return found


def sidecar_uri(tar_uri: str) -> str:
    """Return where img2dataset puts the parquet file of a tar."""
    return tar_uri.removesuffix(".tar") + ".parquet"


def _match(pattern: str, folders: Folders) -> list[Shard]:
    names = [pattern] if listing.exists(pattern) else _expanded(pattern)
    shards = [shard for name in names for shard in _shards_at(name, folders)]
    if not shards:
        raise RecipeError(_nothing(pattern, names))
    return shards


def _expanded(pattern: str) -> list[str]:
    try:
        return list(braceexpand(pattern))
    except ValueError as error:
        message = f"source {redact(pattern)!r} must close every brace that it opens"
        raise RecipeError(message) from error


def _shards_at(name: str, folders: Folders) -> list[Shard]:
    uri = folders.canonical(name)
    beside = folders.files(uri.rpartition("/")[0])
    if uri in beside:
        return _file_shards({uri: beside[uri]}, folders)
    if any(sign in name for sign in listing.WILDCARDS) and not listing.exists(name):
        return _file_shards(folders.glob(name), folders)
    if folders.lacks(uri):
        return []
    if listing.is_folder(uri):
        return _folder_shards(uri, folders)
    return _file_shards({uri: listing.stat(uri)}, folders) if listing.exists(uri) else []


def _file_shards(found: Stats, folders: Folders) -> list[Shard]:
    shards = []
    for uri, stat in found.items():
        kind = _FORMATS.get(_extension(uri))
        if kind is None:
            continue
        beside = sidecar_uri(uri)
        side = folders.files(uri.rpartition("/")[0]).get(beside) if kind == "webdataset" else None
        versions = ((uri, stat), (beside, side)) if side else ((uri, stat),)
        shards.append(Shard(uri, kind, stat.size, _identity(versions), versions))
    return shards


def _folder_shards(uri: str, folders: Folders) -> list[Shard]:
    found, subfolders = folders.listed(uri)
    for extension in _FORMATS:
        chosen = {name: stat for name, stat in found.items() if _extension(name) == extension}
        if chosen:
            return _file_shards(chosen, folders)
    if any(_extension(name) in IMAGE_EXTENSIONS for name in found):
        return [_image_folder(uri, listing.list_stats(uri))]
    contents = {name: listing.list_stats(name) for name in sorted(subfolders)}
    return [
        _image_folder(name, inside)
        for name, inside in contents.items()
        if any(_extension(file) in IMAGE_EXTENSIONS for file in inside)
    ]


def _image_folder(uri: str, inside: Stats) -> Shard:
    size = sum(stat.size for stat in inside.values())
    return Shard(uri, "folder", size, _identity(sorted(inside.items())))


def _identity(versions: Iterable[tuple[str, Stat]]) -> str:
    digest = blake2b(digest_size=8)
    for uri, stat in versions:
        digest.update(f"{uri}\0{stat.size}\0{stat.version}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _extension(uri: str) -> str:
    return uri.rpartition("/")[2].rpartition(".")[2].lower()


def _nothing(pattern: str, names: Sequence[str]) -> str:
    searched = canonical(names[0])
    parent = searched.rpartition("/")[0]
    while any(sign in parent for sign in "*?[{"):
        parent = parent.rpartition("/")[0]
    if not listing.exists(parent):
        hint = f"; {redact(parent)} does not exist: check the path"
    else:
        hint = "; a folder must hold them directly, use **/*.tar to look deeper"
    places = redact(searched) + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    return (
        f"source {redact(pattern)!r} must match tars, parquet files or images, got none; "
        f"looked for {places}{hint}"
    )
