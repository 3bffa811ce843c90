"""Values as files named by their digest: ``<root>/<2 hex>/<sha256>``, written once, never changed.

A blob appears under its name only when all of it has been written (temporary name, sync, rename, sync of
the folder), so whoever sees the name sees the whole value. Writers of one digest may race: they write the
same bytes. Whoever finds a digest present touches it, because only blobs that were not used for a day are collected:
that sets the time of its last access. The time of its last change stays that of its writing, after which it is taken on
trust for a moment (see :func:`map_blob`).

Standard library only: service, workers and kernel use it alike.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Union

from .crashpoint import crashpoint
from .errors import StoreDamaged
from .folders import FolderGone, make_folder

Buffer = Union[bytes, bytearray, memoryview, mmap.mmap]  # noqa: UP007  evaluated at run time

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(r"[0-9a-f]{2}")
_TEMPORARY = "tmp-"
_STEP = 1 << 26  # bytes per write call: a single call may not exceed 2 GiB
_COMPARED = 1 << 20  # bytes that are compared at once
_NEW = 60.0  # seconds after its writing for which a blob is not read again to be compared: it is in memory
_REMEMBERED = 1000  # files that a process has compared
_sync_data = getattr(os, "fdatasync", os.fsync)


class BlobInfo(NamedTuple):
    """One blob that lies in the store; ``used`` in seconds since the epoch: when it was last written, asked for or read."""

    digest: str
    size: int
    used: float


def is_digest(text: str) -> bool:
    """Whether ``text`` can name a blob: 64 lower-case hex digits."""
    return _DIGEST.fullmatch(text) is not None


def blob_path(root: str | os.PathLike[str], digest: str) -> Path:
    """Where the blob lies or would lie. ValueError if ``digest`` is none (it may come from a URL)."""
    if not is_digest(digest):
        raise ValueError(f"{digest[:80]!r} is not a digest: 64 lower-case hex digits are expected")
    return Path(root, digest[:2], digest)


def digest_of(chunks: Iterable[Buffer]) -> str:
    """sha256 of the chunks one after another, as hex."""
    state = hashlib.sha256()
    for chunk in chunks:
        state.update(chunk)
    return state.hexdigest()


def _write_all(fd: int, chunk: Buffer) -> int:
    view = memoryview(chunk)
    if view.format != "B" or view.ndim != 1:
        view = view.cast("B")
    at, size = 0, len(view)
    while at < size:
        at += os.write(fd, view[at : at + _STEP])
    return size


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _make_folder(folder: Path, levels: int, *, sync: bool) -> None:
    if folder.is_dir():
        return
    make_folder(folder, levels)
    if sync:
        _sync_folder(folder.parent)


class BlobWriter:
    """A blob that arrives in pieces, under a temporary name until :meth:`commit`.

    Use it as a context manager, or call :meth:`abort` when the rest will not come. ``path`` is the
    temporary file: complete, though not durable, once everything has been written.
    """

    def __init__(self, root: str | os.PathLike[str], *, digest: str | None = None) -> None:
        """``digest``: the digest of what will be written, where the caller has computed it from these very bytes."""
        self.root = Path(root)
        self.size = 0
        self._known = digest
        self._state = None if digest is not None else hashlib.sha256()
        _make_folder(self.root, 1, sync=False)
        self.path = self.root / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(8)}"
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)

    def write(self, chunk: Buffer) -> None:
        """Append. OSError (a full disk) leaves the writer usable only for :meth:`abort`."""
        if self._state is not None:
            self._state.update(chunk)
        self.size += _write_all(self._fd, chunk)

    @property
    def digest(self) -> str:
        """Of what has been written so far."""
        if self._known is not None:
            return self._known
        assert self._state is not None
        return self._state.hexdigest()

    def commit(self, expected: str | None = None, *, sync: bool = True) -> tuple[str, int]:
        """Give the blob its name; ``(digest, size)``. Durable on return if ``sync``.

        Raises ValueError, and keeps nothing, if the bytes are not those of ``expected``.
        """
        digest = self.digest
        if expected is not None and expected != digest:
            self.abort()
            raise ValueError(f"the bytes have the digest {digest[:12]}..., not {expected[:12]}... as announced")
        try:
            if sync:
                _sync_data(self._fd)
            target = blob_path(self.root, digest)
            _make_folder(target.parent, 2, sync=sync)
            crashpoint("blob.written")
            os.rename(self.path, target)
            crashpoint("blob.named")
            if sync:
                _sync_folder(target.parent)
        except FileNotFoundError as error:
            self.abort()
            if self.root.is_dir():
                raise
            raise FolderGone(str(self.root)) from error
        except BaseException:
            self.abort()
            raise
        self._close()
        return digest, self.size

    def abort(self) -> None:
        """Forget what was written. Harmless after a commit or another abort."""
        if self._fd >= 0:
            self._close()
            with suppress(FileNotFoundError):
                os.unlink(self.path)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.abort()


def write_blob(
    root: str | os.PathLike[str], chunks: Iterable[Buffer], *, digest: str | None = None, sync: bool = True
) -> tuple[str, int]:
    """Store the chunks as one blob and give ``(digest, size)``; a present one is touched, not written again, unless its bytes
    are other ones: then it is damaged, and written anew.

    ``digest`` spares the hashing where the caller has computed it from these very chunks. With
    ``sync=False`` the blob is readable at once but durable only after :func:`sync_blob`.
    """
    parts = list(chunks)
    digest = digest_of(parts) if digest is None else digest
    size = sum(memoryview(part).nbytes for part in parts)
    if _touch(root, digest, size) and _holds(blob_path(root, digest), parts):
        if sync:
            sync_blob(root, digest)  # its writer may not have come that far
        return digest, size
    with BlobWriter(root, digest=digest) as writer:
        for part in parts:
            writer.write(part)
        return writer.commit(sync=sync)


def sync_blob(root: str | os.PathLike[str], digest: str) -> None:
    """Make a blob written with ``sync=False`` durable: its data, its name, its folder's name."""
    path = blob_path(root, digest)
    fd = os.open(path, os.O_RDONLY)
    try:
        _sync_data(fd)
    finally:
        os.close(fd)
    _sync_folder(path.parent)
    _sync_folder(path.parent.parent)


