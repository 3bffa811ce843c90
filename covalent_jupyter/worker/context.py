"""What an electron may ask about itself: ``get_context()``, and tell: ``progress``, ``report``."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..folders import make_folder
from ..model.wire import sendable
from .bars import Bar, Bars

_T = TypeVar("_T")
_NOTE_EVERY = 0.1  # seconds
_NOTES_AT_ONCE = 50.0
MAX_REPORTS = 100_000  # of one attempt
MAX_WROTE = 100  # relative paths of one attempt
_MAX_REPORT_TEXT = 1_000


@dataclass
class ElectronContext:
    """The electron that runs here. Outside of one: no dispatch, node -1, and the current folder."""

    dispatch_id: str = ""
    node_id: int = -1
    attempt: int = 0
    seed: int = 0
    work_root: str = ""
    record: Callable[[int, float, dict[str, Any]], None] | None = field(default=None, repr=False)
    note: Callable[[dict[str, Any]], None] | None = field(default=None, repr=False)
    bars: Bars = field(default_factory=Bars, repr=False)
    wrote: dict[str, None] = field(
        default_factory=dict, repr=False
    )  # relative paths opened for writing, as absolute ones
    reports: int = field(default=0, repr=False)
    last_report: dict[str, Any] = field(default_factory=dict, repr=False)
    left: Any = field(default=None, repr=False)  # what it hands out if it does not come to its end
    leave: Callable[[int], None] | None = field(default=None, repr=False)  # see Page.leave
    wait: Callable[[str], None] | None = field(default=None, repr=False)  # see Page.wait_for
    _waits: list[str] = field(default_factory=list, repr=False)
    _noted: float = field(default=0.0, repr=False)
    _notes_left: float = field(default=_NOTES_AT_ONCE, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def workdir(self) -> Path:
        """A private folder of this attempt, made when it is first asked for; freed with the dispatch."""
        return self._folder(f"{self.node_id}.{self.attempt}")

    @property
    def checkpoint_dir(self) -> Path:
        """A folder that all attempts of this electron share; freed with the dispatch."""
        return self._folder(f"{self.node_id}.checkpoint")

    @property
    def dask_address(self) -> str | None:
        """The scheduler's address where the electron runs on Dask: connect to it to submit tasks from inside."""
        return os.environ.get("COVALENT_DASK_ADDRESS") or os.environ.get("DASK_SCHEDULER_ADDRESS")

    def _folder(self, name: str) -> Path:
        if not self.dispatch_id:
            return Path.cwd()
        folder = Path(self.work_root) / self.dispatch_id / name
        make_folder(folder, 3)
        return folder

    @contextmanager
    def waiting_for(self, dispatch_id: str) -> Iterator[None]:
        """Meanwhile others may have the electron's place: what it waits for may need it. Any thread of the electron may wait."""
        with self._lock:
            self._waits.append(dispatch_id)
            self._tell_waits()
        try:
            yield
        finally:
            with self._lock:
                self._waits.remove(dispatch_id)
                self._tell_waits()

    def _tell_waits(self) -> None:
        if self.wait is not None:
            self.wait(self._waits[-1] if self._waits else "")

    @property
    def dropped_reports(self) -> int:
        """How many reports came after the last that is kept."""
        return max(0, self.reports - MAX_REPORTS)

    def add_report(self, values: dict[str, Any]) -> None:
        """Record one report, from any thread."""
        with self._lock:
            number, self.reports, self.last_report = self.reports, self.reports + 1, values
            if self.record is not None and number < MAX_REPORTS:
                self.record(number, time.time(), values)
        self.tell()

    def progress(self) -> dict[str, Any]:
        """The bars (``done, total, elapsed, name, bars``) and the last ``report``, as far as there are any."""
        told = self.bars.told()
        return {**told, "report": self.last_report} if self.last_report else told

    def tell(self, *, last: bool = False) -> None:
        """Show the newest state to whoever watches: ten times a second, and oftener for a short while, so that of a loop that
        makes a few quick steps and then takes long the last one is seen."""
        if self.note is None:
            return
        now = time.monotonic()
        self._notes_left = min(_NOTES_AT_ONCE, self._notes_left + (now - self._noted) / _NOTE_EVERY)
        self._noted = now
        if last or self._notes_left >= 1:
            self._notes_left = max(0.0, self._notes_left - 1)
            self.note(self.progress())


