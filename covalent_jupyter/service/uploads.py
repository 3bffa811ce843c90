"""Bodies of submissions: kept in memory while small, else in a private file; taken apart and verified in a thread."""

from __future__ import annotations

import hashlib
import math
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .. import blobs
from ..crashpoint import crashpoint
from ..errors import InvalidRequest
from ..folders import make_folder
from ..model import INLINE, Manifest, wire

#: Bytes of a body that stay in memory.
IN_MEMORY = 1 << 20
_STEP = 1 << 20
_INT64 = 1 << 63
_TEXT = 10_000  # characters of a label, a tag, a name


class Spool:
    """A body that arrives in pieces. All methods but :meth:`add` block: they belong in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.size = 0
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self._path: Path | None = None

    def add(self, chunk: bytes) -> bool:
        """Keeps a piece in memory; whether it is time to call :meth:`flush`."""
        self._memory += chunk
        self.size += len(chunk)
        return len(self._memory) >= IN_MEMORY

    def flush(self) -> None:
        """What is in memory goes to the file."""
        if self._file is None:
            make_folder(self.folder)
            self._path = self.folder / f"upload-{secrets.token_hex(8)}"
            self._file = open(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "r+b")
        self._file.write(self._memory)
        crashpoint("upload.spooled")
        self._memory.clear()

    def unpack(self, blob_root: Path) -> tuple[wire.Head, dict[str, bytes]]:
        """The manifest's frame and the small blobs; large ones are in the blob store then.

        Raises InvalidRequest that says what is wrong with the body.
        """
        try:
            if self._file is None:
                return _unpack_memory(bytes(self._memory), blob_root)
            self.flush()
            return _unpack_file(self._file, self.size, blob_root)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"the submission is malformed: {error}") from None

    def close(self) -> None:
        self._memory.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()
            self._path = None


def remove_left_overs(folder: Path) -> int:
    """Files of uploads that a killed service left; how many."""
    removed = 0
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            if path.name.startswith("upload-"):
                path.unlink(missing_ok=True)
                removed += 1
    return removed


def _unpack_memory(body: bytes, blob_root: Path) -> tuple[wire.Head, dict[str, bytes]]:
    head, found = wire.unpack_body(body)
    _check_head(head)
    small: dict[str, bytes] = {}
    for digest, data in found.items():
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError(f"the bytes of blob {digest[:12]} do not have that digest")
        if len(data) <= INLINE:
            small[digest] = data
        else:
            blobs.write_blob(blob_root, [data], digest=digest)
    return head, small


def _unpack_file(file: BinaryIO, size: int, blob_root: Path) -> tuple[wire.Head, dict[str, bytes]]:
    file.seek(0)
    length = wire.head_length(file.read(wire.HEAD))
    if length > size - wire.HEAD:
        raise ValueError("the body ends inside its JSON part")
    head = wire.decode_head(file.read(length))
    _check_head(head)
    at, small = wire.HEAD + length, {}
    for digest, length in head.blobs:
        if length < 0 or at + length > size:
            raise ValueError(f"the body ends inside blob {digest[:8]}")
        if length <= INLINE:
            small[digest] = data = file.read(length)
            if hashlib.sha256(data).hexdigest() != digest:
                raise ValueError(f"the bytes of blob {digest[:12]} do not have that digest")
        else:
            _copy_blob(file, digest, length, blob_root)
        at += length
    if at != size:
        raise ValueError(f"{size - at} bytes too many after the last blob")
    return head, small


def _copy_blob(file: BinaryIO, digest: str, length: int, blob_root: Path) -> None:
    with blobs.BlobWriter(blob_root) as writer:
        left = length
        while left:
            chunk = file.read(min(left, _STEP))
            if not chunk:
                raise ValueError(f"the body ends inside blob {digest[:8]}")
            writer.write(chunk)
            left -= len(chunk)
        writer.commit(digest)


def _check_head(head: wire.Head) -> None:
    """What JSON can say and the store cannot keep; the graph itself is the dispatcher's to check."""
    for digest, _ in head.blobs:
        if not blobs.is_digest(digest):
            raise ValueError(f"{digest[:80]!r} is not a digest: 64 lower-case hex digits are expected")
    manifest: Manifest = head.manifest
    if not -_INT64 <= manifest.seed < _INT64:
        raise ValueError("seed does not fit into 64 bits")
    if not math.isfinite(manifest.created) or not 0 <= manifest.created < 1e11:
        raise ValueError(f"created is not a time in seconds: {manifest.created!r}")
    for what, text in (("name", manifest.name), ("label", manifest.label), *(("tags", t) for t in manifest.tags)):
        if len(text) > _TEXT:
            raise ValueError(f"{what} has more than {_TEXT} characters")
    for digest, size in manifest.blobs.items():
        if not 0 <= size < _INT64:
            raise ValueError(f"blob {digest[:12]!r} cannot have {size} bytes")
    for name in head.variables:
        if not name or "=" in name or "\0" in name or "\0" in head.variables[name]:
            raise ValueError(f"{name[:80]!r} cannot be an environment variable")
