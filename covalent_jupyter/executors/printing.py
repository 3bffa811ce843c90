"""What users' executors print, kept apart by electron although they share one process."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

_LIMIT = 10_000_000  # characters that are kept of each stream


class Capped(io.StringIO):
    """Takes everything, keeps the first ten million characters."""

    def write(self, text: str, /) -> int:
        if self.tell() < _LIMIT:
            super().write(text[: _LIMIT - self.tell()])
        return len(text)


class Printed:
    """The two streams of one electron."""

    def __init__(self) -> None:
        self.stdout = Capped()
        self.stderr = Capped()


_CURRENT: ContextVar[Printed | None] = ContextVar("covalent_printed", default=None)


class _Switch(io.TextIOBase):
    """Stands in for sys.stdout or sys.stderr: passes on to the electron of the context, or to the real one."""

    def __init__(self, name: str, real: TextIO) -> None:
        self._name = name
        self._real = real

    def _target(self) -> Any:
        printed = _CURRENT.get()
        return self._real if printed is None else getattr(printed, self._name)

    def write(self, text: str, /) -> int:
        return int(self._target().write(text))

    def flush(self) -> None:
        self._target().flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._real.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"


@contextmanager
def printing_to(printed: Printed) -> Iterator[None]:
    """What this context prints goes there. Installs the switches when they are not there (or were replaced)."""
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), _Switch):
            setattr(sys, name, _Switch(name, getattr(sys, name)))
    token = _CURRENT.set(printed)
    try:
        yield
    finally:
        _CURRENT.reset(token)
