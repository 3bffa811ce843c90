"""A full disk delays what was computed, and so does a store that was moved away; neither undoes it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from ..folders import FolderGone

T = TypeVar("T")

#: errors of a disk that has no room, and may have some later
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_RETRY = 0.5  # seconds


def wait_for_room(write: Callable[[], T], what: str, *, moved: bool = True) -> T:
    """What ``write`` gives, called again until the disk has room for it and (with ``moved``) the store is where it was. Stderr
    says once what waits; a cancel or a timeout ends the process, and so the wait. Every other OSError is the caller's."""
    told = False
    while True:
        try:
            return write()
        except OSError as error:
            if error.errno not in FULL and not (moved and isinstance(error, FolderGone)):
                raise
            if not told:
                until = f"{error.filename} is back" if isinstance(error, FolderGone) else "the disk has room"
                say(f"covalent: {what} waits until {until}: {error.strerror}")
                told = True
            time.sleep(_RETRY)


def say(text: str) -> None:
    """A line on stderr, which may lie on a full disk itself."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode(errors="replace"))
