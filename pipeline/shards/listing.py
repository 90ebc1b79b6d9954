"""What lies where: existence, versions, folders and globs of any fsspec store."""

from typing import Any

from pipeline.shards.location import Stat, canonical, join, resolve, shard_errors

WILDCARDS = "*?["


def exists(uri: str) -> bool:
    """Return whether a file or a folder lies at `uri`."""
    fs, path = resolve(uri)
    with shard_errors(uri, "look for it"):
        return bool(fs.exists(path))


def is_folder(uri: str) -> bool:
    """Return whether `uri` is a folder, or the common prefix of objects."""
    if _is_web(uri):
        return False
    fs, path = resolve(uri)
    with shard_errors(uri, "look for it"):
        return bool(fs.isdir(path))


def stat(uri: str) -> Stat:
    """Return the size and the version of a file."""
    fs, path = resolve(uri)
    with shard_errors(uri, "look at it"):
        return _stat(fs.info(path))


def list_files(uri: str) -> list[str]:
    """Return the URIs of all files below a folder, sorted; an absent folder has none."""
    return sorted(list_stats(uri))


def list_stats(uri: str) -> dict[str, Stat]:
    """Return the version of every file below a folder, at any depth, by URI."""
    root = canonical(uri)
    fs, path = resolve(root)
    with shard_errors(uri, "list it"):
        found = fs.find(path, detail=True)
    return _by_uri(root, path, found)


def list_folder(uri: str) -> tuple[dict[str, Stat], list[str]]:
    """Return the files directly in a folder with their versions, and the folders in it, sorted.

    Both are empty where the folder is absent, and on the web, which has files only.
    """
    if _is_web(uri):
        return {}, []
    root = canonical(uri)
    fs, path = resolve(root)
    with shard_errors(uri, "list it"):
        try:
            entries = fs.ls(path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}, []
    found = {entry["name"]: entry for entry in entries if entry["name"].rstrip("/") != path}
    folders = [name for name, entry in found.items() if entry["type"] == "directory"]
    names = sorted(join(root, _below(path, name)) for name in folders)
    return _by_uri(root, path, found), names


def glob(pattern: str) -> dict[str, Stat]:
    """Return the version of every file that a pattern with `*`, `?`, `[ab]` or `**` matches."""
    cut = min(pattern.index(sign) for sign in WILDCARDS if sign in pattern)
    head, slash, _ = pattern[:cut].rpartition("/")
    root = canonical(head + slash if slash else ".")
    fs, path = resolve(root)
    tail = pattern[len(head) + len(slash) :]
    with shard_errors(pattern, "list what it matches"):
        found = fs.glob(join(path, tail), detail=True)
    return _by_uri(root, path, found)


def _is_web(uri: str) -> bool:
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
