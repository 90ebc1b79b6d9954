"""The parent of the fuzzing children: hears them, ends one that hangs, and starts one anew."""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HANG_S = 10.0
"""Processor time after which an input hangs."""
SILENT_S = 120.0
"""Time without a word after which a child hangs, whatever it does."""
START_S = 600.0
"""The same, until its first word."""
TICKS = os.sysconf("SC_CLK_TCK")
CANARY = "nobody may touch this"


@dataclass
class Result:
    """What came of one reader, fed in one way."""

    reader: str
    way: str
    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0
    crashes: dict[str, str] = field(default_factory=dict)
    hangs: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    peak_mb: float = 0.0

    def add(self, tally: dict[str, Any], seconds: float) -> None:
        """Add what one child has said at last."""
        self.inputs += tally["inputs"]
        self.refused += tally["refused"]
        self.crashes |= tally["crashes"]
        self.writes += tally["writes"]
        self.slowest_s = max(self.slowest_s, tally["slowest_s"])
        self.peak_mb = max(self.peak_mb, tally["peak_mb"])
        self.seconds += seconds

    def cells(self) -> list[str]:
        """Return the row of the table."""
        counts = [len(self.crashes), len(self.hangs), len(self.writes)]
        return [
            *(self.reader, self.way, f"{self.inputs:,}", f"{self.refused:,}"),
            *(f"{self.seconds:.0f}", *map(str, counts)),
            *(f"{self.slowest_s:.2f}", f"{self.peak_mb:.0f}"),
        ]

    def findings(self) -> list[str]:
        """Return a line for everything that must not be."""
        crashes = [f"crash: {place} ({file})" for place, file in self.crashes.items()]
        hangs = [f"hang: {file}" for file in self.hangs]
        return [*crashes, *hangs, *(f"forbidden: {act}" for act in self.writes)]


class Child:
    """One run of `jobs.fuzz.worker`."""

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.errors = (folder / "stderr").open("ab")
        command = [sys.executable, "-m", "jobs.fuzz.worker", json.dumps(job)]
        # without a buffer, so that no line waits in it unseen by `select`
        self.process = subprocess.Popen(
            command, bufsize=0, stdout=subprocess.PIPE, stderr=self.errors
        )
        self.heard = time.monotonic()
        self.used, self.has_spoken = 0.0, False

    def lines(self) -> Any:
        """Yield what the child says, and None at last if it had to be ended."""
        stdout: Any = self.process.stdout
        while True:
            if select.select([stdout], [], [], 1.0)[0]:
                line = stdout.readline()
                if not line:
                    return
                self.heard, self.used, self.has_spoken = time.monotonic(), self.cpu_s(), True
                if line.startswith(b"{"):  # atheris has words of its own
                    yield json.loads(line)
            elif self.hangs():
                self.process.kill()
                yield None
                return

    def hangs(self) -> bool:
        """Return whether the child works at one input for too long."""
        silent = time.monotonic() - self.heard
        if not self.has_spoken:
            return silent > START_S
        return silent > SILENT_S or self.cpu_s() - self.used > HANG_S

    def cpu_s(self) -> float:
        """Return the processor time of the child."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        except OSError:
            return self.used
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / TICKS

    def end(self) -> int:
        """Return the exit code."""
        self.process.kill()
        self.errors.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return self.process.wait()


def run(root: Path, way: str, seed: str, inputs: dict[str, int]) -> list[Result]:
    """Feed every reader its inputs, whatever dies on the way."""
    results = {name: Result(name, way) for name in inputs}
    left, round_ = dict(inputs), 0
    outside = root / "outside"
    outside.mkdir(parents=True, exist_ok=True)
    (outside / "canary").write_text(CANARY)
    while left:
        folder = root / f"{way}-{next(iter(left))}-{round_}"
        job = {"folder": str(folder), "seed": seed, "start": round_ * 10**6, "way": way}
        before = {name: result.inputs for name, result in results.items()}
        feed(folder, job | {"inputs": left}, results)
        done = {name: results[name].inputs - before[name] for name in left}
        left = {name: left[name] - done[name] for name in left if left[name] > done[name]}
        round_ += 1
        if not any(done.values()) and round_ > len(inputs) + 3:
            raise SystemExit(f"the children die before their first input: see {folder}/stderr")
    if sorted(p.name for p in outside.iterdir()) != ["canary"] or (
        (outside / "canary").read_text() != CANARY
    ):
        next(iter(results.values())).writes.append(f"something was written into {outside}")
    return list(results.values())


def feed(folder: Path, job: dict[str, Any], results: dict[str, Result]) -> None:
    """Run one child to its end and add what it says."""
    child, started = Child(folder, job), time.monotonic()
    tally: dict[str, Any] = {}
    is_hanging = False
    for line in child.lines():
        if line is None:
            is_hanging = True
        elif tally and line["reader"] != tally["reader"]:
            results[tally["reader"]].add(tally, time.monotonic() - started)
            print(*results[tally["reader"]].cells(), sep=" | ", file=sys.stderr, flush=True)
            started, tally = time.monotonic(), line
        else:
            tally = line
    code = child.end()
    name = tally["reader"] if tally else next(iter(job["inputs"]))
    if tally:
        results[name].add(tally, time.monotonic() - started)
    is_whole = tally.get("is_done") and name == list(job["inputs"])[-1]
    if is_hanging or not is_whole:
        blame(results[name], folder, code, is_hanging=is_hanging)


def blame(result: Result, folder: Path, code: int, *, is_hanging: bool) -> None:
    """Keep the input at which a child was ended or has died."""
    last = [path for path in (folder / result.reader).glob("*") if path.is_file()]
    kept = folder / "found" / f"last-{result.reader}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if last:
        shutil.copy(max(last, key=lambda path: path.stat().st_mtime), kept)
    if is_hanging:
        result.hangs.append(str(kept))
    else:
        result.crashes[f"the process died with {code}"] = str(kept)
    result.inputs += 1
