"""Every attempt of an electron, as the log tells: the rows show the last one alone."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ..model import Error, Log
from ..model.events import ChildEnded, Finished, Launched, Started, decode_event
from ..store import Store

_KINDS = frozenset({"launched", "started", "finished", "child_ended"})


class AttemptInfo(Struct, omit_defaults=True):
    """One attempt; ``status`` is running, completed, failed, cancelled or interrupted."""

    attempt: int
    status: str = "queued"
    executor: str = ""
    started: float | None = None
    ended: float | None = None
    worker: str = ""
    error: Error | None = None
    stdout: Log = Log()
    stderr: Log = Log()


def attempts_of(store: Store, dispatch_id: str, node: int) -> list[AttemptInfo]:
    """The attempts of one node, first to last; blocks."""
    found: dict[int, AttemptInfo] = {}
    for _, kind, data in store.events(dispatch_id):
        if kind in _KINDS:
            _add(found, decode_event(data), node)
    return [found[number] for number in sorted(found)]


def _add(found: dict[int, AttemptInfo], event: object, node: int) -> None:
    if isinstance(event, Launched):
        for other, attempt in event.tasks:
            if other == node:
                info = found.setdefault(attempt, AttemptInfo(attempt))
                info.executor = event.executor
    elif isinstance(event, Started):
        for other, attempt, when, worker in event.items:
            if other == node:
                info = found.setdefault(attempt, AttemptInfo(attempt))
                info.status, info.started, info.worker = "running", when, worker
    elif isinstance(event, Finished):
        for outcome in event.outcomes:
            if outcome.node == node:
                info = found.setdefault(outcome.attempt, AttemptInfo(outcome.attempt))
                found[outcome.attempt] = msgspec.structs.replace(
                    info, status="running" if outcome.child is not None else outcome.status, started=outcome.started or info.started,
                    ended=None if outcome.child is not None else outcome.finished, worker=outcome.worker or info.worker,
                    error=outcome.error, stdout=outcome.stdout, stderr=outcome.stderr,
                )  # fmt: skip
    elif isinstance(event, ChildEnded) and event.node == node and found:
        last = found[max(found)]
        last.status, last.ended, last.error = str(event.status).lower(), event.time, event.error