class Current:
    """The electron of a runner's main thread, for its other threads too (those have contexts of their own)."""

    electron: ElectronContext | None = None


#: The electron of this context. A runner sets the default's ``electron``; a portable call sets the variable.
_CURRENT: ContextVar[Current] = ContextVar("covalent_electron", default=Current())  # noqa: B039 - one per process


def enter(electron: ElectronContext | None, *, everywhere: bool) -> None:
    """Make it the current one: ``everywhere`` in this process, or in this context alone."""
    if everywhere:
        _CURRENT.get().electron = electron
    else:
        current = Current()
        current.electron = electron
        _CURRENT.set(current)


def watch_writes() -> None:
    """From now on the running electron notes which relative paths this process opens for writing."""
    current, writing = _CURRENT.get(), os.O_WRONLY | os.O_RDWR

    def heard(event: str, args: tuple[Any, ...]) -> None:
        if event != "open" or not args[2] & writing:
            return
        electron, path = current.electron, args[0]
        if electron is None or type(path) is not str or path[:1] in ("/", "") or len(electron.wrote) >= MAX_WROTE:
            return
        try:
            electron.wrote[os.path.abspath(path)] = None
        except OSError:  # the folder is gone
            pass

    sys.addaudithook(heard)


def get_context() -> ElectronContext:
    """The running electron: ``dispatch_id, node_id, attempt, seed, workdir, checkpoint_dir, dask_address``.

    Harmless outside of an electron: empty ids, the current folder.
    """
    return _CURRENT.get().electron or ElectronContext()


def shown() -> tuple[Bars, Callable[..., None]] | None:
    """The bars of the running electron, and how to tell that they have moved; None outside of one."""
    electron = _CURRENT.get().electron
    return None if electron is None else (electron.bars, electron.tell)


def progress(iterable: Iterable[_T], total: int | str | None = None, name: str | int | None = "") -> Iterator[_T]:
    """Iterate, shown as a bar in panel and sidebar. ``total`` is taken from ``len`` where that is known.

    ``progress(items, "epochs", 40)``, in tqdm's order, is understood as well. Loops may be nested: the outermost bar comes
    first. Bars of tqdm are shown in the same way.
    """
    if isinstance(total, str):
        total, name = None if isinstance(name, str) else name, total
    if total is None:
        try:
            total = len(iterable)  # type: ignore[arg-type]
        except TypeError:
            pass
    electron = get_context()
    number = _plain(total)
    bar = Bar(
        sendable(str(name or "")[:100]), number if isinstance(number, (int, float)) and math.isfinite(number) else None
    )
    electron.bars.open(bar)
    electron.tell()
    try:
        for item in iterable:
            yield item
            bar.done += 1
            electron.tell()
    finally:
        electron.bars.close(bar)
        electron.tell(last=True)


def report(**values: Any) -> None:
    """Record values by name (``report(step=3, loss=0.1)``): live curves, and kept with the electron.

    Numbers, texts and None are kept as they are, NumPy scalars as numbers, anything else as its short repr.
    """
    get_context().add_report({_text(name): _plain(value) for name, value in values.items()})


def _text(text: str) -> str:
    """A text that may be sent: short, and valid Unicode."""
    return sendable(str.__str__(text)[:_MAX_REPORT_TEXT])


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, str):
        return _text(value)
    if callable(getattr(value, "item", None)) and getattr(value, "size", 1) == 1:
        try:
            item = value.item()
        except Exception:  # border: any object may have an item method
            item = value
        if isinstance(item, (bool, int, float, str)):
            return _plain(item)
    try:
        return _text(repr(value))
    except Exception:  # border: the user's __repr__
        return f"<{type(value).__name__}>"
