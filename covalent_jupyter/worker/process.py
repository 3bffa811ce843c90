"""A runner as its pool sees it: descriptors, files, and how it ended."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..folders import make_folder
from ..spool import SpoolReader, SpoolWriter
from .displays import live_path
from .page import Page, make_page
from .sheet import RunnerSheet


@dataclass(frozen=True)
class Death:
    """How a process ended; ``status`` as ``os.waitpid`` gives it, None where nobody could wait for it."""

    status: int | None
    peak: int = 0  # bytes
    reason: str = ""  # why it could not be started, or why nothing is known


class Nursery(Protocol):
    """Starts runners and ends them."""

    def spawn(self, process: RunnerProcess) -> None:
        """Have a process started; its pid comes a little later, packs may be sent at once."""

    def signal(self, process: RunnerProcess, number: int, *, tree: bool = False) -> None:
        """A signal to the runner's group, or to everything that it started; none if it has ended."""

    def close(self) -> None:
        """End all runners; returns when they are gone."""


class RunnerProcess:
    """One runner. The slot that holds it is the only one to use it; ``end`` may come from any thread."""

    def __init__(self, name: str, spool_dir: Path, scratch: Path, nursery: Nursery) -> None:
        self.name = name
        self.nursery = nursery
        self.sheet = RunnerSheet(
            name, str(spool_dir / f"{name}.spool"), str(spool_dir / f"{name}.proc"), str(scratch / name)
        )
        make_folder(self.sheet.scratch)
        SpoolWriter(self.sheet.spool).close()
        self.spool = SpoolReader(self.sheet.spool)
        self.control, self._control_end = socket.socketpair()
        self.tokens, self._tokens_end = socket.socketpair()
        self._page_fd = make_page()
        self.page = Page(self._page_fd)
        self.page.idle()
        self.nudged, self._nudge = socket.socketpair()  # readable when a request or the death has come
        self.nudged.setblocking(False)
        self._nudge.setblocking(False)
        self.root = ""
        self.started = threading.Event()  # the pid is known, or never will be
        self.ended = threading.Event()
        self.pid = 0
        self.death: Death | None = None
        self.live: tuple[str, str] = ("", "")  # its live files of stdout and stderr
        self._closed = False
        self._then: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def ends_for_child(self) -> tuple[int, int, int]:
        """Descriptors that the runner gets: control, tokens, page."""
        return self._control_end.fileno(), self._tokens_end.fileno(), self._page_fd

    def handed_over(self) -> None:
        """The runner has its ends. That of the tokens is kept: what is drained from it never begins."""
        self._control_end.close()
        os.close(self._page_fd)

    def drain_tokens(self) -> bytes:
        """Take back the tokens that the runner has not taken. Reading is atomic: a token is had by one side only."""
        try:
            return self._tokens_end.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""

    def begun(self, pid: int) -> None:
        self.pid = pid
        self.started.set()

    def end(self, death: Death) -> None:
        """The process is gone, with everything that it started."""
        with self._lock:
            self.death = death
            self.started.set()
            self.ended.set()
        self.nudge()
        for call in self._then:
            call()

    def when_ended(self, call: Callable[[], None]) -> None:
        """Have this called when the process is gone; at once if it is."""
        with self._lock:
            if not self.ended.is_set():
                self._then.append(call)
                return
        call()

    def nudge(self) -> None:
        """Wake the slot that waits for this runner."""
        try:
            self._nudge.send(b"!")
        except OSError:  # nudged often enough, or closed
            pass

    def close(self, keep_spool: bool) -> None:
        """Free what is left of a runner that ended. The spool stays while its outcomes may be needed."""
        if self._closed:
            return
        self._closed = True
        for sock in (self.control, self.tokens, self._tokens_end, self.nudged, self._nudge):
            sock.close()
        self.spool.close()
        self.page.close()
        for path in (
            *self.live,
            live_path(self.live[0]),
            self.sheet.record,
            *(() if keep_spool else (self.sheet.spool,)),
        ):
            if path:
                Path(path).unlink(missing_ok=True)
        shutil.rmtree(self.sheet.scratch, ignore_errors=True)
