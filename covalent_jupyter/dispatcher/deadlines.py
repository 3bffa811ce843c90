"""Timeouts of sublattices: that of an electron is its runner's to keep, but a sublattice runs in no place of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ..engine import DispatchRun
from ..model import Error, Status
from ..model.events import CancelRequested, ChildEnded
from .ledger import Ledger


class Deadlines:
    """Ends the runs of sublattices that take too long. ``flush`` records what was decided."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float], flush: Callable[[], Any]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._flush = flush

    def watch(self, parent: DispatchRun, node_id: int) -> None:
        """The run of this node has begun, or goes on after a restart of the service."""
        state, limit = parent.nodes[node_id], parent.options(node_id).timeout
        if limit is None or state.child is None or state.status.ended:
            return
        left = (state.started or self._clock()) + limit - self._clock()
        parent_id, child_id = parent.dispatch_id, state.child
        asyncio.get_running_loop().call_later(max(0.0, left), lambda: self._due(parent_id, node_id, child_id, limit))

    def watch_all(self, run: DispatchRun) -> None:
        """Those of a run that was taken up again."""
        for node_id, state in enumerate(run.nodes):
            if state.child is not None:
                self.watch(run, node_id)

    def _due(self, parent_id: str, node_id: int, child_id: str, limit: float) -> None:
        parent, child = self._ledger.runs.get(parent_id), self._ledger.runs.get(child_id)
        if parent is None or parent.nodes[node_id].child != child_id or parent.nodes[node_id].status.ended:
            return
        now = self._clock()
        if child is not None and child.ended is None:
            self._ledger.step(child, CancelRequested(None, now))
        text = (
            f"{parent.manifest.nodes[node_id].name} (node {node_id}) ran longer than its timeout of {limit:g} s: "
            "what was left of the sublattice is cancelled"
        )
        hint = "raise the sublattice's timeout option, or make it faster"
        error = Error("ElectronTimeout", text, cause="timeout", hint=hint)
        self._ledger.step(parent, ChildEnded(node_id, child_id, Status.FAILED, None, error, now))
        self._flush()
