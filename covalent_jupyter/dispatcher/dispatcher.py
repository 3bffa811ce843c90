"""The dispatcher: everything that happens to a dispatch passes here, on the service's event loop.

Each handler folds facts into runs (no ``await`` in between) and ends with :meth:`Dispatcher._flush`, which plans packs
and appends one batch. What must happen afterwards (announce, acknowledge, send, answer) waits until the store has committed it.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec

from .. import engine
from ..crashpoint import crashpoint
from ..engine import DispatchRun
from ..errors import Conflict, InvalidRequest, NotFound
from ..model import (
    Ack,
    Began,
    DispatchRow,
    Error,
    ExecutorState,
    Fact,
    Hello,
    LogGrew,
    Outcome,
    PackEnded,
    Reported,
    Returned,
    Status,
    Welcome,
    wire,
)
from ..model.events import (
    Annotated,
    CancelRequested,
    ChildEnded,
    Finished,
    MetricsReported,
    Noticed,
    RetryDue,
    Started,
    Submitted,
    TakenOver,
    decode_event,
)
from ..rows import dispatch_row, inputs_of, preview_of
from ..store import Store
from . import keeping
from .checks import Limits, check_manifest
from .ledger import Ledger
from .metrics import metrics_of
from .placement import HostsPort, Placement
from .reading import Reading
from .sharedpaths import SharedPaths
from .sources import with_source
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
        self.live_logs: dict[tuple[str, int], LogGrew] = {}
        self._clock = clock
        self._reading = Reading(readers)
        self._variables = Variables(store.folder)
        self._ledger = Ledger(store)
        self._placement = Placement(
            self._ledger, self._reading, self._variables, executor_options=executor_options, clock=clock
        )
        self._placement.on_settle(self._flush)
        self._telling = Telling(self._ledger)
        self._shared_paths = SharedPaths()
        self._submissions = Submissions(self._ledger, self._reading, self._variables, limits)
        self._upkeep = Upkeep(self._ledger, self._reading, clock)
        self.bus = self._ledger.bus
        self.runs = self._ledger.runs

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
        taken = await self._submissions.reusable(manifest)
        if await self._submissions.is_in_memory(manifest):  # a repeated POST overtook us meanwhile
            return manifest.dispatch_id, False
        self._variables.remember(manifest.dispatch_id, head.variables)
        crashpoint("submit.checked")
        self._enter(run, encoded, inputs, small, taken)
        recorded = self._flush()
        crashpoint("submit.decided")
        await self._ledger.committed(recorded)
        crashpoint("submit.committed")
        return manifest.dispatch_id, True

    def _enter(
        self,
        run: DispatchRun,
        manifest: bytes,
        inputs: bytes,
        small: dict[str, bytes],
        taken: TakenOver | None = None,
    ) -> None:
        m = run.manifest
        if m.environment is not None:
            self._placement.environments[run.dispatch_id] = m.environment
        self._ledger.enter(run, manifest, inputs, small)
        self._ledger.step(run, Submitted(m.created or self._clock(), run.root, m.parent))
        if taken is not None and taken.nodes:
            self._ledger.step(run, taken)

    # Facts from hosts

    def host_facts(self, host_id: str, n: int, facts: list[Fact]) -> None:
        """Facts number ``n`` of a host; acknowledged after the commit."""
        self._fold(host_id, facts)
        crashpoint("outcome.folded")
        self._ledger.act(lambda: self._acknowledge(host_id, n))
        self._flush()

    def _acknowledge(self, host_id: str, n: int) -> None:
        crashpoint("acknowledge.due")
        self._placement.hosts.send(host_id, Ack(n))
        crashpoint("acknowledge.sent")

    def host_recovered(self, host_id: str, incarnation: str, facts: list[Fact]) -> None:
        """Facts that a dead host's runners left in their spools."""
        self._fold(host_id, facts)
        self._flush()

    def host_ready(self, host_id: str, hello: Hello) -> Welcome:
        """A host is connected (again): what it no longer holds is decided anew."""
        drop = self._placement.host_ready(host_id, hello)
        self._flush()
        return Welcome(hello.protocol, 0, drop)

    def host_lost(self, host_id: str, incarnation: str, reason: str) -> None:
        """A host's process is gone, and its spools have been read."""
        log.warning("executor host %s is gone: %s", host_id, reason)
        self._placement.host_lost(host_id, reason)
        self._flush()

    def _fold(self, host_id: str, facts: list[Fact]) -> None:
        outcomes: dict[str, list[Outcome]] = {}
        began: dict[str, list[Began]] = {}
        reported: dict[str, list[Reported]] = {}
        for fact in facts:
            if isinstance(fact, Outcome):
                outcomes.setdefault(fact.dispatch_id, []).append(fact)
            elif isinstance(fact, Began):
                began.setdefault(fact.dispatch_id, []).append(fact)
            elif isinstance(fact, Reported):
                reported.setdefault(fact.dispatch_id, []).append(fact)
            elif isinstance(fact, LogGrew):
                self._log_grew(fact)
            elif isinstance(fact, ExecutorState):
                self._placement.tell_state(host_id, fact)
        for dispatch_id, items in began.items():
            run = self.runs.get(dispatch_id)
            if run is not None:
                self._began(run, items, outcomes.get(dispatch_id, ()))
        for dispatch_id, told in reported.items():
            run = self.runs.get(dispatch_id)
            if run is not None:
                self._reported(run, told)
        for dispatch_id, ended in outcomes.items():
            run = self.runs.get(dispatch_id)
            if run is not None:
                self._finished(run, ended)
        for fact in facts:
            if isinstance(fact, Returned):
                self._placement.given_back(fact.dispatch_id, fact.pack_id, fact.attempts)
            elif isinstance(fact, PackEnded):
                self._placement.pack_ended(fact.pack_id)

    def _log_grew(self, fact: LogGrew) -> None:
        """Not recorded: viewers look at the file, and only need to know that there is more."""
        run = self.runs.get(fact.dispatch_id)
        if run is not None and 0 <= fact.node < len(run.nodes):
            before = self.live_logs.get((fact.dispatch_id, fact.node))
            if before is not None and before.attempt == fact.attempt and not fact.progress:
                fact.progress = before.progress
            self.live_logs[(fact.dispatch_id, fact.node)] = fact
            self.bus.wake()

    def _reported(self, run: DispatchRun, facts: list[Reported]) -> None:
        """Records reports of present attempts, each once: after a death they may come again."""
        counts: dict[tuple[int, int], int] = {}
        for fact in facts:
            if not 0 <= fact.node < len(run.nodes):
                continue
            state, key = run.nodes[fact.node], (fact.node, fact.attempt)
            if state.attempt != fact.attempt or state.status.ended:
                continue
            known = counts.get(key, state.reported)
            fresh = fact.points[max(0, known - fact.first) :]
            if fresh:
                start = max(known, fact.first)
                self._ledger.keep_metrics(metrics_of(run.dispatch_id, *key, start, fresh))
                counts[key] = start + len(fresh)
        if counts:
            self._ledger.step(run, MetricsReported([(*key, count) for key, count in counts.items()]))

    def _began(self, run: DispatchRun, items: list[Began], ended: Iterable[Outcome]) -> None:
        over = {(o.node, o.attempt) for o in ended}
        fresh = [
            (b.node, b.attempt, b.started, b.worker)
            for b in items
            if (b.node, b.attempt) not in over
            and 0 <= b.node < len(run.nodes)
            and run.nodes[b.node].status is Status.DISPATCHING
            and run.nodes[b.node].attempt == b.attempt
        ]
        if fresh:
            self._ledger.step(run, Started(fresh))

    def _finished(self, run: DispatchRun, outcomes: list[Outcome]) -> None:
        """Folds the outcomes that count."""
        current: dict[int, Outcome] = {}
        children: dict[int, bytes] = {}
        functions, nodes = run.manifest.functions, run.manifest.nodes
        for outcome in outcomes:
            node_id = outcome.node
            if node_id in current or not engine.is_current(run, outcome):
                continue
            if outcome.status == "completed" and outcome.child is None:
                self._placement.statistics.add(functions[nodes[node_id].function].code, outcome.duration)
            elif outcome.error is not None:
                outcome.error = with_source(outcome.error, run.manifest)
                self._explain_lost_variables(run, outcome)
            if outcome.child:
                children[node_id] = outcome.child
            if outcome.wrote:
                self._shared_paths.look(run, outcome, nodes[node_id].name)
            current[node_id] = self._ledger.take_values(outcome)
            self.live_logs.pop((run.dispatch_id, node_id), None)
        if not current:
            return
        self._ledger.step(run, Finished(list(current.values())))
        if run.ended is None:
            self._let_go(run, keeping.may_go(run, current))
        for node_id, body in children.items():
            child_id = run.nodes[node_id].child
            if child_id is not None and not run.nodes[node_id].status.ended:
                self._expand(run, node_id, child_id, body)

    def _let_go(self, run: DispatchRun, digests: list[str]) -> None:
        """Values that their electrons did not ask to keep."""
        if digests:
            self._ledger.drop_references(run, digests)
            self._ledger.act(lambda: self._upkeep.collect(digests))

    def _explain_lost_variables(self, run: DispatchRun, outcome: Outcome) -> None:
        lost = self._variables.lost.get(run.root)
        if lost and outcome.error is not None:
            names = ", ".join(lost[:10])
            outcome.error.hint = (
                f"the environment variables of the kernel ({names}) did not survive the restart of this machine; "
                f"redispatch from a kernel that has them. {outcome.error.hint}"
            ).strip()

    def _expand(self, parent: DispatchRun, node_id: int, child_id: str, body: bytes) -> None:
        """A sublattice's inner graph becomes a run of its own, in the same commit as its node's outcome."""
        try:
            head, small = wire.unpack_body(body)
            manifest = head.manifest
            manifest.dispatch_id, manifest.parent, manifest.root = child_id, (parent.dispatch_id, node_id), parent.root
            manifest.environment = None
            total = sum(len(r.nodes) for r in self.runs.values() if r.root == parent.root) + len(manifest.nodes)
            check_manifest(manifest, depth=self._depth(parent) + 1, total=total, limits=self._limits())
            run = DispatchRun(manifest)
        except (ValueError, InvalidRequest) as e:
            error = Error("BuildError", f"the sublattice gave no sound graph: {e}")
            self._ledger.step(parent, ChildEnded(node_id, child_id, Status.FAILED, None, error, self._clock()))
            return
        crashpoint("sublattice.built")
        self._enter(run, wire.encode_manifest(manifest), inputs_of(manifest), small)

    def _depth(self, run: DispatchRun) -> int:
        depth = 0
        while run.manifest.parent is not None and run.manifest.parent[0] in self.runs:
            run, depth = self.runs[run.manifest.parent[0]], depth + 1
        return depth

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
        """Runs a recorded dispatch again as it was recorded; returns the new id."""
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
        new_id, _ = await self.submit(wire.Head(manifest, [], self._variables.get(dispatch_id)), {})
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
            run.to_expand.clear()  # children were recorded in the same commit
            if run.ended is not None:
                continue
            self.runs[dispatch_id] = self._ledger.touched[dispatch_id] = run
            if manifest.environment is not None:
                self._placement.environments[dispatch_id] = manifest.environment
                self._variables.load(dispatch_id, manifest.environment.variables)
        for run in self.runs.values():
            self._placement.recover(run)
            self._telling.recovered(run)
        crashpoint("recovery.replayed")
        self._flush()
        return ids

    async def close(self) -> None:
        """Waits for what is on its way to the store; runs stay as they are and resume later."""
        await self._ledger.durable()

    # Deciding

    def _flush(self) -> Future[int] | None:
        """Carries out what folding left to do, plans packs, and records this turn."""
        self._settle()
        self._placement.plan()
        self._settle()
        for run in self._ledger.touched.values():
            if run.ended is not None:
                self._retire(run)
            self._telling.look(run)
        return self._ledger.flush()

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

    def _retire(self, run: DispatchRun) -> None:
        self._let_go(run, keeping.may_go(run, ()))
        for key in [k for k in self.live_logs if k[0] == run.dispatch_id]:
            del self.live_logs[key]
        if run.root == run.dispatch_id:
            self._placement.release(run)
            self._shared_paths.forget(run.root)


def _check_nodes(dispatch_id: str, nodes: list[int] | None, total: int) -> None:
    unknown = [n for n in nodes or [] if not 0 <= n < total]
    if unknown:
        raise NotFound(f"dispatch {dispatch_id[:8]} has no electron {unknown[0]}: it has {total}, from 0")


def _child_ended(run: DispatchRun, node_id: int) -> ChildEnded:
    """What the end of a sublattice's run means for its node."""
    error = None
    if run.status is Status.FAILED:
        first = run.nodes[run.failed[0]].error if run.failed else None
        where = f"in sublattice {run.manifest.name} ({run.dispatch_id[:8]})"
        if first is None:
            error = Error("DispatchFailed", f"{where}: {run.error}")
        else:
            error = msgspec.structs.replace(first, message=f"{first.message} ({where})")
    return ChildEnded(
        node_id, run.dispatch_id, run.status, run.output, error, run.ended or run.created, preview_of(run)
    )
