"""stdout and stderr of electrons, captured at descriptor level: prints of C code and of subprocesses included.

Descriptors 1 and 2 of a runner are *live files*, opened for appending. While an electron prints, whoever wants to
see it reads these. At its end they become its logs: text inside the outcome, or a file.
"""

from __future__ import annotations

import ctypes
import io
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ..folders import make_folder
from ..model.work import Log
from ..processes import LINUX
from .displays import Places, Recorder, live_path, moved, take_away
from .mending import install
from .room import FULL, wait_for_room

SHORT = 4096  # bytes: a log up to this size is inside the outcome
CAP = 10 << 20  # bytes: of a longer log head and tail are kept
_HEAD = _TAIL = CAP // 2
_UNFILED = 65_536  # bytes kept inside the outcome where there is no folder for files
_SHOWN_UNFILED = 1 << 20  # bytes of displays, likewise
_FALLOC_PUNCH = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_IOLBF = 1


class Capture:
    """The runner's side: owns descriptors 1 and 2, and ``sys.stdout`` and ``sys.stderr``."""

    def __init__(self, folder: str, name: str) -> None:
        self._name = name
        self._folder = ""
        self._log_root = ""
        self.paths = ("", "")
        self.displays = Recorder()
        self.displays.before = self._printed
        self._libc = ctypes.CDLL(None)
        self._fflush = self._libc.fflush
        self._files = [(0, 0), (0, 0)]  # device and number of the live files
        self.open(folder, "")
        self._make_streams()
        sys.stdin = sys.__stdin__ = _NoInput()  # type: ignore[misc, assignment]
        self.restore()
        self._line_buffer_c()
        install(self.displays)

    def open(self, folder: str, log_root: str) -> None:
        """Put the live files into ``folder`` and finished logs under ``log_root`` ("": short, in outcomes)."""
        self._log_root = log_root
        if folder == self._folder:
            return
        make_folder(folder, 2)
        for path in (*self.paths, self.displays.path):
            if path:
                Path(path).unlink(missing_ok=True)
        self._folder = folder
        self.paths = (os.path.join(folder, f"{self._name}.out"), os.path.join(folder, f"{self._name}.err"))
        self.displays.path = live_path(self.paths[0])
        for number in (0, 1):
            self._reopen(number)

    def _flush(self) -> None:
        for stream in {id(s): s for s in (sys.stdout, sys.stderr, *self._streams)}.values():
            try:
                stream.flush()
            except Exception:  # border: the user's own stream, or closed by the user
                pass
        self._fflush(None)

    def _printed(self) -> tuple[int, int]:
        """Bytes in the live files now."""
        self._flush()
        return _size_of(1), _size_of(2)

    def _find_folder(self) -> None:
        """Returns when the live files can be found by their names: a store that was moved away is waited for."""
        wait_for_room(lambda: make_folder(self._folder, 2), "a runner's log")

    def _reopen(self, number: int) -> None:
        fd = os.open(self.paths[number], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(fd, number + 1)
        self._files[number] = _identity(os.fstat(fd))
        os.close(fd)

    def _make_streams(self) -> None:
        self._raw = (_LiveFile(1, "w", closefd=False), _LiveFile(2, "w", closefd=False))
        self._streams = (_stream(self._raw[0]), _stream(self._raw[1]))

    def restore(self) -> None:
        """Undo what an electron did to ``sys.stdout`` and ``sys.stderr``."""
        out, err = self._streams
        if _unusable(out) or _unusable(err):
            self._make_streams()
            out, err = self._streams
        if sys.stdout is not out or sys.__stdout__ is not out:
            sys.stdout = sys.__stdout__ = out  # type: ignore[misc]
        if sys.stderr is not err or sys.__stderr__ is not err:
            sys.stderr = sys.__stderr__ = err  # type: ignore[misc]

    def finish(
        self, dispatch_id: str, node: int, attempt: int, dropped: tuple[int, int]
    ) -> tuple[Log, Log, tuple[str, ...]]:
        """The electron's logs, and what is to be said of them; the live files are empty again."""
        self._flush()
        shown, lost = b"", self.displays.lost
        if self.displays.count or lost:
            self._find_folder()
            shown = take_displays(self.paths, self._log_root, dropped)
            self.displays.reset()
        out = self._one(0, dispatch_id, node, attempt, dropped[0])
        err = self._one(1, dispatch_id, node, attempt, dropped[1])
        if shown:
            out = with_displays(out, shown, self._log_root, dispatch_id, f"{node}.{attempt}")
            lost += 0 if out.displays else shown.count(b"\n")
        return (
            out,
            err,
            () if not lost else (_LOST_DISPLAYS.format("1 display was" if lost == 1 else f"{lost} displays were"),),
        )

    def _one(self, number: int, dispatch_id: str, node: int, attempt: int, dropped: int) -> Log:
        lost, unsaid = self._raw[number].settle()
        try:
            found = os.fstat(number + 1)
            if found.st_size == 0 and not lost and _identity(found) == self._files[number]:
                return _EMPTY
        except OSError:  # the electron closed its descriptor
            pass
        self._find_folder()
        log = collect(
            self.paths[number], self._log_root, dispatch_id, f"{node}.{attempt}", "out err".split()[number], dropped
        )
        if lost:
            text = log.text if log.file else log.text + unsaid
            log = msgspec.structs.replace(log, text=text, size=log.size + lost, dropped=log.dropped + lost)
        wait_for_room(lambda: self._reopen(number), "a runner's log")
        return log

    def _line_buffer_c(self) -> None:
        """C code's printf is seen line by line, as Python's print."""
        for name in ("stdout", "__stdoutp"):
            try:
                stdout = ctypes.c_void_p.in_dll(self._libc, name)
            except ValueError:
                continue
            self._libc.setvbuf(stdout, None, _IOLBF, 0)


_EMPTY = Log()
_LOST_DISPLAYS = "{} dropped: the disk had no room"


def _size_of(fd: int) -> int:
    try:
        return os.fstat(fd).st_size
    except OSError:  # the electron closed it
        return 0


def take_displays(live: tuple[str, str], log_root: str, dropped: tuple[int, int]) -> bytes:
    """What was displayed, as it will be recorded; asked for before the live files become logs."""
    data = take_away(live_path(live[0]))
    if not data:
        return b""
    out, err = (_places(path, log_root, cut) for path, cut in zip(live, dropped, strict=True))
    return moved(data, out, err)


def _places(path: str, log_root: str, dropped: int) -> Places:
    try:
        size = os.path.getsize(path)
    except OSError:
        size = 0
    if size > CAP or dropped:
        gap = len(_gap(size + dropped - min(size, _HEAD) - min(max(size - _HEAD, 0), _TAIL)))
        return Places(path, fold_returns, _HEAD, _TAIL, gap, True)
    if not log_root and size > _UNFILED:
        gap = len(_gap(size - _UNFILED))
        return Places(path, fold_returns, _UNFILED // 2, _UNFILED // 2, gap, True)
    return Places(path, fold_returns, 0, 0, 0, False)


def with_displays(log: Log, shown: bytes, log_root: str, dispatch_id: str, name: str) -> Log:
    """The log of stdout that also says what was displayed: inside it while that is short, else a file beside it. As it is
    where the disk has no room for that."""
    count = shown.count(b"\n")
    if log_root and len(shown) > SHORT:
        path = os.path.join(log_root, dispatch_id, f"{name}.dsp")
        try:
            make_folder(os.path.dirname(path), 2)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(fd, "wb") as target:
                target.write(shown)
        except OSError:
            with suppress(OSError):
                os.unlink(path)
            return log
        return msgspec.structs.replace(log, displays=count)
    while len(shown) > _SHOWN_UNFILED:  # nowhere to put it: what came first stays
        shown = shown[: shown.rstrip(b"\n").rfind(b"\n") + 1]
    return msgspec.structs.replace(log, displays=count, shown=shown.decode("utf-8", "replace"))


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


class _LiveFile(io.FileIO):
    """A live file as ``sys.stdout`` writes to it. What the disk has no room for is dropped, for a print is no reason to
    fail; when there is room again a note stands in its place."""

    _lost = 0  # bytes of this electron that were dropped
    _unsaid = 0  # of these, what no note tells of yet

    def write(self, data: Any, /) -> int:
        try:
            if self._unsaid:
                self._note()
            return super().write(data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            size = memoryview(data).nbytes
            self._lost += size
            self._unsaid += size
            return size

    def _note(self) -> None:
        super().write(_lost_note(self._unsaid))
        self._unsaid = 0

    def settle(self) -> tuple[int, str]:
        """At the end of an electron: bytes that it printed and that were dropped, and the note that could not be written."""
        if not self._lost:
            return 0, ""
        try:
            if self._unsaid:
                self._note()
        except (OSError, ValueError):  # no room yet, or the electron closed it
            pass
        found = self._lost, _lost_note(self._unsaid).decode() if self._unsaid else ""
        self._lost = self._unsaid = 0
        return found


def _lost_note(count: int) -> bytes:
    return b"\n... %d bytes dropped: the disk had no room for them ...\n" % count


def _stream(raw: io.FileIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _unusable(stream: io.TextIOWrapper) -> bool:
    try:
        return stream.closed
    except ValueError:  # detached
        return True


class _NoInput(io.TextIOBase):
    """Standard input of an electron: nobody sits there."""

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 0

    def read(self, size: int | None = -1) -> str:
        raise RuntimeError(NO_INPUT)

    def readline(self, size: int = -1) -> str:  # type: ignore[override]
        raise RuntimeError(NO_INPUT)


NO_INPUT = (
    "an electron has no keyboard: it runs in another process, maybe on another machine. "
    "To step through it, run it in the kernel: ct.get_result(dispatch_id).electrons[node].call(), or the whole "
    "lattice with ct.dispatch(lattice, inline=True)"
)


def collect(path: str, log_root: str, dispatch_id: str, name: str, kind: str, dropped: int = 0) -> Log:
    """Turn a live file into a log, and empty it. Safe to call for a runner that has died. Where the disk has no room for
    it the log is lost, and nothing else."""
    try:
        size = os.path.getsize(path)
    except OSError:
        return _EMPTY
    if size == 0:
        return _EMPTY
    try:
        return _collect(path, log_root, dispatch_id, name, kind, size, dropped)
    except OSError as error:
        with suppress(OSError):
            os.truncate(path, 0)
        return Log(f"(this log could not be kept: {error.strerror})", size + dropped, dropped=size + dropped)


def _collect(path: str, log_root: str, dispatch_id: str, name: str, kind: str, size: int, dropped: int) -> Log:
    printed = size + dropped
    if size > CAP or dropped:
        text, cut = _head_and_tail(path, size, _HEAD, _TAIL, dropped)
    elif size > SHORT and not _has_returns(path):
        if log_root:
            make_folder(os.path.join(log_root, dispatch_id), 2)
            file = os.path.join(dispatch_id, f"{name}.{kind}")
            os.replace(path, os.path.join(log_root, file))
            return Log(size=printed, file=file)
        text, cut = _head_and_tail(path, size, _UNFILED // 2, _UNFILED // 2, 0)
    else:
        text, cut = fold_returns(Path(path).read_bytes()), 0
    os.truncate(path, 0)
    if len(text) <= SHORT:
        return Log(text.decode("utf-8", "replace"), printed, dropped=cut)
    if not log_root:
        if len(text) > 2 * _UNFILED:
            cut += len(text) - _UNFILED
            text = text[: _UNFILED // 2] + _gap(cut) + text[-_UNFILED // 2 :]
        return Log(text.decode("utf-8", "replace"), printed, dropped=cut)
    make_folder(os.path.join(log_root, dispatch_id), 2)
    file = os.path.join(dispatch_id, f"{name}.{kind}")
    fd = os.open(os.path.join(log_root, file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as target:
        target.write(text)
    return Log(size=printed, file=file, dropped=cut)


def _has_returns(path: str) -> bool:
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            if b"\r" in chunk:
                return True
    return False


def _gap(count: int) -> bytes:
    return b"\n... %d bytes dropped ...\n" % count


def _head_and_tail(path: str, size: int, head: int, tail: int, dropped: int) -> tuple[bytes, int]:
    if size <= head + tail and not dropped:
        return fold_returns(Path(path).read_bytes()), 0
    with open(path, "rb") as file:
        first = file.read(head)
        file.seek(max(size - tail, len(first)))
        last = file.read(tail)
    cut = size + dropped - len(first) - len(last)
    return fold_returns(first) + _gap(cut) + fold_returns(last), cut


def fold_returns(data: bytes) -> bytes:
    """Lines that were drawn over with ``\\r`` (progress bars) in their last state; nested bars of tqdm, which move the
    cursor up, come to lie where a terminal shows them."""
    if b"\r" not in data:
        return data
    if _UP in data:
        data = _fold_moves(data)
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    return b"\n".join(_last_state(line) if b"\r" in line else line for line in lines)


_UP = b"\x1b[A"
_SCREEN = 100  # lines that a cursor can go up


def _last_state(line: bytes) -> bytes:
    """What stands there in the end; a line that was cleared with blanks is empty."""
    last = next((part for part in reversed(line.split(b"\r")) if part), b"")
    return last.rstrip(b" ") if not last.strip(b" ") else last


def _fold_moves(data: bytes) -> bytes:
    """The text with what was written after moves of the cursor in the lines that it was written to."""
    done: list[bytes] = []
    screen: list[list[bytes]] = [[]]
    row = 0
    for part in _MOVES.split(data.replace(b"\r\n", b"\n")):
        if part == b"\n":
            row += 1
            if row == len(screen):
                screen.append([])
                if len(screen) > _SCREEN:
                    done.append(b"".join(screen.pop(0)))
                    row -= 1
        elif part == _UP:
            row = max(0, row - 1)
        elif part:
            text = screen[row]
            if part.startswith(b"\r") or not text:
                if part.strip(b"\r"):
                    text[:] = [part]
            else:
                text.append(part)
    return b"\n".join([*done, *(b"".join(text) for text in screen)])


_MOVES = re.compile(rb"(\n|\x1b\[A)")


def trim_live(path: str, fallocate: Any) -> int:
    """Free the disk under the middle of a live file that grew beyond its cap, while its runner goes on printing.

    Gives the bytes that were cut off its end because this file system knows no holes (0: a hole was made).
    """
    try:
        size = os.path.getsize(path)
        if size <= 2 * CAP or os.stat(path).st_blocks * 512 <= 2 * CAP:
            return 0
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        if fallocate is not None and fallocate(fd, _FALLOC_PUNCH, _HEAD, size - _HEAD - _TAIL) == 0:
            return 0
        os.ftruncate(fd, _HEAD)
        return size - _HEAD
    finally:
        os.close(fd)


def load_fallocate() -> Any:
    """``fallocate`` of the C library, None where there is none."""
    if not LINUX:
        return None
    function = ctypes.CDLL(None, use_errno=True).fallocate64
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return function
