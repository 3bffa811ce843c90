"""An attempt in the hands of a user's own executor, and what is written down of those that run in the host itself."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..model import Attempt, Began, Fact, Outcome, Pack, Task
from ..model.wire import encode
from ..spool import SpoolWriter
from ..worker.portable import PortableCall
from .dask_worker import worker_name
from .printing import Printed

log = logging.getLogger(__name__)


class Here:
    """A call that knows while it runs in this very process; pickled, it is the bare call."""

    def __init__(self, call: PortableCall, job: Job) -> None:
        self._call = call
        self._job = job
        self.__name__ = call.__name__

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        self._job.running_here += 1
        self._job.written.enter(self._job)
        try:
            return self._call(*args, **kwargs)
        finally:
            self._job.written.leave()
            self._job.running_here -= 1

    def __reduce__(self) -> tuple[Any, ...]:
        return (_itself, (self._call,))


def _itself(call: PortableCall) -> PortableCall:
    return call


class Written:
    """The spool of what runs in this very process, which is read when the process is gone. Of an electron that ends it at once
    nobody would hear otherwise that it had begun."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"plugin-{os.getpid()}.spool"
        self._lock = threading.Lock()
        self._running = 0
        self._judged = False
        self._spool: SpoolWriter | None = None

    def enter(self, job: Job) -> None:
        with self._lock:
            self._running += 1
            try:
                self._append(job.began)
            except OSError as error:  # a full disk keeps nobody from running
                log.warning("cannot write down that %s begins: %s", job.task.name, error)

    def leave(self) -> None:
        with self._lock:
            self._running -= 1
            if not self._running and not self._judged and self._spool is not None:
                self._spool.clear()

    def verdict(self, verdict: Outcome) -> None:
        """Stays whatever ends meanwhile: the process is about to end."""
        with self._lock:
            self._judged = True
            self._append(verdict)

    def _append(self, fact: Fact) -> None:
        if self._spool is None:
            self._spool = SpoolWriter(self._path)
        self._spool.append(encode(fact))


class Job:
    """One attempt in the hands of a user's executor; also what stands behind the instance (:class:`.objects.Runtime`)."""

    def __init__(self, task: Task, pack: Pack, written: Written) -> None:
        self.task = task
        self.pack = pack
        self.written = written
        self.started = time.time()
        self.printed = Printed()
        self.running_here = 0
        self.gives_way = False  # its executor has asked, and heard that it is to stop
        self.handle: Any = None
        self.instance: Any = None
        self.ended = asyncio.Event()
        self.left = asyncio.Event()  # nobody waits for it any more
        self.verdict: Outcome | None = None  # what is said of it, unless it completes after all
        self.on_running: Callable[[], None] = lambda: None
        self.stop: Callable[[], Any] = lambda: None

    @property
    def attempt(self) -> Attempt:
        return (self.pack.dispatch_id, self.task.node, self.task.attempt)

    @property
    def began(self) -> Began:
        return Began(self.pack.dispatch_id, self.task.node, self.task.attempt, self.started, worker_name())

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "dispatch_id": self.pack.dispatch_id, "node_id": self.task.node, "name": self.task.name,
            "results_dir": os.path.join(self.pack.work_root, self.pack.dispatch_id),
        }  # fmt: skip

    def cancel_requested(self) -> bool:
        self.gives_way = self.gives_way or self.verdict is not None
        return self.gives_way

    def set_job_handle(self, handle: Any) -> None:
        self.handle = handle

    def get_job_handle(self) -> Any:
        return self.handle
