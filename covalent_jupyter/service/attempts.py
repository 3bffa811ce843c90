"""Every attempt of an electron: the rows of electrons show the last one alone."""

from __future__ import annotations

from ..model import AttemptRow
from ..store import Store
from .queries import Attempt

_MOST = 10_000  # attempts of one electron


def attempts_of(store: Store, dispatch_id: str, node: int) -> list[AttemptRow]:
    """The attempts of one node, first to last; blocks."""
    return store.attempts(dispatch_id, node=node, limit=_MOST)[0]


def told(row: AttemptRow) -> Attempt:
    """One attempt as a line of a table."""
    error = row.error
    return Attempt(
        row.node, row.attempt, row.name, row.status, row.queued, row.started, row.ended, row.duration, row.executor,
        row.host, row.worker, row.rss, error.type if error else "", error.message if error else "",
        error.cause if error else "", error.exitcode if error else None, error.signal if error else "",
    )  # fmt: skip
