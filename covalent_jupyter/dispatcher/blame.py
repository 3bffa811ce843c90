"""Which electron ended the process in which it ran with a user's own executor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from ..engine import DispatchRun
from ..model import Error, Outcome, Status
from ..model.events import Finished
from ..processes import signal_name
from .capacity import SentPack
from .ledger import Ledger


class Suspects:
    """Electrons that were cut off by the death of a plug-in host, whose process all electrons there share. Each is tried there
    alone, after all others: if it dies again, that was the electron's doing."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._by_host: dict[str, set[tuple[str, int]]] = {}

    def add(self, host_id: str, dispatch_id: str, node_id: int) -> None:
        self._by_host.setdefault(host_id, set()).add((dispatch_id, node_id))

    def forget(self, host_id: str) -> None:
        """The host is not needed any more."""
        self._by_host.pop(host_id, None)

    def may_begin(
        self, run: DispatchRun, ready: Collection[int], host_id: str, packs: Iterable[SentPack]
    ) -> Collection[int]:
        """Those of the ready ones that may go to the host now, where ``packs`` are under way."""
        suspects = {s for s in self._by_host.get(host_id, ()) if self._is_open(*s)}
        if not suspects:
            self._by_host.pop(host_id, None)
            return ready
        self._by_host[host_id] = suspects
        held = {(p.dispatch_id, n) for p in packs if p.host == host_id for n, _ in p.tasks}
        if held & suspects:
            return []
        clear = [n for n in ready if (run.dispatch_id, n) not in suspects]
        return clear or ([] if held else list(ready)[:1])

    def host_died(self, host_id: str, status: int | None, packs: Iterable[SentPack]) -> None:
        """``status`` is the exit status of its process, negative where a signal ended it; None where nobody knows it."""
        running = [
            (run, n)
            for pack in packs
            if pack.host == host_id and (run := self._ledger.runs.get(pack.dispatch_id)) is not None
            for n, attempt in pack.tasks
            if run.nodes[n].attempt == attempt and run.nodes[n].status is Status.RUNNING
        ]
        known = self._by_host.get(host_id, ())
        if status and len(running) == 1 and (running[0][0].dispatch_id, running[0][1]) in known:
            self._has_ended_it(*running[0], status)
        for run, n in running:
            self.add(host_id, run.dispatch_id, n)

    def _has_ended_it(self, run: DispatchRun, node_id: int, status: int) -> None:
        state, now = run.nodes[node_id], self._clock()
        began = state.started or now
        error = _error(run.manifest.nodes[node_id].name, node_id, status)
        outcome = Outcome(run.dispatch_id, node_id, state.attempt, "failed", began, now, now - began, error=error)
        self._ledger.step(run, Finished([outcome]))

    def _is_open(self, dispatch_id: str, node_id: int) -> bool:
        run = self._ledger.runs.get(dispatch_id)
        return run is not None and not run.nodes[node_id].status.ended


def _error(name: str, node_id: int, status: int) -> Error:
    who = f"{name} (node {node_id}) ended the process of its executor whenever it ran there"
    hint = (
        "with an executor of your own, electrons run in one process with its `run`, unless that hands them elsewhere: "
        "try the electron with executor='local', which gives it a process of its own"
    )
    if status < 0:
        found = signal_name(-status)
        return Error("ElectronCrashed", f"{who}: it was killed by {found}", signal=found, cause="crashed", hint=hint)
    return Error(
        "ElectronCrashed", f"{who}: it ended with exit code {status}", exitcode=status, cause="crashed", hint=hint
    )
