"""The spool: what a runner wrote down before anybody was told.

A file of frames, appended to by one process and read by others, also while it grows::

    length of the record (4 bytes, little-endian)  crc32 of the record (4 bytes)  record

Nothing is synced: the page cache survives the death of every process, and what must survive a power cut is
committed by the store.
"""

from __future__ import annotations

import os
import struct
import zlib

_HEAD = struct.Struct("<II")
_CHUNK = 1 << 20


class SpoolWriter:
    """Appends records to a spool; the file is made (mode 0600) when it is not there."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def append(self, record: bytes) -> None:
        """Whole or not at all: OSError (a full disk) leaves the spool as it was."""
        frame = _HEAD.pack(len(record), zlib.crc32(record)) + record
        written = 0
        try:
            written = os.write(self._fd, frame)
            while written < len(frame):
                written += os.write(self._fd, frame[written:])
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += written

    def clear(self) -> None:
        """Forgets every record."""
        os.ftruncate(self._fd, 0)
        self._size = 0

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)


class SpoolReader:
    """Reads a spool from the start, further at every call; what is not whole yet is left for the next call."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._at = 0  # of the first byte that was not given out

    def read(self) -> list[bytes]:
        """The records that came since the last call."""
        size = os.fstat(self._fd).st_size - self._at
        if size < _HEAD.size:
            return []
        data = _read_at(self._fd, self._at, size)
        records, used = _split(data)
        self._at += used
        return records

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> SpoolReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read_spool(path: str | os.PathLike[str]) -> list[bytes]:
    """All records of a spool, up to the first that is torn or damaged. A missing file has none."""
    try:
        reader = SpoolReader(path)
    except FileNotFoundError:
        return []
    with reader:
        return reader.read()


def _read_at(fd: int, at: int, size: int) -> bytes:
    parts = []
    while size > 0:
        part = os.pread(fd, min(size, _CHUNK), at)
        if not part:
            break
        parts.append(part)
        at += len(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _split(data: bytes) -> tuple[list[bytes], int]:
    """The whole records at the start of ``data``, and how many bytes they take."""
    records: list[bytes] = []
    at, end = 0, len(data)
    while at + _HEAD.size <= end:
        length, crc = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size
        if start + length > end:
            break
        record = data[start : start + length]
        if zlib.crc32(record) != crc:
            break
        records.append(record)
        at = start + length
    return records, at
