"""When somebody is to be told that a dispatch failed or ended."""

from __future__ import annotations

from typing import Protocol

from ..engine import DispatchRun
from ..model import Status
from ..model.notify import FAILURE, Notify
from .ledger import Ledger

_LOOKED_AT = 20  # failures of one turn


class NotifierPort(Protocol):
    """Who carries notifications out."""

    def owe(self, dispatch_id: str, notify: Notify, event: str) -> dict[str, str | None]: ...
    def tell(self, dispatch_id: str, event: str) -> None: ...


class Telling:
    """Watches root dispatches for their first failure (``failure``) and their end (``finished``)."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._failing: set[str] = set()  # root dispatches of which a failure was told
        self.notifier: NotifierPort | None = None

    def recovered(self, run: DispatchRun) -> None:
        """What failed before the service ended was told, or is owed."""
        if _has_failed(run):
            self._failing.add(run.root)

    def look(self, run: DispatchRun) -> None:
        """Called for each run that a turn has changed, before the turn is recorded."""
        root = run if run.root == run.dispatch_id else self._ledger.runs.get(run.root)
        if root is None or self.notifier is None:
            return
        if run is root and run.ended is not None:
            told = run.root in self._failing
            self._failing.discard(run.root)
            if root.manifest.notify != FAILURE:
                self._owe(root, "finished")
            elif run.status is Status.FAILED and not told:
                self._owe(root, "failure")
        elif run.root not in self._failing and _has_failed(run):
            self._failing.add(run.root)
            self._owe(root, "failure")

    def _owe(self, root: DispatchRun, event: str) -> None:
        notifier = self.notifier
        assert notifier is not None
        settings = notifier.owe(root.dispatch_id, root.manifest.notify, event)
        if settings:
            self._ledger.set(settings)
            self._ledger.act(lambda: notifier.tell(root.dispatch_id, event))


def _has_failed(run: DispatchRun) -> bool:
    return any(run.options(node).on_error == "fail" for node in run.failed[-_LOOKED_AT:])
