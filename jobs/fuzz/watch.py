"""What a reader must never do, seen by an audit hook of the interpreter."""

import os
import sys
from pathlib import Path
from types import CodeType
from typing import Any, Final

FORBIDDEN: Final = (
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"),
    *("pickle.find_class", "marshal.loads", "ctypes.dlopen", "os.putenv", "shutil.rmtree"),
    *("socket.connect", "socket.getaddrinfo", "socket.bind", "urllib.Request", "ftplib.connect"),
    *("os.symlink", "os.link", "os.chmod", "os.chown", "os.truncate", "webbrowser.open"),
)
CHANGES: Final = ("os.remove", "os.rename", "os.mkdir", "os.rmdir")
WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Collects what is done that must not be, once it is told to begin."""

    def __init__(self, inside: Path) -> None:
        self.seen: list[str] = []
        self.is_on = False
        self._inside = f"{inside.resolve()}/"
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.is_on and self._is_foul(event, args):
            self.seen.append(f"{event} {args!r}"[:300])

    def _is_foul(self, event: str, args: tuple[Any, ...]) -> bool:
        if event in FORBIDDEN:
            return not _is_import()
        if event == "open":
            is_written = isinstance(args[2], int) and args[2] & WRITING
            return bool(is_written) and not self._is_inside(args[0])
        if event in CHANGES:
            return not self._is_inside(args[0])
        if event == "exec" and isinstance(args[0], CodeType):
            return not Path(args[0].co_filename).is_file() and not _is_import()
        return False

    def _is_inside(self, path: Any) -> bool:
        if isinstance(path, int):
            return True  # an open file
        return os.path.abspath(os.fsdecode(path)).startswith((self._inside, "/dev/null"))


def _is_import() -> bool:
    """Return whether a module is being imported: libraries load parts of themselves late."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
