"""Listings of folders, each asked for once."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from pipeline.shards import listing
from pipeline.shards.location import Stat, canonical

Stats = Mapping[str, Stat]


class Folders:
    """The folders that a search has met."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Stats, frozenset[str]]] = {}
        self._canonical: dict[str, str] = {}

    def canonical(self, uri: str) -> str:
        """Return the canonical form of a URI: a pattern may name a million in one folder."""
        folder, _, base = uri.rpartition("/")
        if not folder or base in ("", ".", "..") or folder.endswith("/"):
            return canonical(uri)
        if folder not in self._canonical:
            self._canonical[folder] = canonical(folder)
        return f"{self._canonical[folder]}/{base}"

    def files(self, uri: str) -> Stats:
        """Return the files that lie directly in a folder."""
        return self.listed(uri)[0]

    def glob(self, pattern: str) -> Stats:
        """Return the files that a pattern matches; those of one folder out of its listing."""
        folder, _, base = pattern.rpartition("/")
        is_deep = "**" in base or any(sign in folder for sign in listing.WILDCARDS)
        if is_deep or not folder or listing.is_web(pattern):
            return listing.glob(pattern)
        inside = self.files(canonical(folder))
        return {u: stat for u, stat in inside.items() if fnmatchcase(u.rpartition("/")[2], base)}

    def lacks(self, uri: str) -> bool:
        """Return whether the listing of its folder shows that nothing visible lies at `uri`."""
        folder, _, name = uri.rpartition("/")
        if not folder.strip("/") or folder.endswith(":/") or name.startswith("."):
            return False
        files, folders = self.listed(folder)
        return bool(files or folders) and uri not in files and uri not in folders

    def listed(self, uri: str) -> tuple[Stats, frozenset[str]]:
        """Return the files with their versions and the folders that lie directly in a folder."""
        if uri not in self._known:
            files, folders = listing.list_folder(uri)
            self._known[uri] = files, frozenset(folders)
        return self._known[uri]
