"""The local executor: runners of the host's own, no cluster."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from ..errors import ConfigError, ExecutorError
from ..model import Attempt, Error, ExecutorSpec, ExecutorState, Fact, LogGrew, Pack, PackEnded
from .base import Emit, HostContext, PackExecutor, check_slots, cpu_slots, machine_info
from .bay import Bay

log = logging.getLogger(__name__)

_OPTIONS = frozenset(("workdir", "create_unique_workdir", "max_workers"))


class LocalPackExecutor(PackExecutor):
    """Options: ``workdir``, ``create_unique_workdir``, ``max_workers`` (slots; default one per CPU)."""

    def __init__(self, spec: ExecutorSpec) -> None:
        super().__init__(spec)
        unknown = sorted(set(spec.options) - _OPTIONS)
        if unknown:
            raise ConfigError(
                f"executor 'local' has no option {unknown[0]!r}; its options are {', '.join(sorted(_OPTIONS))}"
            )
        given = spec.options.get("max_workers")
        if given is not None and (not isinstance(given, int) or given < 1):
            raise ConfigError(f"max_workers of executor 'local' is a number of at least 1, not {given!r}")
        self._slots = int(given or cpu_slots())
        self._queue: queue.SimpleQueue[Pack | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._adding = threading.Lock()
        self._lent = 0  # threads whose slot another one has
        self._closed = False

    def start(self, emit: Emit, context: HostContext) -> None:
        self._emit = emit
        self._ledger = context.ledger
        number = id(self)
        self._bay = Bay(
            slots=self._slots, spool_dir=context.spool_dir / f"local-{number:x}",
            scratch=context.scratch_dir / f"local-{number:x}", preload=context.preload, name="local",
        )  # fmt: skip
        self._scaled: dict[str, Any] = {}
        self._add_threads()
        emit([self.state()])

    def _add_threads(self) -> None:
        """One per slot, and one for each slot that is lent; those that are too many later wait for one."""
        with self._adding:
            while not self._closed and len(self._threads) < self._slots + self._lent:
                thread = threading.Thread(target=self._work, name=f"local-{len(self._threads)}", daemon=True)
                thread.start()
                self._threads.append(thread)

    def submit(self, pack: Pack) -> None:
        self._queue.put(pack)

    def cancel(self, attempts: list[Attempt], grace: float) -> None:
        for pack_id, members in self._ledger.by_pack(attempts)[0].items():
            if self._bay.cancel(pack_id, members, grace):
                self._emit(self._ledger.give_back(pack_id, members))

    def revoke(self, pack_id: str) -> None:
        if self._bay.revoke(pack_id):
            self._emit(self._ledger.give_back(pack_id))

    def scale(self, request: str, n: int) -> None:
        try:
            check_slots(n)
        except ExecutorError as error:
            return self._answer(request, problem=str(error))
        self._slots = n
        self._bay.resize(n)
        self._add_threads()
        self._answer(request, slots=n, workers=n)

    def _answer(self, request: str, *, slots: int = 0, workers: int = 0, problem: str = "") -> None:
        self._scaled = {"request": request, "slots": slots, "workers": workers, "problem": problem}
        self._emit([self.state()])

    def release(self, root_id: str) -> None:
        self._bay.release(root_id)

    def close(self) -> None:
        self._closed = True
        with self._adding:
            threads = list(self._threads)
        for _ in threads:
            self._queue.put(None)
        self._bay.close()
        for thread in threads:
            thread.join(10.0)

    def state(self) -> ExecutorState:
        return ExecutorState(
            self.spec.name,
            self.spec,
            self._slots,
            self._slots,
            "closed" if self._closed else "ready",
            info={**machine_info(), **({"scaled": self._scaled} if self._scaled else {})},
        )

    def _work(self) -> None:
        while not self._closed and (pack := self._queue.get()) is not None:
            if self._run(pack):
                with self._adding:  # another thread has taken its slot
                    self._lent -= 1
                    self._threads.remove(threading.current_thread())
                return

    def _run(self, pack: Pack) -> bool:
        """Whether its slot has been lent: an electron of it has waited for a dispatch, which may need one."""
        lent = False

        def emit(facts: list[Fact]) -> None:
            nonlocal lent
            if not lent and any(isinstance(fact, LogGrew) and fact.waits_for for fact in facts):
                lent = True
                with self._adding:
                    self._lent += 1
                self._add_threads()
            self._emit(facts)

        try:
            if self._bay.run(pack, emit):
                self._emit([PackEnded(pack.pack_id)])
        except Exception as error:  # the border of the thread
            log.exception("pack %s could not be run", pack.pack_id)
            text = f"the local executor could not run it: {error or type(error).__name__}"
            self._emit(self._ledger.fail(pack.pack_id, Error(type(error).__name__, text, cause="executor")))
        return lent
