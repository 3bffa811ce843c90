"""Fold, record, announce, act, in this order: what was decided becomes durable before anything acts on it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

import msgspec

from .. import engine
from ..crashpoint import crashpoint
from ..engine import DispatchRun
from ..model import INLINE, DispatchRow, Outcome, Output
from ..model.events import Event, Submitted, encode_event, kind_of
from ..rows import bare, dispatch_row, electron_row
from ..store import Batch, Metric, Store
from .bus import Bus
from .packs import ValueCache

log = logging.getLogger(__name__)

Action = Callable[[], Any]
_ENDS = 100  # rows of dispatches that ended last


class Ledger:
    """Collects the decisions of one turn of the event loop and appends them to the store as one batch.

    ``runs`` are the dispatches that have not ended. Runs hold the *decided* state; the store the *durable* one.
    Actions (answers, messages to hosts) wait until the batch of their turn is committed.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.bus = Bus(store.last_seq)
        self.runs: dict[str, DispatchRun] = {}
        self.cache = ValueCache()
        self.touched: dict[str, DispatchRun] = {}
        self._leaving: dict[str, str] = {}  # ended, and their end is not durable yet: id -> key
        self._ends: OrderedDict[str, DispatchRow] = OrderedDict()  # as those who wait for them want to see them
        self._new: set[str] = set()
        self._batch = Batch()
        self._actions: list[Action] = []
        self._awaited = False  # whether one of them is more than telling a host what it can forget
        self._under_way: deque[list[Action]] = deque()  # actions of batches that are not durable yet, in their order

    def key_of(self, dispatch_id: str) -> str | None:
        """The manifest's key of a run that is in memory."""
        run = self.runs.get(dispatch_id)
        return run.manifest.key if run is not None else self._leaving.get(dispatch_id)

    def enter(self, run: DispatchRun, manifest: bytes, inputs: bytes, small: dict[str, bytes], now: float) -> None:
        """A new run: its manifest, inputs for people, small values and references go into this turn's batch."""
        self.runs[run.dispatch_id] = run
        self._batch.manifests.append((run.dispatch_id, manifest))
        self._batch.inputs.append((run.dispatch_id, inputs))
        for digest, data in small.items():
            self.keep(digest, data)
        self._batch.references.extend((run.dispatch_id, digest) for digest in run.manifest.blobs)
        self._new.add(run.dispatch_id)
        self.step(run, Submitted(run.manifest.created or now, run.root, run.manifest.parent))

    def keep(self, digest: str, data: bytes) -> None:
        """A small value: into the store, and into the cache for the packs that need it soon."""
        self.cache.put(digest, data)
        self._batch.values.append((digest, data))

    def keep_metrics(self, metrics: Iterable[Metric]) -> None:
        """What electrons reported; the event that counts it goes into the same batch."""
        self._batch.metrics.extend(metrics)

    def set(self, settings: dict[str, str | None]) -> None:
        """Settings of the store that change with this turn."""
        self._batch.settings.update(settings)

    def drop_references(self, run: DispatchRun, digests: list[str]) -> None:
        """The dispatch does not need these values any more."""
        self._batch.dereferences.extend((run.dispatch_id, digest) for digest in digests)

    def take_values(self, outcome: Outcome) -> Outcome:
        """Keeps the small values of an outcome; returns it as the log has it, by digest only."""
        error = outcome.error
        for output in (outcome.output, error.exception if error is not None else None):
            if output is not None:
                self._batch.references.append((outcome.dispatch_id, output.digest))
                if output.data is not None:
                    self.keep(output.digest, output.data)
        if error is not None and error.exception is not None and error.exception.data is not None:
            error = msgspec.structs.replace(error, exception=_bare(error.exception))
        child = b"" if outcome.child is not None else None
        return msgspec.structs.replace(outcome, output=_bare(outcome.output), error=error, child=child)

    def step(self, run: DispatchRun, event: Event) -> None:
        """Folds one event; it, and what follows from it, is recorded by the next flush."""
        events = engine.advance(run, event)
        self._batch.events.extend((run.dispatch_id, kind_of(e), encode_event(e)) for e in events)
        self.touched[run.dispatch_id] = run

    def act(self, action: Action, *, patient: bool = False) -> None:
        """To be done when this turn is durable; ``patient`` if that may be a moment later."""
        self._actions.append(action)
        self._awaited |= not patient

    def flush(self, *, patient: bool = False) -> Future[int] | None:
        """Appends this turn's batch; None if there was nothing to record. ``patient``: the caller does not wait for it."""
        batch, actions = self._batch, self._actions
        batch.new_electrons = bool(self._new) and all(d in self._new for d in self.touched)
        for run in self.touched.values():
            nodes = range(len(run.nodes)) if run.dispatch_id in self._new else sorted(run.changed)
            batch.electrons.extend([electron_row(run, n) for n in nodes])
            row = dispatch_row(run)
            batch.dispatches.append(row)
            run.changed.clear()
            batch.attempts.extend(run.superseded)
            run.superseded.clear()
            if run.ended is not None:
                self._leave(run, row)
        self.touched, self._new = {}, set()
        patient = patient and not self._awaited
        self._batch, self._actions, self._awaited = Batch(), [], False
        if not (batch.events or batch.values or batch.references):
            if self._under_way:  # a host takes Ack(n) for everything up to n: that must be on the disk
                self._under_way[-1].extend(actions)
                return None
            for action in actions:
                action()
            return None
        future = self.store.append(batch, patient=patient, unread=True)
        self._under_way.append(actions)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda f: loop.call_soon_threadsafe(self._committed, f, actions))
        return future

    async def committed(self, future: Future[int] | None) -> None:
        """Waits until what :meth:`flush` appended is durable."""
        if future is not None:
            await asyncio.shield(asyncio.wrap_future(future))

    async def durable(self) -> None:
        """Waits until everything decided so far is durable."""
        await self.committed(self.flush())
        await self.committed(self.store.append(Batch()))

    async def append(self, batch: Batch) -> None:
        """Records something beside the runs, and announces it."""
        for dispatch_id in (*batch.deletes, *(row.dispatch_id for row in batch.dispatches)):
            self._ends.pop(dispatch_id, None)
        self.bus.publish(await asyncio.wrap_future(self.store.append(batch)))

    def end_of(self, dispatch_id: str) -> DispatchRow | None:
        """The row of a dispatch whose end was recorded lately, with the bytes of a small result; the store need not be asked."""
        return self._ends.get(dispatch_id)

    def _leave(self, run: DispatchRun, row: DispatchRow) -> None:
        """Ended runs leave memory."""
        self.runs.pop(run.dispatch_id, None)
        self._leaving[run.dispatch_id] = run.manifest.key
        self.act(lambda: self._left(row))

    def _left(self, row: DispatchRow) -> None:
        """Its end is durable, and has a number that was published."""
        self._leaving.pop(row.dispatch_id, None)
        output = row.output
        if isinstance(output, Output) and output.size <= INLINE:
            data = self.cache.get(output.digest)
            if data is None:
                return
            output = Output(output.digest, output.size, data)
        self._ends[row.dispatch_id] = msgspec.structs.replace(row, seq=self.bus.seq, output=output)
        while len(self._ends) > _ENDS:
            self._ends.popitem(last=False)

    def _committed(self, future: Future[int], actions: list[Action]) -> None:
        self._under_way.popleft()
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:  # the store refuses only a batch that is itself faulty: a bug, not a full disk
            log.error("the store refused a batch", exc_info=error)
            return
        crashpoint("commit.heard")
        self.bus.publish(future.result())
        for action in actions:
            action()


def _bare(output: Output | None) -> Output | None:
    result = bare(output)
    assert result is None or isinstance(result, Output)
    return result
