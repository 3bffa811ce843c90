"""The page of memory that a pool shares with one runner: what runs, since when, and how far it is.

The pool reads it without the runner's help, so that a runner stuck in C code is seen as well.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import tempfile
from typing import Any

import msgspec

SIZE = 8192
_NOW = struct.Struct("<qdq")  # number of the task or -1, monotonic start, the number again
_DROPPED = struct.Struct("<qq")  # bytes cut off live logs by the pool, where holes cannot be punched
_NOTE = struct.Struct("<qqI")  # how often a note was written, number of its task, length of its JSON
_WAITS = 36  # bytes of a dispatch's id
_AT_NOW, _AT_LEAVES, _AT_DROPPED, _AT_WAITS, _AT_NOTE = 0, 32, 64, 88, 128
_AT_TEXT = _AT_NOTE + _NOTE.size
NOTE_LIMIT = SIZE - _AT_TEXT
#: what the running electron leaves when it is stopped: nothing; something; it is about to store that
NOTHING, SOMETHING, STORING = range(3)


def make_page() -> int:
    """A file descriptor of a new page."""
    if sys.platform.startswith("linux"):
        fd = os.memfd_create("covalent-page", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, SIZE)
    return fd


class Page:
    """One side's view of the page behind ``fd``."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, SIZE)
        self._notes = 0
        self._number = -1
        self._told = False

    def close(self) -> None:
        self._map.close()

    # written by the runner

    def begin(self, number: int, monotonic: float) -> None:
        self._number = number
        if self._told:  # what was noted of the task before is over
            self._told = False
            _NOTE.pack_into(self._map, _AT_NOTE, self._notes, -1, 0)
        self._map[_AT_LEAVES] = NOTHING
        self.wait_for("")
        _NOW.pack_into(self._map, _AT_NOW, number, monotonic, number)

    def idle(self) -> None:
        _NOW.pack_into(self._map, _AT_NOW, -1, 0.0, -1)

    def note(self, values: dict[str, Any]) -> None:
        """Leave the state of a progress bar or of reports for the pool; too large a note is left out."""
        text = msgspec.json.encode(values)
        if len(text) > NOTE_LIMIT:
            return
        self._notes += 1
        self._told = True
        self._map[_AT_TEXT : _AT_TEXT + len(text)] = text
        _NOTE.pack_into(self._map, _AT_NOTE, self._notes, self._number, len(text))

    def leave(self, stage: int) -> None:
        """Tell the pool that the electron hands something out if it is told to stop, or that it is doing so."""
        self._map[_AT_LEAVES] = stage

    def wait_for(self, dispatch_id: str) -> None:
        """Tell the pool that the electron waits for a dispatch, or for none any more."""
        self._map[_AT_WAITS : _AT_WAITS + _WAITS] = dispatch_id.encode()[:_WAITS].ljust(_WAITS, b"\0")

    # read by the pool

    def waits_for(self) -> str:
        """The dispatch for which the electron waits at this moment, or ""."""
        return self._map[_AT_WAITS : _AT_WAITS + _WAITS].rstrip(b"\0").decode("ascii", "replace")

    def leaves(self) -> int:
        """NOTHING, SOMETHING or STORING."""
        return self._map[_AT_LEAVES]

    def running(self) -> tuple[int, float]:
        """Number of the running task and its start on the monotonic clock; number -1 when none runs."""
        number, started, again = _NOW.unpack_from(self._map, _AT_NOW)
        return (number, started) if number == again else (-1, 0.0)

    def noted(self, seen: int, number: int) -> tuple[int, dict[str, Any]]:
        """The newest note if it is of task ``number`` and not the one that was ``seen``, else ``(seen, {})``."""
        count, task, length = _NOTE.unpack_from(self._map, _AT_NOTE)
        if count == seen or task != number:
            return seen, {}
        try:
            return count, msgspec.json.decode(self._map[_AT_TEXT : _AT_TEXT + min(length, NOTE_LIMIT)])
        except msgspec.DecodeError:  # read while it was written: the next look sees it whole
            return seen, {}

    # written by the pool, read by both

    def drop(self, out: int, err: int) -> None:
        _DROPPED.pack_into(self._map, _AT_DROPPED, out, err)

    def dropped(self) -> tuple[int, int]:
        out, err = _DROPPED.unpack_from(self._map, _AT_DROPPED)
        return out, err
