"""One publisher at a time: the lease of an output.

Every attempt to write an output creates a file in its folder `_lease`, under the next number. A
store lets only one process create a file, so the numbers are given out one by one, and the highest
is the only one that counts: taking over is creating the next. While the holder lives it rewrites
its file with a new beat; whoever finds a beat that stands still for the lease time, by its own
clock, takes over. The former holder, should it come back, finds the higher number before it
changes anything.

The lease lies in the output and not in a workspace, since the output is what two runs can spoil,
from two workspaces as well; the files of a workspace are named by what they hold.

What is left open: a process that stands still for the whole lease time between its last look and
its write. A store without compare-and-swap cannot stop that write. An attempt of the same run
writes the same bytes; what one of another run writes differs from the hashes in the manifest.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timezone

from pipeline.errors import LeaseError, ShardError
from pipeline.shards import files
from pipeline.store.fence import Fence, attempt_uri, attempts, described, latest
from pipeline.store.holder import Holder, Process, parse
from pipeline.store.run import Run

LEASE_S = 60.0
"""Seconds without a beat after which a holder is taken for dead."""
BEATS = 6
"""Beats in a lease time: some may fail or come late."""
NOTE = "lease"
"""Name of the note in the workspace that says where the lease is."""
LOOKS = 60
"""Times that a waiting run looks at the holder in a lease time."""

_log = logging.getLogger(__name__)


@contextmanager
def hold(run: Run, output: str, lease_s: float = LEASE_S) -> Iterator[Fence]:
    """Hold the lease of an output inside the block, and release it after, whatever happens.

    Parameters
    ----------
    run
        Who asks; its notes tell the number of the attempt.
    output
        Folder of the output.
    lease_s
        Seconds without a sign of life after which others may take over, above 0.

    Raises
    ------
    LeaseError
        If another run holds it and is alive.
    """
    holder = take(output, run.id, lease_s)
    fence = Fence(output, holder.attempt)
    run.note(NOTE, {"output": output, "attempt": holder.attempt})
    ended = threading.Event()
    heart = threading.Thread(target=beat, args=(output, holder, ended), daemon=True)
    heart.start()
    try:
        yield fence
    finally:
        ended.set()
        heart.join()
        release(fence, holder)


def take(output: str, run: str, lease_s: float) -> Holder:
    """Make the next attempt to write an output, once the last one has ended or is dead."""
    while True:
        attempt, data = latest(output)
        if attempt:
            await_end(output, attempt, data)
        now = datetime.now(timezone.utc)
        holder = Holder(attempt + 1, run, Process.current(), now, lease_s)
        if enter(output, holder):
            return holder


def enter(output: str, holder: Holder) -> bool:
    """Create the file of an attempt; return whether the attempt is the latest one.

    It is not if somebody was faster, even where that attempt has been tidied up since.
    """
    if not files.create(attempt_uri(output, holder.attempt), holder.encoded()):
        return False
    found = attempts(output)
    for attempt in [attempt for attempt in found if attempt < holder.attempt]:
        files.remove(found[attempt])
    return max(found) == holder.attempt


def await_end(output: str, attempt: int, data: bytes) -> None:
    """Return once an attempt is known to have ended.

    Raises
    ------
    LeaseError
        If it goes on.
    """
    holder = parse(data)
    if has_ended(holder):
        return
    lease_s = holder.lease_s if holder else LEASE_S
    who = f"output {files.redact(output)} is held by attempt {attempt} ({holder or 'illegible'})"
    _log.warning("%s: waiting up to %g s for a sign of life", who, lease_s)
    is_due, started = False, time.monotonic()
    while not is_due:
        is_due = time.monotonic() - started > lease_s  # and one more look after that
        time.sleep(lease_s / LOOKS)
        if latest(output) != (attempt, data):
            require_end(output)
            return
        if has_ended(holder):
            return
    _log.warning("%s, who has given no sign of life for %g s: taken over", who, lease_s)


def require_end(output: str) -> None:
    """Raise a LeaseError unless the latest attempt to write an output has ended."""
    if not has_ended(parse(latest(output)[1])):
        raise LeaseError(
            f"output {files.redact(output)} is being written by {described(output)}; "
            "wait until it has ended, or stop it, then run again"
        )


def has_ended(holder: Holder | None) -> bool:
    """Return whether a holder has released the lease, or is seen to be dead."""
    return holder is not None and (not holder.is_held or holder.process.is_gone)


def beat(output: str, holder: Holder, ended: threading.Event) -> None:
    """Show that the holder lives, until it has ended."""
    uri = attempt_uri(output, holder.attempt)
    while not ended.wait(holder.lease_s / BEATS):
        holder = replace(holder, beat=holder.beat + 1)
        with suppress(ShardError):  # the next beat may come through
            files.write(uri, holder.encoded())


def release(fence: Fence, holder: Holder) -> None:
    """Give the lease back; one that cannot be given back expires by itself."""
    with suppress(ShardError):
        if fence.is_valid:
            ended = replace(holder, is_held=False)
            files.write(attempt_uri(fence.output, fence.attempt), ended.encoded())
