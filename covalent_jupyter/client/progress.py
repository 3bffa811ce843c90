"""What ``dispatch_sync`` shows while it waits: one line in a terminal, the panel in a notebook, nothing elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

from ..model import DispatchRow
from .display import dispatch_html, progress_line, shorten

#: seconds between two updates of what is shown
EVERY = 0.1


class TerminalLine:
    """One line that is written over while the dispatch runs, and stays when it has ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0.0

    def update(self, row: DispatchRow) -> None:
        now = time.monotonic()
        if not row.status.ended and now - self._shown < EVERY:
            return
        self._shown = now
        line = shorten(progress_line(row), max(shutil.get_terminal_size().columns - 1, 20))
        self._stream.write(f"\r\x1b[2K{line}" + ("\n" if row.status.ended else ""))
        self._stream.flush()


class NotebookPanel:
    """The still panel, drawn again when something changed."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._shown = 0.0
        self._handle = display(HTML(data="<div>dispatching ...</div>"), display_id=True)

    def update(self, row: DispatchRow) -> None:
        now = time.monotonic()
        if self._handle is None or (not row.status.ended and now - self._shown < 3 * EVERY):
            return
        self._shown = now
        self._handle.update(self._html(data=dispatch_html(row)))


def in_notebook() -> bool:
    """Whether displays are rendered as HTML here."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


def shown_progress() -> Callable[[DispatchRow], None] | None:
    """What to call with every change of the row; None where nobody looks."""
    if in_notebook():
        return NotebookPanel().update
    if sys.stderr is not None and sys.stderr.isatty():
        return TerminalLine(sys.stderr).update
    return None
