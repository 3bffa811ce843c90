"""What is shown while somebody waits: one line in a terminal, the panel in a notebook, nothing elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TextIO

from ..model import DispatchRow
from ..notebook.panel import Panel, in_notebook
from .display import TONES, counts_text, duration_text, left_text, paint, plain, shorten, sign_of, took, width_of
from .rest import Rest

#: least seconds between two drawings; seconds after which the clock is drawn though nothing changed
EVERY, TICK = 0.1, 1.0


class TerminalLine:
    """One line that is written over while the dispatch runs, and stays when it has ended or is waited for no more."""

    def __init__(self, stream: TextIO, environment: dict[str, str] | None = None) -> None:
        found = dict(os.environ) if environment is None else environment
        self._stream = stream
        self._dumb = found.get("TERM", "") == "dumb"
        self._colour = not self._dumb and not found.get("NO_COLOR")
        self._row: DispatchRow | None = None
        self._length = 0
        self._changed = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="covalent-line", daemon=True)
        self._thread.start()

    def update(self, row: DispatchRow) -> None:
        self._row = row
        self._changed.set()

    def close(self) -> None:
        """Draw the last state and go to the next line."""
        if self._over:
            return
        self._over = True
        self._changed.set()
        self._thread.join()
        self._draw()
        if self._length:
            self._write("\n")

    def _run(self) -> None:
        pause = threading.Event()
        while not self._over:
            self._changed.wait(TICK)
            self._changed.clear()
            if not self._over:
                self._draw()
                pause.wait(EVERY)

    def _draw(self) -> None:
        row = self._row
        if row is None:
            return
        # the last column stays free: some terminals go on to the next line when it is written
        line = fitting(row, max(shutil.get_terminal_size().columns - 1, 1))
        length, sign = width_of(line), sign_of(row.status)[0]
        if self._dumb:
            line += " " * (self._length - length)
        elif line.startswith(sign):
            line = paint(sign, TONES[row.status], self._colour) + line[len(sign) :]
        self._write(f"\r{line}" if self._dumb else f"\r\x1b[2K{line}")
        self._length = length

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._row = None  # the terminal has gone; the waiting goes on


def fitting(row: DispatchRow, columns: int) -> str:
    """The most telling words about it that fit: name and word go before the counts do, and these before the sign."""
    sign, word = sign_of(row.status)
    name, counts = plain(row.label or row.name), counts_text(row.counts)
    spent, left = duration_text(took(row.started or row.created, row.ended)), left_text(row)
    short = f"{row.counts.completed}/{row.counts.total}"
    choices = [
        [f"{sign} {name}", word, counts, spent, left],
        [f"{sign} {name}", word, counts, spent],
        [f"{sign} {shorten(name, 20)}", counts, spent],
        [f"{sign} {counts}", spent],
        [f"{sign} {short}", spent],
        [f"{sign} {short}"],
    ]
    for words in choices:
        line = "  ".join(filter(None, words))
        if width_of(line) <= columns:
            return line
    return shorten(f"{sign} {short}", columns)


class Shown(NamedTuple):
    """What to call with every change of the row, if that is needed, and before the waiting is given up."""

    on_change: Callable[[DispatchRow], None] | None = None
    stopped: Callable[[], None] | None = None


@contextmanager
def shown_progress(rest: Rest, dispatch_id: str) -> Iterator[Shown]:
    """Shows the dispatch meanwhile."""
    if in_notebook():
        panel = Panel(rest, dispatch_id)
        panel.show()
        yield Shown(panel.redraw if panel.still else None, _nothing)
        panel.finish()
    elif sys.stderr is not None and sys.stderr.isatty():
        line = TerminalLine(sys.stderr)
        try:
            yield Shown(line.update, line.close)
        finally:
            line.close()
    else:
        yield Shown()


def _nothing() -> None:
    """In a notebook every message begins on a line of its own."""
