"""What lies where: existence, versions, folders and globs of any fsspec store."""

import errno
from collections.abc import Callable
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from pipeline.shards.location import Stat, ask, canonical, join, resolve, shard_errors
from pipeline.shards.retry import is_transient, retried

WILDCARDS = "*?["


def exists(uri: str) -> bool:
    """Return whether a file or a folder lies at `uri`."""
    return _info(uri) is not None


def is_folder(uri: str) -> bool:
    """Return whether `uri` is a folder, or the common prefix of objects."""
    if is_web(uri):
        return False
    found = _info(uri)
    return found is not None and found["type"] == "directory"


def is_file(uri: str) -> bool:
    """Return whether `uri` is a file that can be read to its end: no folder, pipe or device."""
    found = _info(uri)
    return found is not None and found["type"] == "file"


def stat(uri: str) -> Stat:
    """Return the size and the version of a file."""
    fs, path = resolve(uri)
    return _stat(ask(uri, "look at it", fs.info, path))


def find_stat(uri: str) -> Stat | None:
    """Return the size and the version of a file, None where there is none."""
    found = _info(uri)
    return None if found is None else _stat(found)


def list_files(uri: str) -> list[str]:
    """Return the URIs of all files below a folder, sorted; an absent folder has none."""
    return sorted(list_stats(uri))


def list_stats(uri: str) -> dict[str, Stat]:
    """Return the version of every file below a folder, at any depth, by URI."""
    root = canonical(uri)
    fs, path = resolve(root)
    found = ask(uri, "list it", _empty_if_absent, fs.find, path, detail=True, **_strict(fs))
    return _by_uri(root, path, _followed(fs, found))


def list_folder(uri: str) -> tuple[dict[str, Stat], list[str]]:
    """Return the files directly in a folder with their versions, and the folders in it, sorted.

    Both are empty where the folder is absent, and on the web, which has files only.
    """
    if is_web(uri):
        return {}, []
    root = canonical(uri)
    fs, path = resolve(root)
    entries = ask(uri, "list it", _empty_if_absent, fs.ls, path, detail=True) or []
    inside = {entry["name"]: entry for entry in entries if entry["name"].rstrip("/") != path}
    found = _followed(fs, inside)
    folders = [name for name, entry in found.items() if entry["type"] == "directory"]
    names = sorted(join(root, _below(path, name)) for name in folders)
    return _by_uri(root, path, found), names


def glob(pattern: str) -> dict[str, Stat]:
    """Return the version of every file that a pattern with `*`, `?`, `[ab]` or `**` matches."""
    cut = min(pattern.index(sign) for sign in WILDCARDS if sign in pattern)
    head, slash, _ = pattern[:cut].rpartition("/")
    root = canonical(head + slash if slash else ".")
    fs, path = resolve(root)
    wanted = join(path, pattern[len(head) + len(slash) :])
    doing = "list what it matches"
    found = ask(pattern, doing, _empty_if_absent, fs.glob, wanted, detail=True, **_strict(fs))
    return _by_uri(root, path, _followed(fs, found))


def _info(uri: str) -> dict[str, Any] | None:
    """Return what a store tells of a file or a folder, None where there is none.

    The stores' own `exists` and `isdir` take any failure for absence.
    """
    fs, path = resolve(uri)
    with shard_errors(uri, "look for it"):
        try:
            return dict(retried(fs.info, path))
        except OSError as error:
            if not _is_absent(error):
                raise
    return None


def _is_absent(error: OSError) -> bool:
    kinds = (FileNotFoundError, NotADirectoryError)
    return isinstance(error, kinds) or error.errno in {errno.ENAMETOOLONG, errno.ELOOP}


def _empty_if_absent(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except OSError as error:
        if is_transient(error) or not _is_absent(error):
            raise
        return {}


def _followed(fs: Any, found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return entries with what a link leads to in place of the link; a broken link is left out."""
    links = [name for name, entry in found.items() if entry.get("islink")]
    behind = {name: ask(name, "follow it", _empty_if_absent, fs.info, name) for name in links}
    followed = {name: behind.get(name, entry) for name, entry in found.items()}
    return {name: entry for name, entry in followed.items() if entry}


def _strict(fs: Any) -> dict[str, str]:
    """Return the option that makes a walk over a disk fail where it cannot look."""
    return {"on_error": "raise"} if isinstance(fs, LocalFileSystem) else {}


def is_web(uri: str) -> bool:
    """Return whether a URI is a web address: the web has files, but no folders."""
    return uri.startswith(("http://", "https://"))


def _by_uri(root: str, path: str, found: dict[str, dict[str, Any]]) -> dict[str, Stat]:
    """Return the visible files among `found`, named below `root` as the user spelt it.

    Empty objects that stand for folders (`photos/`) are no files.
    """
    files = {
        _below(path, name): entry
        for name, entry in found.items()
        if entry["type"] == "file" and not name.endswith("/")
    }
    visible = (name for name in sorted(files) if not name.rpartition("/")[2].startswith("."))
    return {join(root, name): _stat(files[name]) for name in visible}


def _below(path: str, name: str) -> str:
    return name[len(path.rstrip("/")) :].strip("/")


def _stat(entry: dict[str, Any]) -> Stat:
    etag = entry.get("ETag") or entry.get("etag")
    if etag:
        return Stat(int(entry["size"]), str(etag).strip('"'))
    changed = entry.get("mtime") or entry.get("LastModified") or entry.get("created") or ""
    version = str(int(changed * 1e9)) if isinstance(changed, float) else str(changed)
    return Stat(int(entry["size"] or 0), version)
