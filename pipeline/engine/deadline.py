"""A dead man's switch: the kernel kills this process if it is not done in time."""

import ctypes
import faulthandler
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class _Event(ctypes.Structure):
    """`struct sigevent` of `signal.h`."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),  # 0: send the signal to the process
        ("padding", ctypes.c_int * 12),
    )


class _Time(ctypes.Structure):
    """`struct itimerspec` of `time.h`."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Kill this process with SIGKILL if the block takes longer than `seconds`.

    On Linux the kernel does it: an endless loop in C that holds the interpreter's lock, a dead
    read and a process that SIGSTOP has halted end all the same. A thread could do the first two at
    best. Where there are no such timers (macOS), a thread is what there is.
    Blocks may be nested and may run in several threads; a child process does not inherit them.
    """
    if not sys.platform.startswith("linux"):
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
        return
    timer = _start(seconds)
    try:
        yield
    finally:
        ctypes.CDLL(None).timer_delete(timer)


def _start(seconds: float) -> ctypes.c_void_p:
    library = ctypes.CDLL(None, use_errno=True)
    timer = ctypes.c_void_p()
    event = _Event(signal=signal.SIGKILL)
    clock = time.CLOCK_MONOTONIC
    if library.timer_create(clock, ctypes.byref(event), ctypes.byref(timer)):
        raise OSError(ctypes.get_errno(), "timer_create")
    whole = int(seconds)
    expires = _Time(0, 0, whole, max(int((seconds - whole) * 1e9), 1))
    if library.timer_settime(timer, 0, ctypes.byref(expires), None):
        raise OSError(ctypes.get_errno(), "timer_settime")
    return timer
