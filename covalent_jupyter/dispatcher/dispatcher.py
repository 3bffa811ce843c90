"""The dispatcher: everything that happens to a dispatch passes here, on the service's event loop.

Each handler folds facts into runs (no ``await`` in between), then :meth:`Dispatcher._flush` plans packs and
appends one batch. What must happen afterwards (announce, acknowledge, send packs, answer) waits in that batch's actions until
the store has committed it.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import msgspec

from .. import engine, packing
from ..engine import DispatchRun
from ..errors import Conflict, InvalidRequest, MissingBlobs, NotFound
from ..model import (

    Ack,
    Attempt,
    Began,
    CancelAttempts,
    DispatchRow,
    Environment,
    Error,
    ExecutorSpec,
    ExecutorState,
    Fact,
    Hello,
    LogGrew,
    Manifest,
    Outcome,
    Output,
    Pack,
    PackEnded,
    Release,
    Returned,
    Run,
    Status,
    Welcome,
    wire,
)
from ..model.events import (
    CancelRequested,
    ChildEnded,
    Event,
    Finished,
    GivenBack,
    Launched,
    RetryDue,
    Reused,
    Started,
    Submitted,
    TakenOver,
    decode_event,
    encode_event,
    kind_of,
)
from ..store import Batch, Store
from .bus import Bus
from .capacity import Executor, SentPack, amount, executor_key
from .checks import check_manifest
from .packs import ValueCache, make_pack, small_digests
from ..rows import bare, digests_of, dispatch_row, electron_row
from .variables import Variables

log = logging.getLogger(__name__)

#: A host that is lost this often in a row, without ever having been ready, will not come.
MAX_HOST_FAILURES = 3


class HostsPort(Protocol):
    """What the dispatcher needs of the executor hosts."""

    def ensure(self, environment: Environment, *, plugin: ExecutorSpec | None = None, root_id: str = "") -> str: ...
    def send(self, host_id: str, message: Any) -> bool: ...
    def drop(self, host_id: str) -> None: ...


class Dispatcher:
    """Runs dispatches. All methods are called on the event loop; ``await``-able ones say so."""

    def __init__(
        self,
        store: Store,
        *,
        readers: ThreadPoolExecutor | None = None,
        executor_options: Callable[[str], dict[str, Any]] = lambda name: {},
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.bus = Bus(store.last_seq)
        self.runs: dict[str, DispatchRun] = {}
        self.live_logs: dict[tuple[str, int], LogGrew] = {}
        self.statistics = packing.Statistics()
        self._hosts: HostsPort | None = None
        self._readers = readers or ThreadPoolExecutor(4, "reader")
        self._executor_options = executor_options
        self._clock = clock
        self._executors: dict[tuple[str, str], Executor] = {}
        self._packs: dict[str, SentPack] = {}
        self._host_failures: dict[str, int] = {}
        self._environments: dict[str, Environment] = {}  # by root
        self._variables = Variables(store.folder)
        self._cache = ValueCache()
        self._leaving: dict[str, str] = {}  # ended runs whose end is not durable yet: id -> key
        self._batch = Batch()
        self._touched: dict[str, DispatchRun] = {}
        self._new: set[str] = set()
        self._actions: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Future[Any]] = set()
        folder = Path(store.folder)
        self._folders = (str(folder / "blobs"), str(folder / "logs"), str(folder / "work"))

    def attach(self, hosts: HostsPort) -> None:
        """Gives the dispatcher its executor hosts; once, before anything else."""
        self._hosts = hosts

    @property
    def hosts(self) -> HostsPort:
        if self._hosts is None:
            raise RuntimeError("the dispatcher has no hosts yet")
        return self._hosts

    def running(self) -> int:
        """Dispatches that have not ended (sublattices' runs not counted)."""
        return sum(1 for run in self.runs.values() if run.root == run.dispatch_id)

    def executors(self) -> list[dict[str, Any]]:
        """What executors there are, for people."""
        return [
            {
                "host": e.host,
                "name": e.spec.name,
                "slots": e.state.slots if e.state else 0,
                "workers": e.state.workers if e.state else 0,
                "state": e.state.state if e.state else "starting",
                "message": e.state.message if e.state else "",
                "packs": len(e.packs),
                "info": e.state.info if e.state else {},
            }
            for e in self._executors.values()
        ]

    # Submitting

    async def submit(self, head: wire.Head, blobs: dict[str, bytes]) -> tuple[str, bool]:
        """Takes a dispatch over. Returns after it is durable: its id, and whether it is new.

        Raises InvalidRequest for a manifest that is not sound, Conflict where the id exists with another graph,
        MissingBlobs where it names blobs that nobody has sent.
        """
        manifest = head.manifest
        known = self._known(manifest)
        if known is None:
            row = await self._read(self.store.dispatch, manifest.dispatch_id)
            known = row.key if row is not None else None
        if known is not None:
            if known != manifest.key:
                raise Conflict(f"dispatch {manifest.dispatch_id} exists already, with another graph")
            await self._durable()
            return manifest.dispatch_id, False
        run = await self._read(self._prepare, manifest, blobs)
        taken = await self._reusable(manifest)
        if self._known(manifest) is not None:  # a repeated POST overtook us meanwhile
            await self._durable()
            return manifest.dispatch_id, False
        self._variables.keep(manifest.dispatch_id, head.variables)
        done = self._enter(run, wire.encode_manifest(manifest), blobs)
        if taken is not None and taken.nodes:
            self._step(run, taken)
        await self._flushed(done)
        return manifest.dispatch_id, True

    def _known(self, manifest: Manifest) -> str | None:
        run = self.runs.get(manifest.dispatch_id)
        return run.manifest.key if run is not None else self._leaving.get(manifest.dispatch_id)

    def _prepare(self, manifest: Manifest, blobs: dict[str, bytes]) -> DispatchRun:
        """Checks a manifest and makes its run; off the event loop."""
        if manifest.environment is None or manifest.parent is not None:
            raise InvalidRequest("a submitted dispatch needs an environment and has no parent")
        check_manifest(manifest)
        missing = self.store.missing([d for d in manifest.blobs if d not in blobs])
        if missing:
            raise MissingBlobs(f"{len(missing)} blobs are missing", missing=missing)
        return DispatchRun(manifest)

    async def _reusable(self, manifest: Manifest) -> TakenOver | None:
        """What an earlier dispatch already has of this one."""
        source = manifest.redispatch_of
        if source is None or manifest.reuse == "none":
            return None
        if await self._read(self.store.dispatch, source) is None:
            raise NotFound(f"no dispatch '{source}' to reuse results of")
        rows = await self._read(self.store.reusable, source)
        by_key = {row.key: row for row in rows if row.key}
        by_place = {(row.node, row.name): row for row in rows}
        nodes = []
        for node_id, node in enumerate(manifest.nodes):
            row = by_key.get(node.key) if node.key else None
            if row is None and manifest.reuse == "failed":
                row = by_place.get((node_id, node.name))
            if row is not None and row.output is not None:
                nodes.append(Reused(node_id, row.output, row.preview, row.child, row.started, row.ended))
        wanted = {d for item in nodes for d in digests_of(item.output)}
        gone = set(await self._read(self.store.missing, list(wanted)))
        return TakenOver(source, [i for i in nodes if not gone.intersection(digests_of(i.output))])

    def _enter(self, run: DispatchRun, manifest: bytes, blobs: dict[str, bytes]) -> Future[int] | None:
        """A new run joins; its parts go into the present batch."""
        m = run.manifest
        self.runs[run.dispatch_id] = run
        if m.environment is not None:
            self._environments[run.dispatch_id] = m.environment
        self._batch.manifests.append((run.dispatch_id, manifest))
        for digest, data in blobs.items():
            self._keep_small(digest, data)
        self._batch.references.extend((run.dispatch_id, d) for d in m.blobs)
        self._new.add(run.dispatch_id)
        self._step(run, Submitted(m.created or self._clock(), run.root, m.parent))
        return None

    def _keep_small(self, digest: str, data: bytes) -> None:
        self._cache.put(digest, data)
        self._batch.values.append((digest, data))

    # Facts from hosts

    def host_facts(self, host_id: str, n: int, facts: list[Fact]) -> None:
        """Facts number ``n`` of a host; acknowledged after the commit."""
        self._fold(host_id, facts)
        hosts = self.hosts
        self._actions.append(lambda: hosts.send(host_id, Ack(n)) and None)
        self._flush()

    def host_recovered(self, host_id: str, incarnation: str, facts: list[Fact]) -> None:
        """Facts that a dead host's runners left in their spools."""
        self._fold(host_id, facts)
        self._flush()

    def _fold(self, host_id: str, facts: list[Fact]) -> None:
        outcomes: dict[str, list[Outcome]] = {}
        began: dict[str, list[tuple[int, int, float, str]]] = {}
        for fact in facts:
            if isinstance(fact, Outcome):
                outcomes.setdefault(fact.dispatch_id, []).append(fact)
            elif isinstance(fact, Began):
                began.setdefault(fact.dispatch_id, []).append((fact.node, fact.attempt, fact.started, fact.worker))
            elif isinstance(fact, LogGrew):
                self.live_logs[(fact.dispatch_id, fact.node)] = fact
                self.bus.wake()
            elif isinstance(fact, ExecutorState):
                self._executor(host_id, fact.spec).state = fact
        for dispatch_id, items in began.items():
            run = self.runs.get(dispatch_id)
            if run is not None:
                self._began(run, items, outcomes.get(dispatch_id, ()))
        for dispatch_id, ended in outcomes.items():
            run = self.runs.get(dispatch_id)
            if run is not None:
                self._finished(run, ended)
        for fact in facts:
            if isinstance(fact, Returned):
                self._given_back(fact.dispatch_id, fact.pack_id, fact.attempts)
            elif isinstance(fact, PackEnded):
                self._pack_ended(fact.pack_id)

    def _began(self, run: DispatchRun, items: list[tuple[int, int, float, str]], ended: Iterable[Outcome]) -> None:
        over = {(o.node, o.attempt) for o in ended}
        fresh = [
            i
            for i in items
            if (i[0], i[1]) not in over and 0 <= i[0] < len(run.nodes) and run.nodes[i[0]].attempt == i[1]
        ]
        if fresh:
            self._step(run, Started(fresh))

    def _finished(self, run: DispatchRun, outcomes: list[Outcome]) -> None:
        """Folds outcomes that count; takes small values and children out of them first."""
        current: dict[int, Outcome] = {}
        children: dict[int, bytes] = {}
        for outcome in outcomes:
            if outcome.node in current or not engine.is_current(run, outcome):
                continue
            node = run.manifest.nodes[outcome.node]
            if outcome.status == "completed" and outcome.child is None:
                self.statistics.add(run.manifest.functions[node.function].code, outcome.duration)
            for output in (outcome.output, outcome.error.exception if outcome.error else None):
                if output is not None:
                    self._batch.references.append((run.dispatch_id, output.digest))
                    if output.data is not None:
                        self._keep_small(output.digest, output.data)
            if outcome.child:
                children[outcome.node] = outcome.child
            current[outcome.node] = _without_bytes(outcome)
            self.live_logs.pop((run.dispatch_id, outcome.node), None)
        if not current:
            return
        self._step(run, Finished(list(current.values())))
        for node_id, body in children.items():
            child = run.nodes[node_id].child
            if child is not None and not run.nodes[node_id].status.ended:
                self._expand(run, node_id, child, body)

    def _given_back(self, dispatch_id: str, pack_id: str, attempts: list[tuple[int, int]]) -> None:
        run = self.runs.get(dispatch_id)
        if run is None:
            return
        items = [(n, a) for n, a in attempts if 0 <= n < len(run.nodes) and run.nodes[n].pack == pack_id]
        if items:
            self._step(run, GivenBack(items))

    def _pack_ended(self, pack_id: str) -> None:
        pack = self._packs.pop(pack_id, None)
        if pack is None:
            return
        executor = self._executors.get((pack.host, pack.key))
        if executor is not None:
            executor.packs.pop(pack_id, None)
        run = self.runs.get(pack.dispatch_id)
        if run is not None:  # whatever the pack did not account for never began
            self._given_back(pack.dispatch_id, pack_id, pack.tasks)

    def host_ready(self, host_id: str, hello: Hello) -> Welcome:
        """A host is connected (again): what it no longer holds is decided anew."""
        self._host_failures.pop(host_id, None)
        self._reconcile(host_id, set(hello.packs), {tuple(a) for a in hello.held}, "the executor host was replaced")
        held = {tuple(a) for a in hello.held}
        drop = [a for a in held if not self._wanted(a)]
        stop = [a for a in held if self._wanted(a) and self.runs[a[0]].nodes[a[1]].cancel]
        if stop:
            self._actions.append(lambda: self.hosts.send(host_id, CancelAttempts(stop)) and None)
        for pack in [p for p in self._packs.values() if p.host == host_id and not p.sent]:
            self._actions.append(lambda p=pack: self._send(p))  # type: ignore[misc]
        self._flush()
        return Welcome(hello.protocol, 0, drop)

    def host_lost(self, host_id: str, incarnation: str, reason: str) -> None:
        """A host's process is gone, and its spools have been read."""
        log.warning("executor host %s is gone: %s", host_id, reason)
        failures = self._host_failures[host_id] = self._host_failures.get(host_id, 0) + 1
        self._reconcile(host_id, set(), set(), reason)
        for key in [k for k in self._executors if k[0] == host_id]:
            self._executors[key].state = None
        if failures >= MAX_HOST_FAILURES:
            self._host_failures.pop(host_id)
            self._refuse(host_id, reason)
        self._flush()

    def _reconcile(self, host_id: str, packs: set[str], held: set[Attempt], reason: str) -> None:
        """Packs that were sent to a host and that it does not hold: begun members were cut off, others go back."""
        for pack in [p for p in self._packs.values() if p.host == host_id and p.sent and p.pack_id not in packs]:
            run = self.runs.get(pack.dispatch_id)
            if run is not None:
                self._cut_off(run, pack, held, reason)
            if not held.intersection(pack.attempts()):
                self._pack_ended(pack.pack_id)

    def _cut_off(self, run: DispatchRun, pack: SentPack, held: set[Attempt], reason: str) -> None:
        now = self._clock()
        cut = []
        for node_id, attempt in pack.tasks:
            state = run.nodes[node_id]
            if state.pack != pack.pack_id or (run.dispatch_id, node_id, attempt) in held:
                continue
            if state.status is Status.RUNNING:
                name = run.manifest.nodes[node_id].name
                error = Error(
                    "ElectronInterrupted", f"{name} (node {node_id}) was cut off: {reason}", cause="interrupted",
                    hint='it may have done its work already; on_interrupt="run_again" lets it run once more',
                )  # fmt: skip
                cut.append(
                    Outcome(
                        run.dispatch_id, node_id, attempt, "interrupted", state.started or now, now,
                        max(0.0, now - (state.started or now)), error=error, worker=state.worker,
                    )
                )  # fmt: skip
        if cut:
            self._step(run, Finished(cut))

    def _wanted(self, attempt: Attempt) -> bool:
        run = self.runs.get(attempt[0])
        if run is None or not 0 <= attempt[1] < len(run.nodes):
            return False
        state = run.nodes[attempt[1]]
        return state.attempt == attempt[2] and not state.status.ended

    def _refuse(self, host_id: str, reason: str) -> None:
        """The environment cannot be started: what needs it fails, with the reason."""
        for run in list(self.runs.values()):
            environment = self._environments.get(run.root)
            if environment is None:
                continue
            for index, spec in enumerate(run.manifest.executors):
                if self._host_of(run, spec, environment) == host_id:
                    self._fail_ready(run, index, reason)

    def _fail_ready(self, run: DispatchRun, executor: int, reason: str) -> None:
        now = self._clock()
        hint = "jupyter covalent doctor shows the environments that dispatches come from"
        error = Error("ExecutorError", reason, cause="executor", hint=hint)
        nodes = list(run.ready[executor])
        for _ in range(max((run.options(i).retries for i in nodes), default=0) + 1):
            again = [i for i in nodes if not run.nodes[i].status.ended]
            if again:
                self._step(
                    run,
                    Finished(
                        [Outcome(run.dispatch_id, i, run.nodes[i].attempt, "failed", now, now, error=error) for i in again]
                    ),
                )

    # Asking

    async def cancel(self, dispatch_id: str, nodes: list[int] | None = None) -> dict[str, Any]:
        """Stops a dispatch or some of its nodes; returns at once after the wish is durable."""
        run = self.runs.get(dispatch_id)
        if run is None:
            row = await self._read(self.store.dispatch, dispatch_id)
            if row is None:
                raise NotFound(f"no dispatch '{dispatch_id}'")
            return {"dispatch_id": dispatch_id, "status": str(row.status), "cancelled": [], "stopping": [], "finished_first": nodes or []}
        unknown = [n for n in nodes or [] if not 0 <= n < len(run.nodes)]
        if unknown:
            raise NotFound(f"dispatch {dispatch_id[:8]} has no node {unknown[0]}; it has {len(run.nodes)} nodes")
        wanted = range(len(run.nodes)) if nodes is None else nodes
        open_before = [n for n in wanted if not run.nodes[n].status.ended]
        finished = [n for n in wanted if run.nodes[n].status.ended]
        self._step(run, CancelRequested(nodes, self._clock()))
        await self._flushed()
        return {
            "dispatch_id": dispatch_id,
            "status": str(run.status),
            "cancelled": [n for n in open_before if run.nodes[n].status is Status.CANCELLED],
            "stopping": [n for n in open_before if not run.nodes[n].status.ended],
            "finished_first": finished if nodes is not None else [],
        }

    async def redispatch(self, dispatch_id: str, *, reuse: str = "none", seed: int | None = None) -> str:
        """Runs a recorded dispatch again as it was recorded; returns the new id."""
        if reuse not in ("none", "changed", "failed"):
            raise InvalidRequest(f"reuse is 'none', 'changed' or 'failed', not {reuse!r}")
        data = await self._read(self.store.manifest, dispatch_id)
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
        new_id, _ = await self.submit(wire.Head(manifest, [], self._variables.get(dispatch_id)), {})
        return new_id

    async def update(
        self, dispatch_id: str, *, label: str | None = None, tags: list[str] | None = None, note: str | None = None
    ) -> DispatchRow:
        """Changes what people wrote on a dispatch."""
        row = await self._read(self.store.dispatch, dispatch_id)
        if row is None:
            raise NotFound(f"no dispatch '{dispatch_id}'")
        done = self.store.annotate(dispatch_id, label=label, tags=tags, note=note)
        self.bus.publish(await asyncio.wrap_future(done))
        changed = await self._read(self.store.dispatch, dispatch_id)
        assert changed is not None
        return changed

    async def delete(self, ids: list[str]) -> dict[str, Any]:
        """Forgets ended dispatches with their sublattices; frees what nothing else refers to."""
        family: list[str] = []
        for dispatch_id in ids:
            if dispatch_id in self.runs:
                raise Conflict(f"dispatch {dispatch_id[:8]} is running; cancel it first")
            if await self._read(self.store.dispatch, dispatch_id) is None:
                raise NotFound(f"no dispatch '{dispatch_id}'")
            rows, _ = await self._read(lambda d=dispatch_id: self.store.dispatches(root=d, limit=1_000_000))
            family += [r.dispatch_id for r in rows if r.dispatch_id != dispatch_id] + [dispatch_id]
        digests: set[str] = set()
        for dispatch_id in family:
            digests.update(await self._read(self.store.references, dispatch_id))
        self.bus.publish(await asyncio.wrap_future(self.store.append(Batch(deletes=family))))
        freed = await self._read(self.store.free, digests)
        return {"deleted": family, "freed": freed}

    # Recovery

    async def recover(self) -> list[str]:
        """Takes up every unfinished dispatch where the log leaves it."""
        ids = await self._read(self.store.unfinished)
        for dispatch_id in ids:
            data = await self._read(self.store.manifest, dispatch_id)
            if data is None:
                log.error("dispatch %s has no manifest; it is left alone", dispatch_id)
                continue
            events = [decode_event(e) for _, _, e in await self._read(self.store.events, dispatch_id)]
            manifest = wire.decode_manifest(data)
            run = engine.replay(manifest, events)
            run.changed.clear()
            run.to_expand.clear()  # children were recorded in the same commit
            if run.ended is not None:
                continue
            self.runs[dispatch_id] = run
            self._touched[dispatch_id] = run
            if manifest.environment is not None:
                self._environments[dispatch_id] = manifest.environment
                self._variables.load(dispatch_id, manifest.environment.variables)
        for run in self.runs.values():
            self._recover_packs(run)
        self._flush()
        return ids

    def _recover_packs(self, run: DispatchRun) -> None:
        """The packs that were decided before the service ended; their hosts will say what they hold."""
        for node_id, state in enumerate(run.nodes):
            if not state.in_flight:
                continue
            pack = self._packs.get(state.pack)
            if pack is None:
                spec = self._spec(run, run.options(node_id).executor)
                environment = self._environments[run.root]
                host_id = self._host_of(run, spec, environment)
                pack = SentPack(state.pack, host_id, executor_key(spec), run.dispatch_id, [], sent=True)
                self._packs[pack.pack_id] = pack
                self._executor(host_id, spec).packs[pack.pack_id] = pack
            pack.tasks.append((node_id, state.attempt))

    async def close(self) -> None:
        """Waits for what is on its way to the store; runs stay as they are and resume later."""
        await self._durable()
        for task in list(self._tasks):
            task.cancel()

    # The one way through: step, flush, committed

    def _step(self, run: DispatchRun, event: Event) -> None:
        """Folds one event; it and what follows from it will be recorded by the next flush."""
        events = engine.advance(run, event)
        self._batch.events.extend((run.dispatch_id, kind_of(e), encode_event(e)) for e in events)
        self._touched[run.dispatch_id] = run

    def _flush(self) -> Future[int] | None:
        """Plans, then records everything that was decided since the last flush."""
        self._settle()
        self._plan()
        batch, actions = self._batch, self._actions
        ended = []
        for run in self._touched.values():
            new = run.dispatch_id in self._new
            nodes: Iterable[int] = range(len(run.nodes)) if new else sorted(run.changed)
            target = batch.new_electrons if new else batch.electrons
            target.extend(electron_row(run, n) for n in nodes)
            batch.dispatches.append(dispatch_row(run))
            run.changed.clear()
            if run.ended is not None:
                ended.append(run)
        for run in ended:
            self._leave(run)
        self._touched, self._new = {}, set()
        self._batch, self._actions = Batch(), []
        if batch.empty():
            for action in actions:
                action()
            return None
        future = self.store.append(batch)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda f: loop.call_soon_threadsafe(self._committed, f, actions))
        return future

    def _settle(self) -> None:
        """Carries out what folding left in the runs' work lists, until nothing is left."""
        queue = list(self._touched.values())
        while queue:
            run = queue.pop()
            due = engine.todo(run)
            if due.stop:
                attempts = [(run.dispatch_id, n, run.nodes[n].attempt) for n in due.stop]
                by_host: dict[str, list[Attempt]] = {}
                for attempt in attempts:
                    by_host.setdefault(run.nodes[attempt[1]].host, []).append(attempt)
                for host_id, items in by_host.items():
                    self._actions.append(lambda h=host_id, i=items: self.hosts.send(h, CancelAttempts(i)) and None)  # type: ignore[misc]
            for child_id in due.cancel_children:
                child = self.runs.get(child_id)
                if child is not None:
                    self._step(child, CancelRequested(None, self._clock()))
                    queue.append(child)
            for node_id, delay in due.delayed:
                self._actions.append(lambda r=run, n=node_id, d=delay: self._later(r, n, d))  # type: ignore[misc]
            if run.ended is not None and run.manifest.parent is not None:
                parent_id, node_id = run.manifest.parent
                parent = self.runs.get(parent_id)
                if parent is not None and parent.nodes[node_id].child == run.dispatch_id:
                    self._step(parent, self._child_ended(run, node_id))
                    queue.append(parent)

    def _child_ended(self, run: DispatchRun, node_id: int) -> ChildEnded:
        error = None
        if run.status is Status.FAILED:
            error = Error("DispatchFailed", f"sublattice {run.manifest.name} ({run.dispatch_id[:8]}) failed: {run.error}")
            for failed in run.failed[:1]:
                first = run.nodes[failed].error
                if first is not None:
                    error = msgspec.structs.replace(first, message=f"{first.message} (in sublattice {run.manifest.name})")
        return ChildEnded(node_id, run.dispatch_id, run.status, run.output, error, run.ended or self._clock())

    def _later(self, run: DispatchRun, node_id: int, delay: float) -> None:
        def due() -> None:
            if run.dispatch_id in self.runs:
                self._step(run, RetryDue([node_id]))
                self._flush()

        asyncio.get_running_loop().call_later(delay, due)

    def _expand(self, parent: DispatchRun, node_id: int, child_id: str, body: bytes) -> None:
        """The inner graph of a sublattice becomes a run of its own, in the same commit as its parent's outcome."""
        try:
            head, blobs = wire.unpack_body(body)
            manifest = head.manifest
            manifest.dispatch_id, manifest.parent, manifest.root = child_id, (parent.dispatch_id, node_id), parent.root
            manifest.environment = None
            check_manifest(manifest, depth=self._depth(parent) + 1, total=self._total(parent.root) + len(manifest.nodes))
            run = DispatchRun(manifest)
        except (ValueError, InvalidRequest) as e:
            error = Error("BuildError", f"the sublattice gave no sound graph: {e}")
            self._step(parent, ChildEnded(node_id, child_id, Status.FAILED, None, error, self._clock()))
            return
        self._enter(run, wire.encode_manifest(manifest), blobs)

    def _depth(self, run: DispatchRun) -> int:
        depth = 0
        while run.manifest.parent is not None and run.manifest.parent[0] in self.runs:
            run, depth = self.runs[run.manifest.parent[0]], depth + 1
        return depth

    def _total(self, root: str) -> int:
        return sum(len(r.nodes) for r in self.runs.values() if r.root == root)

    def _plan(self) -> None:
        """Gives ready nodes to executors with free places, one root dispatch after another."""
        waiting = [run for run in self.runs.values() if run.has_ready()]
        progress = True
        while waiting and progress:
            progress = False
            for run in waiting:
                progress |= self._plan_run(run, fair=len(waiting) > 1)
            waiting = [run for run in waiting if run.has_ready()]

    def _plan_run(self, run: DispatchRun, fair: bool) -> bool:
        """Plans packs of one run; with ``fair`` at most one per executor, so that others have their turn."""
        environment = self._environments.get(run.root)
        if environment is None:
            return False
        planned_any = False
        for index, ready in enumerate(run.ready):
            if not ready:
                continue
            spec = self._spec(run, index)
            host_id = self._host_of(run, spec, environment)
            executor = self._executor(host_id, spec)
            free = executor.free()
            if free <= 0:
                continue
            packable = spec.instance is None
            for pack in packing.plan(run, index, 1 if fair else free, executor.slots, self.statistics, packable):
                if self._admit(run, executor, pack):
                    self._launch(run, executor, pack)
                    planned_any = True
        return planned_any

    def _admit(self, run: DispatchRun, executor: Executor, pack: packing.PlannedPack) -> bool:
        """Whether the executor has the resources now; a wish that it can never meet fails the electron."""
        wanted = run.options(pack.nodes[0]).resources if len(pack.nodes) == 1 else {}
        for name in ("cpu", "gpu", "memory"):
            if not wanted.get(name):
                continue
            need, limit = amount(wanted[name]), executor.limit(name)
            if limit is None:
                continue
            if need > limit:
                node_id, now = pack.nodes[0], self._clock()
                node = run.manifest.nodes[node_id]
                message = f"{node.name} (node {node_id}) asks for {name}={wanted[name]}; executor '{executor.spec.name}' has {limit:g}"
                error = Error("ExecutorError", message, cause="executor", hint=f"ask for less {name}, or use another executor")
                self._step(run, Finished([Outcome(run.dispatch_id, node_id, run.nodes[node_id].attempt, "failed", now, now, error=error)]))
                return False
            if executor.packs and executor.in_use(name) + need > limit * (packing.PER_SLOT if name == "cpu" else 1):
                return False
        return True

    def _launch(self, run: DispatchRun, executor: Executor, planned: packing.PlannedPack) -> None:
        pack_id = uuid.uuid4().hex
        tasks = [(n, run.nodes[n].attempt) for n in planned.nodes]
        resources: dict[str, float] = {}
        if len(tasks) == 1:
            wanted = run.options(planned.nodes[0]).resources
            resources = {k: amount(wanted[k]) for k in ("cpu", "gpu", "memory") if wanted.get(k)}
        pack = SentPack(pack_id, executor.host, executor_key(executor.spec), run.dispatch_id, tasks, planned.cost, resources)
        self._packs[pack_id] = executor.packs[pack_id] = pack
        self._step(run, Launched(pack_id, executor.host, executor.spec.name, tasks, self._clock()))
        self._actions.append(lambda: self._send(pack))

    def _committed(self, future: Future[int], actions: list[Callable[[], None]]) -> None:
        try:
            seq = future.result()
        except Exception:  # the store refuses a batch only if the batch itself is faulty: ours to mend
            log.exception("a batch was refused by the store")
            return
        self.bus.publish(seq)
        for action in actions:
            action()

    def _leave(self, run: DispatchRun) -> None:
        """An ended run leaves memory; an ended root frees its runners and variables."""
        self.runs.pop(run.dispatch_id, None)
        self._leaving[run.dispatch_id] = run.manifest.key
        self._actions_after(lambda: self._leaving.pop(run.dispatch_id, None) and None)
        self._release_logs(run)
        if run.root != run.dispatch_id:
            return
        environment = self._environments.pop(run.root, None)
        if environment is None:
            return
        hosts = {self._host_of(run, self._spec(run, i), environment) for i in range(len(run.manifest.executors))}
        for host_id in hosts:
            self._actions_after(lambda h=host_id: self.hosts.send(h, Release(run.root)) and None)  # type: ignore[misc]
        self._actions_after(lambda: self._variables.drop(run.root))

    def _actions_after(self, action: Callable[[], None]) -> None:
        self._actions.append(action)

    def _release_logs(self, run: DispatchRun) -> None:
        for key in [k for k in self.live_logs if k[0] == run.dispatch_id]:
            del self.live_logs[key]

    # Sending

    def _spec(self, run: DispatchRun, index: int) -> ExecutorSpec:
        """The executor with the configuration's options under those of the dispatch."""
        spec = run.manifest.executors[index]
        defaults = self._executor_options(spec.name) if spec.instance is None else {}
        return ExecutorSpec(spec.name, {**defaults, **spec.options}, spec.instance) if defaults else spec

    def _host_of(self, run: DispatchRun, spec: ExecutorSpec, environment: Environment) -> str:
        if spec.instance is not None:
            return self.hosts.ensure(environment, plugin=spec, root_id=run.root)
        return self.hosts.ensure(environment)

    def _executor(self, host_id: str, spec: ExecutorSpec) -> Executor:
        key = (host_id, executor_key(spec))
        executor = self._executors.get(key)
        if executor is None:
            executor = self._executors[key] = Executor(host_id, spec)
        return executor

    def _send(self, sent: SentPack) -> None:
        """Sends a pack whose launch is durable; what was cancelled meanwhile stays here."""
        run = self.runs.get(sent.dispatch_id)
        if run is None or sent.pack_id not in self._packs or sent.sent:
            return
        gone = [(n, a) for n, a in sent.tasks if run.nodes[n].cancel or run.nodes[n].pack != sent.pack_id]
        if gone:
            sent.tasks = [t for t in sent.tasks if t not in gone]
            self._given_back(sent.dispatch_id, sent.pack_id, gone)
            if not sent.tasks:
                self._pack_ended(sent.pack_id)
            self._flush()
            if not sent.tasks:
                return
        environment = self._environments[run.root]
        spec = self._executors[(sent.host, sent.key)].spec
        pack = make_pack(
            run, sent.pack_id, sent.tasks, spec, environment, self._variables.get(run.root), self._folders
        )
        missing = []
        for digest in small_digests(run, pack):
            data = self._cache.get(digest)
            if data is None:
                missing.append(digest)
            else:
                pack.values[digest] = data
        if missing:
            self._spawn(self._send_filled(sent, pack, missing))
        else:
            sent.sent = self.hosts.send(sent.host, Run(pack))

    async def _send_filled(self, sent: SentPack, pack: Pack, missing: list[str]) -> None:
        found = await self._read(self.store.values, missing)
        for digest, data in found.items():
            self._cache.put(digest, data)
            pack.values[digest] = data
        if sent.pack_id in self._packs and not sent.sent:
            sent.sent = self.hosts.send(sent.host, Run(pack))

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Waiting

    async def _read(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._readers, function, *args)

    async def _flushed(self, _: Future[int] | None = None) -> None:
        """Flushes and waits until that is durable."""
        future = self._flush()
        if future is not None:
            await asyncio.shield(asyncio.wrap_future(future))

    async def _durable(self) -> None:
        """Waits until everything decided so far is durable."""
        await self._flushed()
        await asyncio.wrap_future(self.store.append(Batch()))


def _without_bytes(outcome: Outcome) -> Outcome:
    """The outcome as the log keeps it: values by digest, a child by its mere existence."""
    error = outcome.error
    if error is not None and error.exception is not None:
        error = msgspec.structs.replace(error, exception=bare(error.exception))
    output = bare(outcome.output)
    assert output is None or isinstance(output, Output)
    child = b"" if outcome.child is not None else None
    if output is outcome.output and error is outcome.error and child is outcome.child:
        return outcome
    return msgspec.structs.replace(outcome, output=output, error=error, child=child)