def _touch(root: str | os.PathLike[str], digest: str, size: int | None) -> bool:
    """Whether the blob is there (with this size, if given), having touched it."""
    path = blob_path(root, digest)
    try:
        found = os.stat(path)
        if size is not None and found.st_size != size:
            return False
        os.utime(path, ns=(time.time_ns(), found.st_mtime_ns))
    except FileNotFoundError:
        return False
    return True


def _holds(path: Path, parts: Iterable[Buffer]) -> bool:
    """Whether the file has these very bytes (its size is known to be theirs). One that was written just now is not read again."""
    try:
        with open(path, "rb", buffering=0) as file:
            if _is_new(os.fstat(file.fileno()), _NEW):
                return True
            for part in parts:
                view = memoryview(part).cast("B") if memoryview(part).nbytes else memoryview(b"")
                for at in range(0, len(view), _COMPARED):
                    piece = view[at : at + _COMPARED]
                    if file.read(len(piece)) != piece.tobytes():
                        return False
    except FileNotFoundError:
        return False
    return True


def last_use(found: os.stat_result) -> float:
    """When a blob was last written, asked for or read."""
    return max(found.st_mtime, found.st_atime)


def _is_new(found: os.stat_result, seconds: float) -> bool:
    return 0.0 <= time.time() - found.st_mtime < seconds  # a time that is yet to come says nothing


