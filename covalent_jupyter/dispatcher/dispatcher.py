"""The dispatcher: everything that happens to a dispatch passes here, on the service's event loop.

Each handler folds facts into runs (no ``await`` in between) and ends with :meth:`Dispatcher._flush`, which plans packs
and appends one batch. What must happen afterwards (announce, acknowledge, send, answer) waits until the store has committed it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec

from .. import engine
from ..crashpoint import crashpoint
from ..engine import DispatchRun
from ..errors import Conflict, InvalidRequest, NotFound, ServiceError
from ..model import (
    Ack,
    DispatchRow,
    Error,
    Fact,
    Hello,
    Manifest,
    Status,
    Welcome,
    wire,
)
from ..model.events import (
    Annotated,
    CancelRequested,
    ChildEnded,
    Noticed,
    RetryDue,
    TakenOver,
    decode_event,
)
from ..rows import dispatch_row, preview_of
from ..store import Store
from .checks import Limits
from .deadlines import Deadlines
from .folding import Folding
from .ledger import Ledger
from .placement import HostsPort, Placement
from .reading import Reading
from .submissions import Submissions
from .telling import NotifierPort, Telling
from .upkeep import Upkeep
from .variables import Variables

log = logging.getLogger(__name__)


class Dispatcher:
    """Runs dispatches. All methods are called on the event loop."""

    def __init__(
        self,
        store: Store,
        *,
        readers: ThreadPoolExecutor | None = None,
        executor_options: Callable[[str], dict[str, Any]] = lambda name: {},
        limits: Callable[[], Limits] = Limits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._limits = limits
        self._clock = clock
        self._reading = Reading(readers)
        self._variables = Variables(store.folder)
        self._ledger = Ledger(store)
        self._placement = Placement(
            self._ledger, self._reading, self._variables, executor_options=executor_options, clock=clock
        )
        self._placement.on_settle(self._flush)
        self._telling = Telling(self._ledger)
        self._submissions = Submissions(self._ledger, self._reading, self._variables, limits)
        self._upkeep = Upkeep(self._ledger, self._reading, clock)
        self._deadlines = Deadlines(self._ledger, clock, self._flush)
        self._folding = Folding(
            self._ledger, self._placement, self._upkeep, self._variables, self._deadlines, limits, clock
        )
        self.bus = self._ledger.bus
        self.runs = self._ledger.runs
        self.live_logs = self._folding.live_logs

    def attach_notifier(self, notifier: NotifierPort) -> None:
        """Who is told of failures and ends; once, before anything else."""
        self._telling.notifier = notifier

    def attach(self, hosts: HostsPort) -> None:
        """Gives the dispatcher its executor hosts; once, before anything else."""
        self._placement.hosts = hosts

    def running(self) -> int:
        """Root dispatches that have not ended."""
        return sum(1 for run in self.runs.values() if run.root == run.dispatch_id)

    def has_ended(self, dispatch_id: str) -> bool:
        """Whether the end of a dispatch is recorded (true also for one that never was)."""
        return self._ledger.key_of(dispatch_id) is None

    def end_of(self, dispatch_id: str) -> DispatchRow | None:
        """The row of a dispatch that ended lately, as :meth:`Ledger.end_of` has it."""
        return self._ledger.end_of(dispatch_id)

    def executors(self) -> list[dict[str, Any]]:
        """What executors there are, for people."""
        found = []
        for executor in self._placement.executors():
            state = executor.state
            found.append(
                {
                    "host": executor.host,
                    "name": executor.spec.name,
                    "slots": state.slots if state else 0,
                    "workers": state.workers if state else 0,
                    "state": state.state if state else "starting",
                    "message": state.message if state else "",
                    "packs": len(executor.packs),
                    "info": state.info if state else {},
                }
            )
        return found

    def why_waiting(self, dispatch_id: str) -> list[str]:
        """Why what is ready of a dispatch does not run yet, a sentence each; none where nothing waits."""
        run = self.runs.get(dispatch_id)
        return [] if run is None or run.ended is not None else self._placement.why_waiting(run)

    async def scale(self, name: str, host: str, n: int) -> list[dict[str, Any]]:
        """Has the executors of this name (on one ``host``, or on all) take ``n`` electrons at once. Conflict says why one cannot."""
        found = [
            e for e in self._placement.executors() if e.spec.name == name and (not host or e.host == host) and e.state
        ]
        if not found:
            raise Conflict(
                f"no executor {name[:80]!r} runs: it starts with the first electron that needs it. "
                "The setting dask_n_workers says how many slots the Dask cluster then has"
            )
        answers: list[dict[str, Any]] = []
        for executor in found:
            try:
                answer = await self._placement.scale(executor, n)
            except TimeoutError:
                answer = {"problem": "it did not answer"}
            if answer.get("problem"):
                raise Conflict(f"executor {name!r} could not be scaled: {answer['problem']}", scaled=answers)
            answers.append({"host": executor.host, "name": name, "slots": n, "workers": answer["workers"]})
        return answers

    # Submitting

    async def submit(self, head: wire.Head, small: dict[str, bytes]) -> tuple[str, bool]:
        """Takes a dispatch over. Returns after it is durable: its id, and whether it is new.

        Raises InvalidRequest for a manifest that is not sound, Conflict where the id exists with another graph,
        MissingBlobs where it names blobs that nobody has sent.
        """
        manifest = head.manifest
        if await self._submissions.is_in_memory(manifest):
            return manifest.dispatch_id, False
        prepared = await self._submissions.prepare(head, small)
        if prepared is None:
            await self._ledger.durable()
            return manifest.dispatch_id, False
        run, encoded, inputs = prepared
        reusable = await self._submissions.reusable(manifest)
        if await self._submissions.is_in_memory(manifest):  # a repeated POST overtook us meanwhile
            return manifest.dispatch_id, False
        self._variables.remember(manifest.dispatch_id, head.variables)
        crashpoint("submit.checked")
        if manifest.environment is not None:
            self._placement.environments[run.dispatch_id] = manifest.environment
        self._ledger.enter(run, encoded, inputs, small, self._clock())
        if reusable.nodes:
            self._ledger.step(run, TakenOver(manifest.redispatch_of or "", reusable.nodes))
        recorded = self._flush()
        crashpoint("submit.decided")
        await self._ledger.committed(recorded)
        crashpoint("submit.committed")
        return manifest.dispatch_id, True

    async def reusable(self, manifest: Manifest) -> dict[str, list[int]]:
        """Which nodes of this graph would be taken over from the dispatch that it repeats: ``reused``, ``gone``, ``unfit``.

        Raises InvalidRequest for a graph that is not sound, NotFound where there is no such dispatch.
        """
        await self._reading.run(self._submissions.check, manifest)
        found = await self._submissions.reusable(manifest)
        reused = sorted(node.node for node in found.nodes)
        return {"reused": reused, "gone": sorted(found.gone), "unfit": sorted(found.unfit)}

    # Facts from hosts

    def host_facts(self, host_id: str, n: int, facts: list[Fact]) -> None:
        """Facts number ``n`` of a host; acknowledged after the commit."""
        self._folding.fold(host_id, facts)
        crashpoint("outcome.folded")
        self._ledger.act(lambda: self._acknowledge(host_id, n), patient=True)
        self._flush(patient=True)

    def _acknowledge(self, host_id: str, n: int) -> None:
        crashpoint("acknowledge.due")
        self._placement.hosts.send(host_id, Ack(n))
        crashpoint("acknowledge.sent")

    def host_recovered(self, host_id: str, incarnation: str, facts: list[Fact], recorded: Callable[[], None]) -> None:
        """Facts that a dead host's runners left in their spools; ``recorded`` is called when they are durable."""
        self._folding.fold(host_id, facts)
        self._ledger.act(recorded, patient=True)
        self._flush()

    def host_ready(self, host_id: str, hello: Hello) -> Welcome:
        """A host is connected (again): what it no longer holds is decided anew."""
        drop = self._placement.host_ready(host_id, hello)
        self._flush()
        return Welcome(hello.protocol, 0, drop)

    def host_lost(self, host_id: str, incarnation: str, reason: str, status: int | None = None) -> None:
        """A host's process is gone, with this exit status (negative: of a signal) where that is known; its spools have been read."""
        log.warning("executor host %s is gone: %s", host_id, reason)
        self._placement.host_lost(host_id, reason, status)
        self._flush()

    # Asking

    async def cancel(self, dispatch_id: str, nodes: list[int] | None = None) -> dict[str, Any]:
        """Stops a dispatch or some of its nodes; returns at once after the wish is durable."""
        run = self.runs.get(dispatch_id)
        if run is None:
            row = await self._reading.run(self.store.dispatch, dispatch_id)
            if row is None:
                raise NotFound(f"no dispatch '{dispatch_id}'")
            _check_nodes(dispatch_id, nodes, row.counts.total)
            return {
                "dispatch_id": dispatch_id,
                "status": str(row.status),
                "cancelled": [],
                "stopping": [],
                "finished_first": nodes or [],
            }
        _check_nodes(dispatch_id, nodes, len(run.nodes))
        wanted = range(len(run.nodes)) if nodes is None else nodes
        open_before = [n for n in wanted if not run.nodes[n].status.ended]
        finished = [n for n in wanted if run.nodes[n].status.ended]
        self._ledger.step(run, CancelRequested(nodes, self._clock()))
        self._flush()
        crashpoint("cancel.decided")
        await self._ledger.durable()
        crashpoint("cancel.durable")
        return {
            "dispatch_id": dispatch_id,
            "status": str(run.status),
            "cancelled": [n for n in open_before if run.nodes[n].status is Status.CANCELLED],
            "stopping": [n for n in open_before if not run.nodes[n].status.ended],
            "finished_first": finished if nodes is not None else [],
        }

    async def redispatch(self, dispatch_id: str, *, reuse: str = "none", seed: int | None = None) -> str:
        """Runs a recorded dispatch again as it was recorded; returns the new id.

        Nobody sends environment variables: what is left of the recorded ones is taken, and failures name the rest.
        """
        if reuse not in ("none", "changed", "failed"):
            raise InvalidRequest(f"reuse is 'none', 'changed' or 'failed', not {reuse!r}")
        data = await self._reading.run(self.store.manifest, dispatch_id)
        if data is None:
            raise NotFound(f"no dispatch '{dispatch_id}'")
        manifest = wire.decode_manifest(data)
        if manifest.environment is None:
            raise InvalidRequest("a sublattice's run cannot be redispatched by itself; redispatch its root")
        manifest.dispatch_id = str(uuid.uuid4())
        manifest.redispatch_of = dispatch_id
        manifest.reuse = reuse  # type: ignore[assignment]
        manifest.created = self._clock()
        if seed is not None:
            manifest.seed = seed
        variables = self._variables.get(dispatch_id)  # none, once it has ended
        self._variables.miss(manifest.dispatch_id, manifest.environment.variables, variables)
        try:
            new_id, _ = await self.submit(wire.Head(manifest, [], variables), {})
        except ServiceError:
            self._variables.drop(manifest.dispatch_id)
            raise
        return new_id

    async def update(
        self, dispatch_id: str, *, label: str | None = None, tags: list[str] | None = None, note: str | None = None
    ) -> DispatchRow:
        """Changes what people wrote on a dispatch."""
        event = Annotated(label, tags, note)
        run = self.runs.get(dispatch_id)
        if run is None:
            return await self._upkeep.annotate(dispatch_id, event)
        self._ledger.step(run, event)
        self._flush()
        await self._ledger.durable()
        return dispatch_row(run)

    async def notice(self, dispatch_id: str, text: str) -> None:
        """Something that people should be told about a dispatch. NotFound if it was deleted."""
        run = self.runs.get(dispatch_id)
        if run is None:
            await self._upkeep.annotate(dispatch_id, Noticed(text))
            return
        self._ledger.step(run, Noticed(text))
        self._flush()
        await self._ledger.durable()

    async def delete(self, ids: list[str]) -> dict[str, Any]:
        """Forgets ended dispatches with their sublattices; frees what nothing else refers to."""
        return await self._upkeep.delete(ids)

    async def would_free(self, ids: list[str]) -> dict[str, Any]:
        """What deleting these dispatches would do."""
        return await self._upkeep.would_free(ids)

    async def purge(self, *, older_than: float, states: list[str], dry_run: bool = False) -> dict[str, Any]:
        """Deletes ended root dispatches that ended more than ``older_than`` seconds ago, in these states."""
        return await self._upkeep.purge(older_than=older_than, states=states, dry_run=dry_run)

    # Recovery

    async def recover(self) -> list[str]:
        """Takes up every unfinished dispatch where the log leaves it."""
        ids = list(await self._reading.run(self.store.unfinished))
        crashpoint("recovery.begun")
        for dispatch_id in ids:
            data = await self._reading.run(self.store.manifest, dispatch_id)
            if data is None:
                log.error("dispatch %s has no manifest; it is left alone", dispatch_id)
                continue
            events = [decode_event(e) for _, _, e in await self._reading.run(self.store.events, dispatch_id)]
            manifest = wire.decode_manifest(data)
            run = engine.replay(manifest, events)
            run.changed.clear()
            run.superseded.clear()
            if run.ended is not None:
                continue
            self.runs[dispatch_id] = self._ledger.touched[dispatch_id] = run
            if manifest.environment is not None:
                self._placement.environments[dispatch_id] = manifest.environment
                self._variables.load(dispatch_id, manifest.environment.variables)
        for run in self.runs.values():
            self._placement.recover(run)
            self._telling.recovered(run)
            self._deadlines.watch_all(run)
        crashpoint("recovery.replayed")
        self._flush()
        return ids

    async def close(self) -> None:
        """Waits for what is on its way to the store; runs stay as they are and resume later."""
        await self._ledger.durable()

    # Deciding

    def _flush(self, *, patient: bool = False) -> Future[int] | None:
        """Carries out what folding left to do, plans packs, and records this turn."""
        self._settle()
        self._placement.plan()
        self._settle()
        for run in self._ledger.touched.values():
            if run.ended is not None:
                self._folding.retire(run)
            self._telling.look(run)
        return self._ledger.flush(patient=patient)

    def _settle(self) -> None:
        """Empties the work lists of the runs that this turn touched."""
        queue = list(self._ledger.touched.values())
        while queue:
            run = queue.pop()
            due = engine.todo(run)
            if due.stop:
                self._placement.stop(run, due.stop)
            for child_id in due.cancel_children:
                child = self.runs.get(child_id)
                if child is not None and child.ended is None:
                    self._ledger.step(child, CancelRequested(None, self._clock()))
                    queue.append(child)
            for node_id, delay in due.delayed:
                self._ledger.act(lambda r=run, n=node_id, d=delay: self._retry_later(r, n, d))  # type: ignore[misc]
            parent = self._parent_that_waits(run)
            if parent is not None and run.manifest.parent is not None:
                self._ledger.step(parent, _child_ended(run, run.manifest.parent[1]))
                queue.append(parent)

    def _parent_that_waits(self, run: DispatchRun) -> DispatchRun | None:
        if run.ended is None or run.manifest.parent is None:
            return None
        parent = self.runs.get(run.manifest.parent[0])
        if parent is None:
            return None
        state = parent.nodes[run.manifest.parent[1]]
        return parent if state.child == run.dispatch_id and not state.status.ended else None

    def _retry_later(self, run: DispatchRun, node_id: int, delay: float) -> None:
        def due() -> None:
            if run.dispatch_id in self.runs:
                crashpoint("retry.due")
                self._ledger.step(run, RetryDue([node_id]))
                self._flush()

        asyncio.get_running_loop().call_later(delay, due)


