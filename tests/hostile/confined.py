"""Read hostile files in a process that dies where it would fill the memory or hang."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SECONDS = 10
"""Of processor time, no file may take longer; of the clock six times as much on a busy machine."""
MEMORY = 2**30
"""Bytes that the process may take on top of what it has when it begins."""

_ROOT = Path(__file__).parents[2]
_SCRIPT = """
import json, resource, signal, sys, time
from pipeline.shards.find import find_shards
from pipeline.shards.index import index, read

def use():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()

memory, seconds, *paths = sys.argv[1:]
limit = use() + int(memory)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in paths:
    signal.setitimer(signal.ITIMER_PROF, int(seconds))
    signal.alarm(6 * int(seconds))
    began = time.process_time()
    (shard,) = find_shards(path)
    found = index(shard)
    samples = read(shard, found.table)
    rows = [[s.row, s.key, s.fault, len(s.image or b"")] for s in samples]
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = [found.fault, found.table["key"].to_pylist(), rows, time.process_time() - began, peak]
    print(json.dumps(told), flush=True)
"""


@dataclass(frozen=True)
class Told:
    """What the readers say of one file."""

    fault: str | None
    """Of the shard."""
    keys: list[str]
    """Of the index."""
    rows: list[tuple[int, str, str | None, int]]
    """Number, key, fault and bytes of the picture, as read."""
    seconds: float
    peak_mib: int
    """Of the process, up to here."""

    @property
    def faults(self) -> dict[str, str | None]:
        """The fault of each row by its key."""
        return {key: fault for _, key, fault, _ in self.rows}


def read_confined(*paths: Path, memory: int = MEMORY, seconds: int = SECONDS) -> list[Told]:
    """Index and read files, one after the other, in one process with these limits.

    Fails where the process dies, an exception leaves the readers, or index and rows disagree.
    """
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(memory), str(seconds), *map(str, paths)],
        cwd=_ROOT,
        capture_output=True,
        check=False,
    )
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, (len(lines), done.returncode, done.stderr.decode()[-2000:])
    found = [
        Told(a, b, [(r, k, f, n) for r, k, f, n in c], d, e)
        for a, b, c, d, e in map(json.loads, lines)
    ]
    for told in found:
        assert [row[1] for row in told.rows] == told.keys
        assert [row[0] for row in told.rows] == list(range(len(told.keys)))
    return found
