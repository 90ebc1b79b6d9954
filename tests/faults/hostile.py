"""Pictures that make a damaged decoder die, hang or stop, and a crawl that holds them."""

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipeline.curate import curate
from pipeline.recipe import Recipe, parse_recipe

PLUGIN = '''
import ctypes, os, signal
from PIL import GifImagePlugin, Image

def once(name):
    try:
        os.close(os.open(os.environ["FAULTY_GIF"] + name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

def stop():
    os.kill(os.getpid(), signal.SIGSTOP)

def spin():
    while True:
        pass

FAULTS = {
    41: lambda: os._exit(0),
    42: lambda: ctypes.string_at(0),
    43: spin,
    44: stop,
    51: lambda: once("died") and os._exit(1),
    52: lambda: once("stopped") and stop(),
}

class FaultyGif(GifImagePlugin.GifImageFile):
    """A decoder with a bug: what it does depends on the width of the picture."""

    def load(self):
        FAULTS.get(self.width, lambda: None)()
        return super().load()

Image.register_open("GIF", FaultyGif, GifImagePlugin._accept)
'''
"""A `sitecustomize` of the processes that are to die, as a damaged Pillow would be."""

DIES, CRASHES, SPINS, STOPS, DIES_ONCE, STOPS_ONCE = 41, 42, 43, 44, 51, 52


def install(folder: Path) -> dict[str, str]:
    """Write the plugin and return the environment of a process that has it.

    What happens once leaves an empty file in `once`, below the folder.
    """
    (folder / "once").mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(PLUGIN)
    once = f"{folder / 'once'}/"
    return {"PYTHONPATH": str(folder), "FAULTY_GIF": once, "OMP_NUM_THREADS": "1"}


def gif(width: int) -> bytes:
    """Return a picture that a sound decoder reads."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, 40)).save(buffer, "GIF")
    return buffer.getvalue()


@dataclass(frozen=True)
class Trial:
    """One crawl, curated any number of times into workspaces of their own."""

    folder: Path
    crawl: Any
    write_tar: Callable[..., None]
    raw_recipe: Callable[..., dict[str, Any]]

    def plant(self, pictures: dict[str, bytes]) -> None:
        """Replace pictures; the shards look as if nobody had touched them."""
        shards: dict[str, dict[str, dict[str, bytes]]] = {}
        for key, members in self.crawl.members.items():
            changed = {"jpg": pictures[key]} if key in pictures else {}
            shards.setdefault(key.split("-")[0], {})[key] = members | changed
        for number, samples in shards.items():
            path = self.crawl.folder / f"000{number}.tar"
            self.write_tar(path, samples)
            os.utime(path, (1, 1))

    def recipe(self, **limits: float) -> Recipe:
        source = {"path": str(self.crawl.folder), "fragment_rows": 7}
        return parse_recipe(self.raw_recipe(source=source, limits=limits))

    def curate(self, engine: Any, name: str, track: Any, **limits: float) -> "Made":
        made = Made(self.folder / name)
        curate(self.recipe(**limits), str(made.workspace), str(made.output), engine, track)
        return made


@dataclass(frozen=True)
class Made:
    """What one run has left."""

    folder: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def tables(self, pattern: str, but: Any = ()) -> list[pa.Table]:
        """Return tables, without the rows of some keys."""
        found = [pq.read_table(path) for path in sorted(self.folder.glob(pattern))]
        return [t.filter([key not in but for key in t["key"].to_pylist()]) for t in found]

    def reasons(self) -> dict[str, list[str]]:
        """Return the reasons of every quarantined row, by its key."""
        rows = pa.concat_tables(self.tables("output/ledger/*.parquet")).to_pylist()
        return {row["key"]: row["reasons"] for row in rows if row["action"] == "quarantine"}

    def steps(self) -> dict[str, bytes]:
        """Return every file of the steps."""
        paths = (self.workspace / "steps").rglob("*.parquet")
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}

    def marks(self) -> list[Path]:
        """Return the marks of attempts that have not ended.

        What a killed writer has left under a temporary name is no mark.
        """
        found = (self.workspace / "attempts").rglob("*")
        return [path for path in found if path.is_file() and not path.name.startswith(".")]


def assert_only_lost(found: Made, harmless: Made, hostile: Any, published: Any) -> None:
    """Check that two runs differ in the hostile rows alone."""
    for pattern in ("workspace/steps/embed-*/*.parquet", "output/ledger/*.parquet"):
        ours, theirs = found.tables(pattern, hostile), harmless.tables(pattern, hostile)
        assert len(ours) == len(theirs) > 0
        assert all(one.equals(other) for one, other in zip(ours, theirs, strict=True))
    ours, theirs = published(found.output), published(harmless.output)
    assert ours.keys() == theirs.keys()
    assert {name for name in ours if ours[name] != theirs[name]} == {"ledger/00000.parquet"}
