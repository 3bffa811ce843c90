"""Named places where a test ends the process, to see that nothing is lost.

``crashpoint("commit.written")`` does nothing, unless the environment variable ``COVALENT_CRASHPOINTS`` named a folder when the
process started. Then every process of the store looks there for a file ``armed`` that reads ``<name> <n> <seconds>``:
the n-th pass of the point of that name, counted over all processes, renames it to ``fired`` and ends its process by
SIGKILL, at once or so many seconds later. It fires once; whoever starts next passes unharmed until it is armed again.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

VARIABLE = "COVALENT_CRASHPOINTS"


def _never(name: str) -> None:
    """What a crash point is, outside of tests."""


def watching(folder: Path) -> Callable[[str], None]:
    """A crash point that looks into the folder at every pass."""
    armed, passes, fired = folder / "armed", folder / "passes", folder / "fired"

    def crashpoint(name: str) -> None:
        try:
            wanted, nth, delay = armed.read_text().split()
        except (OSError, ValueError):
            return
        if wanted != name or not _is_nth(passes, int(nth)):
            return
        note = folder / f"victim-{os.getpid()}-{threading.get_ident()}"  # two threads may pass it at once
        note.write_text(f"{name} {os.getpid()}")
        try:
            os.rename(armed, note.with_suffix(".armed"))
        except FileNotFoundError:  # another process was quicker
            note.unlink()
            return
        os.rename(note, fired)
        if float(delay):
            threading.Thread(target=_die, args=(float(delay),), daemon=True).start()
        else:
            _die(0.0)

    return crashpoint


def _is_nth(passes: Path, nth: int) -> bool:
    """Whether this is the n-th pass or a later one."""
    fd = os.open(passes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, b".")
        return os.fstat(fd).st_size >= nth
    finally:
        os.close(fd)


def _die(delay: float) -> None:
    time.sleep(delay)
    os.kill(os.getpid(), signal.SIGKILL)


crashpoint: Callable[[str], None] = watching(Path(os.environ[VARIABLE])) if os.environ.get(VARIABLE) else _never
