"""What an electron printed and displayed, in order, in the shape of a notebook's outputs.

Displays were recorded with the number of bytes that had been printed before them (see ``worker.displays``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from ..errors import InvalidRequest

_CURSOR = re.compile(r"(\d{1,15})-(\d{1,15})-(\d{1,15})")


class Display(Struct):
    """One line of the file of displays."""

    out: int = 0
    err: int = 0
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    id: str = ""
    update: bool = False
    clear: bool = False


_decode = msgspec.json.Decoder(Display).decode


class Cursor(NamedTuple):
    """How far a reader is: bytes of stdout, of stderr, and of the displays."""

    out: int = 0
    err: int = 0
    shown: int = 0

    def __str__(self) -> str:
        return f"{self.out}-{self.err}-{self.shown}"


def parse_cursor(text: str) -> Cursor:
    """The cursor that an earlier answer gave; the beginning for ``""``."""
    if not text:
        return Cursor()
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"after: {text[:60]!r} is no place that an answer gave as next")
    return Cursor(*map(int, found.groups()))


class Source(NamedTuple):
    """One stream: what it has now, and pieces of it by offset."""

    size: int
    read: Callable[[int, int], bytes]


def source_of_text(text: str) -> Source:
    data = text.encode("utf-8", "surrogateescape")
    return Source(len(data), lambda at, limit: data[at : at + limit])


def source_of_file(path: os.PathLike[str], read: Callable[[os.PathLike[str], int, int], bytes]) -> Source:
    try:
        size = os.path.getsize(path)
    except OSError:
        size = 0
    return Source(size, lambda at, limit: read(path, at, limit))


def outputs_after(
    cursor: Cursor, out: Source, err: Source, shown: Callable[[], Source], limit: int
) -> tuple[list[dict[str, Any]], Cursor]:
    """What came after ``cursor``, at most about ``limit`` bytes of each stream, and the next cursor; blocks.

    The sizes of the streams are known before the displays are read: so whatever was displayed before something that
    is given here was printed, is given as well.
    """
    printed = _Printed(cursor, out, err, limit)
    found: list[dict[str, Any]] = []
    at = cursor.shown
    source = shown()
    data = source.read(at, limit)
    if b"\n" not in data and source.size > at + len(data):  # one display that is larger than the limit
        data = source.read(at, source.size - at)
    for line in data.split(b"\n")[:-1]:
        display = _display(line)
        if display is None:
            at += len(line) + 1
            continue
        if not printed.up_to(display.out, display.err, found):
            return found, Cursor(printed.at[0], printed.at[1], at)
        found.append(_shape(display))
        at += len(line) + 1
    if source.size <= at or b"\n" not in data:
        printed.up_to(out.size, err.size, found)
    return found, Cursor(printed.at[0], printed.at[1], at)


def _display(line: bytes) -> Display | None:
    """What a line tells; None of one that is broken, or of which only the end was read: the file that a running electron
    writes becomes the next one's."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class _Printed:
    """The two streams as they are read on."""

    def __init__(self, cursor: Cursor, out: Source, err: Source, limit: int) -> None:
        self.at = [cursor.out, cursor.err]
        self._sources = (out, err)
        self._left = [limit, limit]

    def up_to(self, out: int, err: int, found: list[dict[str, Any]]) -> bool:
        """Add what was printed up to these places; False if the limit was reached before."""
        for number, end in enumerate((out, err)):
            source = self._sources[number]
            end = min(end, source.size)
            wanted = end - self.at[number]
            if wanted <= 0:
                continue
            piece = source.read(self.at[number], min(wanted, self._left[number]))
            self.at[number] += len(piece)
            self._left[number] -= len(piece)
            if piece:
                _add_text(found, ("stdout", "stderr")[number], piece.decode("utf-8", "replace"))
            if self.at[number] < end and self._left[number] <= 0:
                return False
        return True


def _add_text(found: list[dict[str, Any]], name: str, text: str) -> None:
    if found and found[-1].get("name") == name:
        found[-1]["text"] += text
    else:
        found.append({"output_type": "stream", "name": name, "text": text})


def _shape(display: Display) -> dict[str, Any]:
    if display.clear:
        return {"output_type": "clear_output"}
    kind = "update_display_data" if display.update else "display_data"
    shape: dict[str, Any] = {"output_type": kind, "data": display.data, "metadata": display.metadata}
    if display.id:
        shape["transient"] = {"display_id": display.id}
    return shape
