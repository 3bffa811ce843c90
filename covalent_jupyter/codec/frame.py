"""The layout of a value frame; see the package's docstring."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Sequence
from pickle import PickleBuffer
from typing import NamedTuple, Union

import msgspec

from ..errors import DecodeError

Buffer = Union[bytes, bytearray, memoryview]  # noqa: UP007  evaluated at run time

MAGIC = b"CJV1"
VERSION = 1
ALIGN = 64
CODE = 1  # flag: functions or classes went by value
SLOTS = 2  # flag: has slots, or captured values that are blobs of their own

PYTHON = (sys.version_info.major, sys.version_info.minor)
_HEAD = struct.Struct("<4sBBBBIIIQ")
_FLAGS_AT = 7
_SMALL = 1 << 16  # bytes: a frame up to this size is one chunk
_ZEROS = bytes(ALIGN)


class Notes(msgspec.Struct, omit_defaults=True):
    """What the frame says about how it was made; ``packages`` maps modules to versions, ``arrow`` has the numbers of the
    buffers that are Arrow IPC streams."""

    cloudpickle: str = ""
    packages: dict[str, str] = {}
    arrow: list[int] = []


_NO_NOTES = Notes()
_notes_decoder = msgspec.json.Decoder(Notes)


class Parts(NamedTuple):
    """A frame taken apart. ``buffers`` are writable, and the decoded value's own."""

    python: tuple[int, int]
    flags: int
    notes: Notes
    body: memoryview
    buffers: Sequence[memoryview]


def has_code(chunks: Sequence[Buffer]) -> bool:
    """Whether the frame holds code by value: then it loads under the same Python alone, and its bytes, for the same
    value, differ from process to process."""
    return bool(memoryview(chunks[0])[_FLAGS_AT] & CODE)


def plain_frame(body: bytes) -> bytes:
    """The frame of a pickle without buffers, code or anything to note."""
    return _HEAD.pack(MAGIC, VERSION, *PYTHON, 0, zlib.crc32(body), 0, 0, len(body)) + body


def make_frame(body: memoryview, buffers: list[PickleBuffer], flags: int, notes: Notes | None) -> list[Buffer]:
    """The chunks of a frame; buffers are not copied if it is large."""
    lead = msgspec.json.encode(notes, order="deterministic") if notes is not None else b""
    notes_size = len(lead)
    views = [buffer.raw() for buffer in buffers]
    if views:
        lead += struct.pack(f"<{len(views)}Q", *[view.nbytes for view in views])
    crc = zlib.crc32(body, zlib.crc32(lead) if lead else 0)
    head = _HEAD.pack(MAGIC, VERSION, *PYTHON, flags, crc, notes_size, len(views), len(body)) + lead
    chunks: list[Buffer] = [head, body]
    at = len(head) + len(body)
    for view in views:
        gap = -at % ALIGN
        chunks.append(_ZEROS[:gap])
        chunks.append(view)
        at += gap + view.nbytes
    return [b"".join(chunks)] if at <= _SMALL else [chunk for chunk in chunks if len(chunk)]


def parse_frame(data: Buffer) -> Parts:
    """Take a frame apart; DecodeError says what is wrong with it."""
    view = memoryview(data)
    if view.format != "B" or view.ndim != 1:
        view = view.cast("B")
    size = len(view)
    if size < _HEAD.size or view[:4] != MAGIC:
        raise DecodeError(f"these {size} bytes are not a recorded value")
    _, version, major, minor, flags, crc, notes_size, count, body_size = _HEAD.unpack_from(view)
    if version != VERSION:
        raise DecodeError(f"the value is in format {version}; this covalent-jupyter reads format {VERSION}")
    table = _HEAD.size + notes_size
    start = table + 8 * count
    end = start + body_size
    if end > size or zlib.crc32(view[_HEAD.size : end]) != crc:
        raise DecodeError(f"the recorded value ({size} bytes) is damaged: its checksum does not match")
    if not count and end != size:
        raise DecodeError(f"the recorded value has {size - end} bytes too many")
    notes = _read_notes(view[_HEAD.size : table]) if notes_size else _NO_NOTES
    buffers = _read_buffers(view, table, count, end) if count else ()
    return Parts((major, minor), flags, notes, view[start:end], buffers)


def _read_notes(data: memoryview) -> Notes:
    try:
        return _notes_decoder.decode(data)
    except msgspec.DecodeError as error:
        raise DecodeError(f"the recorded value is damaged: {error}") from error


def _read_buffers(view: memoryview, table: int, count: int, end: int) -> list[memoryview]:
    lengths = struct.unpack_from(f"<{count}Q", view, table)
    at = end + -end % ALIGN
    total = at
    for length in lengths:
        total += -total % ALIGN + length
    if total != len(view):
        raise DecodeError(f"the recorded value is cut: {len(view)} of {total} bytes")
    if view.readonly:
        view, at = memoryview(bytearray(view[at:])), 0
    buffers = []
    for length in lengths:
        at += -at % ALIGN
        buffers.append(view[at : at + length])
        at += length
    return buffers
