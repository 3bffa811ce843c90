"""A full disk delays what was computed; it does not undo it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

#: errors of a disk that has no room, and may have some later
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_RETRY = 0.5  # seconds


def wait_for_room(write: Callable[[], T], what: str) -> T:
    """What ``write`` gives, called again until the disk has room for it. Stderr says once what waits; a cancel or a timeout
    ends the process, and so the wait. Every other OSError is the caller's."""
    told = False
    while True:
        try:
            return write()
        except OSError as error:
            if error.errno not in FULL:
                raise
            if not told:
                say(f"covalent: {what} waits until the disk has room: {error.strerror}")
                told = True
            time.sleep(_RETRY)


def say(text: str) -> None:
    """A line on stderr, which may lie on a full disk itself."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode(errors="replace"))