def has_blob(root: str | os.PathLike[str], digest: str, *, touch: bool = False) -> bool:
    """Whether the blob is there. ``touch`` it when relying on it from now on."""
    return _touch(root, digest, None) if touch else blob_path(root, digest).is_file()


def blob_size(root: str | os.PathLike[str], digest: str) -> int:
    """Bytes. FileNotFoundError if there is none."""
    return os.stat(blob_path(root, digest)).st_size


def read_blob(root: str | os.PathLike[str], digest: str) -> bytes:
    """The bytes, checked against the digest. FileNotFoundError if there is none, StoreDamaged if they differ."""
    path = blob_path(root, digest)
    data = path.read_bytes()
    check_bytes(data, digest, f"remove {path} and run the electron that made it again")
    return data


def check_bytes(data: Buffer, digest: str, way_out: str) -> None:
    """StoreDamaged, with what to do about it, unless these are the bytes of ``digest``."""
    if hashlib.sha256(data).hexdigest() != digest:
        size = memoryview(data).nbytes
        raise StoreDamaged(
            f"blob {digest} ({size} bytes) does not have the contents that it was stored with; {way_out}"
        )


def map_blob(root: str | os.PathLike[str], digest: str, *, trusted_for: float = 0.0) -> memoryview:
    """The blob as a private copy-on-write map: writable, and nobody else ever sees a write.

    Every call gives a map of its own. The digest is checked, which reads all of the blob, unless it was written, or checked by
    this process, during the last ``trusted_for`` seconds: its bytes are still in memory then; by default it is always checked.
    FileNotFoundError if there is none, StoreDamaged if its bytes are not those that were stored.
    """
    path = blob_path(root, digest)
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) if found.st_size else bytearray()
    if not _is_new(found, trusted_for) and not _checked.within(found, trusted_for):
        check_bytes(data, digest, f"remove {path} and run the electron that made it again")
        _checked.note(found)
    return memoryview(data)


class _Checked:
    """Files that this process has compared with their digests, and when: a value that many electrons read is hashed once a minute
    and process, not once an electron."""

    def __init__(self) -> None:
        self._when: OrderedDict[tuple[int, ...], float] = OrderedDict()

    def within(self, found: os.stat_result, seconds: float) -> bool:
        return time.monotonic() - self._when.get(_identity(found), float("-inf")) < seconds

    def note(self, found: os.stat_result) -> None:
        key = _identity(found)
        self._when[key] = time.monotonic()
        self._when.move_to_end(key)
        while len(self._when) > _REMEMBERED:
            self._when.popitem(last=False)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    """The very file, unless it was written to since."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


_checked = _Checked()


def remove_blob(root: str | os.PathLike[str], digest: str) -> int:
    """Remove it; the bytes freed, 0 if there was none. Maps of it stay valid."""
    path = blob_path(root, digest)
    try:
        size = os.stat(path).st_size
        os.unlink(path)
    except FileNotFoundError:
        return 0
    return size


def iter_blobs(root: str | os.PathLike[str]) -> Iterator[BlobInfo]:
    """Every blob, in no order. Ones that come or go meanwhile may or may not be among them."""
    with suppress(FileNotFoundError), os.scandir(root) as folders:
        for folder in folders:
            if not _FOLDER.fullmatch(folder.name):
                continue
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder.path) as files:
                for entry in files:
                    if is_digest(entry.name):
                        with suppress(FileNotFoundError):
                            found = entry.stat()
                            yield BlobInfo(entry.name, found.st_size, last_use(found))


def remove_stale(root: str | os.PathLike[str], older_than: float = 86_400.0) -> int:
    """Remove temporary files that nobody has written to for ``older_than`` seconds; how many."""
    removed, limit = 0, time.time() - older_than
    with suppress(FileNotFoundError), os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(_TEMPORARY):
                with suppress(FileNotFoundError):
                    if entry.stat().st_mtime < limit:
                        os.unlink(entry.path)
                        removed += 1
    return removed