def _check_nodes(dispatch_id: str, nodes: list[int] | None, total: int) -> None:
    unknown = [n for n in nodes or [] if not 0 <= n < total]
    if unknown:
        raise NotFound(f"dispatch {dispatch_id[:8]} has no electron {unknown[0]}: it has {total}, from 0")


#: what the innermost sublattice has added to an error
_INSIDE = re.compile(r" \((in sublattice .{1,2000} \([0-9a-f]{8}\))(?:, (\d+) levels down)?\)\Z", re.DOTALL)


def _further_up(message: str, where: str) -> str:
    """The message with the innermost sublattice that it comes from, and how many levels down that is."""
    found = _INSIDE.search(message)
    if found is None:
        return f"{message} ({where})"
    return f"{message[: found.start()]} ({found[1]}, {int(found[2] or 1) + 1} levels down)"


def _child_ended(run: DispatchRun, node_id: int) -> ChildEnded:
    """What the end of a sublattice's run means for its node."""
    error = None
    if run.status is Status.FAILED:
        first = run.nodes[run.failed[0]].error if run.failed else None
        where = f"in sublattice {run.manifest.name} ({run.dispatch_id[:8]})"
        if first is None:
            error = Error("DispatchFailed", f"{where}: {run.error}")
        else:
            error = msgspec.structs.replace(first, message=_further_up(first.message, where))
    return ChildEnded(
        node_id, run.dispatch_id, run.status, run.output, error, run.ended or run.created, preview_of(run)
    )
