"""What came after N: the one feed that widgets, sidebar and waiting clients share."""

from __future__ import annotations

import math
import time
from typing import Any

from ..errors import InvalidRequest
from ..store import Changes, Store
from . import queries as q
from .handlers_dispatches import resolve, with_bytes, without_pictures
from .web import Handler

#: Seconds during which changes are collected into one answer, unless a dispatch ends.
WINDOW = 0.1
#: Seconds that one answer may be waited for, whatever is asked.
LONGEST = 60.0
#: Seconds between two looks into the store while nothing that was asked for has changed.
PAUSE = 0.02
#: Seconds after which a waiting request looks whether its client is still there.
GLANCE = 5.0


class Events(Handler):
    """A long poll. Changes of a fraction of a second are one answer; the end of a dispatch is answered at once."""

    async def get(self) -> None:
        query = self.query(q.Follow)
        wait = min(query.wait, LONGEST) if math.isfinite(query.wait) else 0.0
        if query.dispatch and query.electrons_of:
            raise InvalidRequest(
                "events takes `dispatch` (of this one alone) or `electrons_of` (of all, rows), not both"
            )
        dispatch = await self.context.read(resolve, self.context.store, query.dispatch) if query.dispatch else None
        self._wanted = _wanted(query, dispatch)
        began = time.monotonic()
        if query.ended and dispatch is not None:
            await self._until_end(dispatch, began + wait)
            row = self.context.dispatcher.end_of(dispatch) if not (query.after or query.electrons) else None
            known = Changes(row.seq, [row], [], []) if row is not None else None
            self._answer(query, known or await self._changes(query, dispatch))
            return
        live_before = self._live()
        running = self.context.dispatcher.running()
        while True:
            changes = await self._changes(query, dispatch)
            left = began + wait - time.monotonic()
            if _any(changes):
                if wait and query.after and not changes.more and not self._ended(dispatch, running):
                    await self._collect(began + min(WINDOW, wait), dispatch, running)
                    changes = await self._changes(query, dispatch)
                break
            if left <= 0 or self._over or self.context.stopping:
                break
            if self._live() != live_before:
                break
            bus = self.context.dispatcher.bus
            if await bus.wait(changes.seq, min(left, GLANCE)):  # not the bus's: it may have moved on while we read
                await self._collect(min(time.monotonic() + PAUSE, began + wait), dispatch, running)
        self._answer(query, changes)

    async def _until_end(self, dispatch: str, deadline: float) -> None:
        """Until the end of the dispatch is recorded, or the time is over."""
        bus, backend = self.context.dispatcher.bus, self.context.dispatcher
        while not backend.has_ended(dispatch) and not self._over and not self.context.stopping:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            await bus.wait(bus.seq, min(left, GLANCE))

    async def _changes(self, query: q.Follow, dispatch: str | None) -> Changes:
        return await self.context.read(_changes, self.context.store, query, dispatch, self._wanted)

    async def _collect(self, until: float, dispatch: str | None, running: int) -> None:
        bus = self.context.dispatcher.bus
        while (left := until - time.monotonic()) > 0 and not self._ended(dispatch, running):
            await bus.wait(bus.seq, left)

    def _ended(self, dispatch: str | None, running: int) -> bool:
        backend = self.context.dispatcher
        return dispatch not in backend.runs if dispatch is not None else backend.running() < running

    def _live(self) -> dict[tuple[str, int], tuple[Any, ...]]:
        return {
            key: (grown.attempt, grown.stdout_size, grown.stderr_size, grown.displays_size, grown.progress)
            for key, grown in self.context.dispatcher.live_logs.items()
            if self._wanted is None or key[0] in self._wanted
        }

    def _answer(self, query: q.Follow, changes: Changes) -> None:
        logs: list[q.LiveLog] = []
        for (dispatch_id, node), grown in self.context.dispatcher.live_logs.items():
            if (self._wanted is None or dispatch_id in self._wanted) and len(logs) < query.limit:
                logs.append(
                    q.LiveLog(
                        dispatch_id,
                        node,
                        grown.attempt,
                        grown.stdout_size,
                        grown.stderr_size,
                        grown.progress,
                        grown.displays_size,
                    )
                )
        electrons = changes.electrons if query.pictures else [without_pictures(row) for row in changes.electrons]
        self.reply(
            q.Feed(
                seq=changes.seq, next=changes.seq if changes.more else None, reset=changes.reset,
                dispatches=changes.dispatches, electrons=electrons, deleted=changes.deleted, logs=logs,
            )
        )  # fmt: skip


def _wanted(query: q.Follow, dispatch: str | None) -> frozenset[str] | None:
    """Of which dispatches electrons and logs are told; None: of all."""
    if query.electrons_of:
        return frozenset(part for part in query.electrons_of.split(",") if part)
    if not query.electrons:
        return frozenset()
    return None if dispatch is None else frozenset((dispatch,))


def _changes(store: Store, query: q.Follow, dispatch: str | None, wanted: frozenset[str] | None) -> Changes:
    if wanted or dispatch is None:
        return store.changes(query.after, dispatch_id=dispatch, limit=query.limit, electrons_of=wanted)
    seq = store.last_seq  # before the row is read: what comes between is told once more, not lost
    if query.after > seq:
        return Changes(seq, [], [], [], reset=True)
    row = store.dispatch(dispatch)
    if row is None:
        return Changes(seq, [], [], [dispatch])
    if row.status.ended:
        with_bytes(store, row)
    return Changes(seq, [row] if row.seq > query.after else [], [], [])


def _any(changes: Changes) -> bool:
    return bool(changes.dispatches or changes.electrons or changes.deleted or changes.reset or changes.more)
