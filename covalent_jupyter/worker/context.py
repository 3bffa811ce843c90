"""What an electron may ask about itself: ``get_context()``, and tell: ``progress``, ``report``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")
_NOTE_EVERY = 0.1  # seconds
_MAX_REPORTS = 10_000
_MAX_REPORT_TEXT = 1_000


@dataclass
class ElectronContext:
    """The electron that runs here. Outside of one: no dispatch, node -1, and the current folder."""

    dispatch_id: str = ""
    node_id: int = -1
    attempt: int = 0
    seed: int = 0
    work_root: str = ""
    reports: list[dict[str, Any]] = field(default_factory=list, repr=False)
    dropped_reports: int = field(default=0, repr=False)
    note: Callable[[dict[str, Any]], None] | None = field(default=None, repr=False)
    _bar: dict[str, Any] = field(default_factory=dict, repr=False)
    _noted: float = field(default=0.0, repr=False)

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
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def add_report(self, values: dict[str, Any]) -> None:
        if len(self.reports) < _MAX_REPORTS:
            self.reports.append(values)
        else:
            self.dropped_reports += 1
        self.tell(report=values)

    def tell(self, *, last: bool = False, **parts: Any) -> None:
        """Show the newest state to whoever watches, ten times a second at most."""
        self._bar.update(parts)
        now = time.monotonic()
        if self.note is not None and (last or now - self._noted >= _NOTE_EVERY):
            self._noted = now
            self.note(self._bar)


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


def get_context() -> ElectronContext:
    """The running electron: ``dispatch_id, node_id, attempt, seed, workdir, checkpoint_dir, dask_address``.

    Harmless outside of an electron: empty ids, the current folder.
    """
    return _CURRENT.get().electron or ElectronContext()


def progress(iterable: Iterable[_T], total: int | None = None) -> Iterator[_T]:
    """Iterate, shown as a bar in panel and sidebar. ``total`` is taken from ``len`` where that is known."""
    if total is None:
        try:
            total = len(iterable)  # type: ignore[arg-type]
        except TypeError:
            pass
    electron = get_context()
    started = time.monotonic()
    done = 0
    total = _plain(total)
    electron.tell(done=0, total=total)
    try:
        for item in iterable:
            yield item
            done += 1
            electron.tell(done=done, total=total, elapsed=round(time.monotonic() - started, 3))
    finally:
        electron.tell(last=True, done=done, total=total, elapsed=round(time.monotonic() - started, 3))


def report(**values: Any) -> None:
    """Record values by name (``report(step=3, loss=0.1)``): live curves, and kept with the electron.

    Numbers, texts and None are kept as they are, NumPy scalars as numbers, anything else as its short repr.
    """
    get_context().add_report({name: _plain(value) for name, value in values.items()})


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, str):
        return str.__str__(value)[:_MAX_REPORT_TEXT]
    if callable(getattr(value, "item", None)) and getattr(value, "size", 1) == 1:
        try:
            item = value.item()
        except Exception:  # border: any object may have an item method
            item = value
        if isinstance(item, (bool, int, float, str)):
            return _plain(item)
    try:
        return repr(value)[:_MAX_REPORT_TEXT]
    except Exception:  # border: the user's __repr__
        return f"<{type(value).__name__}>"
