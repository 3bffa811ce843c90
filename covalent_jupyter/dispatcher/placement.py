"""Where electrons run: executors, their free places, packs on their way, and what a lost host held."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine, Set
from pathlib import Path
from typing import Any, Protocol

from .. import packing
from ..crashpoint import crashpoint
from ..engine import DispatchRun
from ..model import (
    Attempt,
    CancelAttempts,
    Environment,
    Error,
    ExecutorSpec,
    ExecutorState,
    Hello,
    Outcome,
    Release,
    Run,
    Scale,
    Status,
)
from ..model.events import Finished, GivenBack, Launched
from .blame import Suspects
from .capacity import Executor, SentPack, amount
from .ledger import Ledger
from .packs import make_pack, small_digests
from .reading import Reading
from .snapshots import Snapshots
from .variables import Variables
from .waiting import reasons

log = logging.getLogger(__name__)

#: A host that is lost this often in a row, without ever having been ready, will not come.
MAX_HOST_FAILURES = 3
#: Seconds between two attempts to read the values of a pack.
READ_AGAIN = 0.5
#: Seconds in which an executor answers that it was asked to scale.
SCALING = 30.0


class HostsPort(Protocol):
    """What is needed of the executor hosts; :class:`covalent_jupyter.service.hosts.Hosts` is it."""

    def ensure(self, environment: Environment, *, plugin: ExecutorSpec | None = None, root_id: str = "") -> str: ...
    def send(self, host_id: str, message: Any) -> bool: ...
    def drop(self, host_id: str) -> None: ...
    def state_of(self, host_id: str) -> dict[str, Any]: ...


class Placement:
    """Plans packs of what is ready, sends them, and takes back what was not run."""

    def __init__(
        self,
        ledger: Ledger,
        reading: Reading,
        variables: Variables,
        *,
        executor_options: Callable[[str], dict[str, Any]],
        clock: Callable[[], float],
    ) -> None:
        self.statistics = packing.Statistics()
        self.environments: dict[str, Environment] = {}  # by root dispatch
        self.hosts: HostsPort
        self._ledger = ledger
        self._reading = reading
        self._variables = variables
        self._executor_options = executor_options
        self._clock = clock
        self._executors: dict[tuple[str, str], Executor] = {}
        self._packs: dict[str, SentPack] = {}
        self._plugins: dict[str, set[str]] = {}  # root dispatch -> hosts of its users' own executors
        self._failures: dict[str, int] = {}
        self._suspects = Suspects(ledger, clock)
        self._sending: set[asyncio.Future[None]] = set()
        self._scalings: dict[str, asyncio.Future[dict[str, Any]]] = {}  # by request
        folder = Path(ledger.store.folder)
        self._snapshots = Snapshots(ledger, reading, str(folder / "work"))
        self._folders = (str(ledger.store.blob_root), str(folder / "logs"), str(folder / "work"))

    def executors(self) -> list[Executor]:
        return list(self._executors.values())

    def tell_state(self, host_id: str, state: ExecutorState) -> None:
        """What an executor says of itself."""
        self._executor(host_id, state.spec).state = state
        scaled = state.info.get("scaled") or {}
        waiting = self._scalings.pop(str(scaled.get("request")), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(scaled)

    async def scale(self, executor: Executor, n: int) -> dict[str, Any]:
        """Has an executor take ``n`` electrons at once: what it answers (see :class:`Scale`). TimeoutError if it does not."""
        request = uuid.uuid4().hex
        answer = self._scalings[request] = asyncio.get_running_loop().create_future()
        try:
            if not self.hosts.send(executor.host, Scale(request, executor.spec, n)):
                return {"problem": "its executor host is not connected at present; try again"}
            return dict(await asyncio.wait_for(answer, SCALING))
        finally:
            self._scalings.pop(request, None)

    def why_waiting(self, run: DispatchRun) -> list[str]:
        """Why what is ready, or on its way, does not run yet; see :mod:`.waiting`."""
        environment, wanted = self.environments.get(run.root), {}
        if environment is not None:
            for index in (i for i, ready in enumerate(run.ready) if ready):
                executor = self._executor_of(run, index, environment)
                wanted[(executor.host, executor.spec.key)] = executor
        for pack in self._packs.values():
            if pack.dispatch_id == run.dispatch_id and any(
                run.nodes[node].status is Status.DISPATCHING for node, _ in pack.tasks
            ):
                wanted[(pack.host, pack.key)] = self._executors[(pack.host, pack.key)]
        states = [(executor, self.hosts.state_of(executor.host)) for executor in wanted.values()]
        return reasons(run, states, self._room(run))

    # Planning

    def plan(self) -> None:
        """Gives ready nodes to executors with free places, one dispatch after another."""
        waiting = [run for run in self._ledger.runs.values() if run.has_ready()]
        fair, progress = len(waiting) > 1, True
        while waiting and progress:
            progress = False
            for run in waiting:
                progress |= self._plan_run(run, fair)
            waiting = [run for run in waiting if run.has_ready()]

    def _plan_run(self, run: DispatchRun, fair: bool) -> bool:
        """Plans packs of one run; with ``fair`` at most one per executor, so that others have their turn."""
        environment = self.environments.get(run.root)
        if environment is None:
            return False
        planned = False
        for index, ready in enumerate(run.ready):
            if not ready:
                continue
            executor = self._executor_of(run, index, environment)
            room = self._room(run)
            free = executor.free()
            borrowed = free <= 0
            if borrowed:
                free = executor.lent(run.dispatch_id, run.root)
            free = free if room is None else min(free, room)
            if free <= 0:
                continue
            packable = executor.spec.instance is None and room is None
            only = (
                None
                if executor.spec.instance is None
                else self._suspects.may_begin(run, ready, executor.host, self._packs.values())
            )
            for pack in packing.plan(run, index, 1 if fair else free, executor.slots, self.statistics, packable, only):
                if self._admit(run, executor, pack, borrowed):
                    self._launch(run, executor, pack, borrowed)
                    planned = True
        return planned

    def _room(self, run: DispatchRun) -> int | None:
        """How many more nodes of the run may be under way; None without a limit of its own or of its group."""
        limit, group = run.manifest.max_running, run.manifest.group
        if limit is None:
            return None
        together = [r for r in self._ledger.runs.values() if r.manifest.group == group] if group else [run]
        return limit - sum(r.counts[Status.DISPATCHING] + r.counts[Status.RUNNING] for r in together)

    def _admit(self, run: DispatchRun, executor: Executor, pack: packing.PlannedPack, borrowed: bool) -> bool:
        """Whether the executor has the resources now; a wish that it can never meet fails the electron."""
        wanted = run.options(pack.nodes[0]).resources if len(pack.nodes) == 1 else {}
        for name in ("cpu", "gpu", "memory"):
            limit = executor.limit(name) if wanted.get(name) else None
            if limit is None:
                continue
            need = amount(wanted[name])
            if need > limit:
                text = f"asks for {name}={wanted[name]}; executor '{executor.spec.name}' has {limit:g}"
                self._refuse(run, pack.nodes[0], text, f"ask for less {name}, or use another executor")
                return False
            if borrowed and name == "cpu":
                continue  # who waits for it needs none
            if executor.packs and executor.in_use(name) + need > limit * (packing.PER_SLOT if name == "cpu" else 1):
                return False
        return True

    def _launch(self, run: DispatchRun, executor: Executor, planned: packing.PlannedPack, borrowed: bool) -> None:
        tasks = [(n, run.nodes[n].attempt) for n in planned.nodes]
        wanted = run.options(planned.nodes[0]).resources if len(tasks) == 1 else {}
        resources = {k: amount(wanted[k]) for k in ("cpu", "gpu", "memory") if wanted.get(k)}
        key = executor.spec.key
        pack = SentPack(uuid.uuid4().hex, executor.host, key, run.dispatch_id, tasks, planned.cost, run.root, resources)
        pack.borrowed = borrowed
        pack.devices = executor.free_devices(int(resources.get("gpu", 0)))
        self._packs[pack.pack_id] = executor.packs[pack.pack_id] = pack
        self._ledger.step(run, Launched(pack.pack_id, executor.host, executor.spec.name, tasks, self._clock()))
        self._ledger.act(lambda: self._send(pack))

    def _refuse(self, run: DispatchRun, node_id: int, reason: str, hint: str) -> None:
        """Fails a node that can never be placed, whatever its retries."""
        name, now = run.manifest.nodes[node_id].name, self._clock()
        error = Error("ExecutorError", f"{name} (node {node_id}) {reason}", cause="executor", hint=hint)
        while not (state := run.nodes[node_id]).status.ended:
            outcome = Outcome(run.dispatch_id, node_id, state.attempt, "failed", now, now, error=error)
            self._ledger.step(run, Finished([outcome]))

    # Sending

    def _send(self, sent: SentPack, fetched: dict[str, bytes | None] | None = None) -> None:
        """Sends a pack whose launch is durable; what was cancelled meanwhile stays here. Small values that are not in
        the cache are ``fetched`` first; what is not found then lies in a file, which workers find by themselves.
        The local modules of its dispatch are laid out before its first pack."""
        if sent.pack_id not in self._packs or sent.sent:
            return
        run = self._ledger.runs.get(sent.dispatch_id)
        if run is not None:
            sent.tasks = [(n, a) for n, a in sent.tasks if run.nodes[n].pack == sent.pack_id]
        if run is None or not sent.tasks:  # cancelled, perhaps with all of its dispatch: its place is free
            self.pack_ended(sent.pack_id)
            self._settled()
            return
        spec = self._spec_of(run, run.options(sent.tasks[0][0]).executor)
        environment, variables = self.environments[run.root], self._variables.get(run.root)
        pack = make_pack(run, sent.pack_id, sent.tasks, spec, environment, variables, self._folders)
        pack.devices = sent.devices
        laid_out = self._snapshots.lies_there(run.root, environment)
        if laid_out is None:
            self._later(self._send_laid_out(sent, run.root))
            return
        asked, missing = fetched or {}, []
        for digest in small_digests(run, pack, modules=not laid_out):
            data = self._ledger.cache.get(digest)
            if data is None:
                data = asked.get(digest)
            if data is not None:
                pack.values[digest] = data
            elif digest not in asked:
                missing.append(digest)
        if missing:
            self._later(self._fetch_and_send(sent, missing))
            return
        crashpoint("launch.due")
        sent.sent = self.hosts.send(sent.host, Run(pack))
        crashpoint("launch.sent")

    def _later(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(sending)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_laid_out(self, sent: SentPack, root: str) -> None:
        await self._snapshots.settled(root)
        self._send(sent)

    async def _fetch_and_send(self, sent: SentPack, missing: list[str]) -> None:
        fetched: dict[str, bytes] | None = None
        while fetched is None:
            try:
                fetched = await self._reading.run(self._ledger.store.values, missing)
            except Exception as error:  # the border to the store: a pack that is never sent would wait for ever
                log.warning("values of pack %s cannot be read, which is tried again: %s", sent.pack_id, error)
                await asyncio.sleep(READ_AGAIN)
                if sent.pack_id not in self._packs:
                    return
        for digest, data in fetched.items():
            self._ledger.cache.put(digest, data)
        self._send(sent, {**dict.fromkeys(missing), **fetched})

    def _settled(self) -> None:
        """Decisions made outside a handler of the dispatcher; it replaces this by its own flush."""
        self._ledger.flush()

    def on_settle(self, flush: Callable[[], Any]) -> None:
        """Who records what is decided while packs are sent."""
        self._settled = flush  # type: ignore[method-assign]

    def stop(self, run: DispatchRun, nodes: list[int]) -> None:
        """Asks the hosts to stop these attempts; those of a pack that no host has yet come back at once."""
        by_host: dict[str, list[Attempt]] = {}
        for node_id in nodes:
            state = run.nodes[node_id]
            pack = self._packs.get(state.pack)
            if pack is not None and not pack.sent:
                self.given_back(run.dispatch_id, state.pack, [(node_id, state.attempt)])
                continue
            by_host.setdefault(state.host, []).append((run.dispatch_id, node_id, state.attempt))
        for host_id, attempts in by_host.items():
            message = CancelAttempts(attempts)
            self._ledger.act(lambda h=host_id, m=message: self.hosts.send(h, m))  # type: ignore[misc]

    def release(self, run: DispatchRun) -> None:
        """A root dispatch has ended: its runners, folders and variables may go."""
        environment = self.environments.pop(run.root, None)
        if environment is None:
            return
        for host_id in {key[0] for key in self._executors}:
            self._ledger.act(lambda h=host_id: self.hosts.send(h, Release(run.root)))  # type: ignore[misc]
        for key in [k for k in self._executors if k[0] in self._plugins.get(run.root, ())]:
            del self._executors[key]
        for host_id in self._plugins.pop(run.root, ()):  # it served this dispatch alone
            self._suspects.forget(host_id)
            self._ledger.act(lambda h=host_id: self.hosts.drop(h))  # type: ignore[misc]
        self._ledger.act(lambda: self._variables.drop(run.root))
        self._snapshots.forget(run.root)

    # Coming back

    def tell_waits(self, run: DispatchRun, node_id: int, waits_for: str) -> None:
        """A running electron has begun, or ceased, to wait for a dispatch: that one may have its place."""
        pack = self._packs.get(run.nodes[node_id].pack)
        if pack is not None:
            pack.waits_for = waits_for

    def given_back(self, dispatch_id: str, pack_id: str, attempts: list[tuple[int, int]]) -> None:
        """Members of a pack that never began. Those that are in another pack by now stay there, if there is such a pack."""
        run = self._ledger.runs.get(dispatch_id)
        if run is None:
            return
        items = [
            (n, a)
            for n, a in attempts
            if 0 <= n < len(run.nodes) and (run.nodes[n].pack == pack_id or run.nodes[n].pack not in self._packs)
        ]
        if items:
            self._ledger.step(run, GivenBack(items))

    def pack_ended(self, pack_id: str, held: Set[Attempt] = frozenset()) -> None:
        """A place is free; whatever the pack did not account for never began, but for what its host still ``held``."""
        pack = self._packs.pop(pack_id, None)
        if pack is None:
            return
        executor = self._executors.get((pack.host, pack.key))
        if executor is not None:
            executor.packs.pop(pack_id, None)
        back = [(n, a) for n, a in pack.tasks if (pack.dispatch_id, n, a) not in held]
        self.given_back(pack.dispatch_id, pack_id, back)

    def host_ready(self, host_id: str, hello: Hello) -> list[Attempt]:
        """A host is connected (again). Returns the attempts that it may drop."""
        self._failures.pop(host_id, None)
        held: set[Attempt] = {(d, n, a) for d, n, a in hello.held}
        self._reconcile(host_id, set(hello.packs), held, "its executor host was replaced")
        wanted = {a for a in held if self._is_wanted(a)}
        stop = [a for a in sorted(wanted) if self._ledger.runs[a[0]].nodes[a[1]].cancel]
        if stop:
            self._ledger.act(lambda: self.hosts.send(host_id, CancelAttempts(stop)))
        for pack in [p for p in self._packs.values() if p.host == host_id and not p.sent]:
            self._ledger.act(lambda p=pack: self._send(p))  # type: ignore[misc]
        return sorted(held - wanted)

    def host_lost(self, host_id: str, reason: str, status: int | None = None) -> None:
        """A host's process is gone, with this exit ``status`` (negative: of a signal) where that is known; what its spools held
        has been folded before."""
        failures = self._failures[host_id] = self._failures.get(host_id, 0) + 1
        if any(host_id in hosts for hosts in self._plugins.values()):
            self._suspects.host_died(host_id, status, self._packs.values())
        self._reconcile(host_id, set(), set(), reason)
        for key in [k for k in self._executors if k[0] == host_id]:
            self._executors[key].state = None
        if failures >= MAX_HOST_FAILURES:
            del self._failures[host_id]
            self._give_up(host_id, reason)

    def _reconcile(self, host_id: str, packs: set[str], held: set[Attempt], reason: str) -> None:
        """Packs that were sent to a host and that it does not hold: begun members were cut off, others go back."""
        for pack in [p for p in self._packs.values() if p.host == host_id and p.sent and p.pack_id not in packs]:
            run = self._ledger.runs.get(pack.dispatch_id)
            if run is not None:
                self._cut_off(run, pack, held, reason)
            self.pack_ended(pack.pack_id, held)

    def _cut_off(self, run: DispatchRun, pack: SentPack, held: set[Attempt], reason: str) -> None:
        now, cut = self._clock(), []
        for node_id, attempt in pack.tasks:
            state = run.nodes[node_id]
            if state.pack != pack.pack_id or (run.dispatch_id, node_id, attempt) in held:
                continue
            if state.status is Status.RUNNING:
                error = Error(
                    "ElectronInterrupted",
                    f"{run.manifest.nodes[node_id].name} (node {node_id}) was cut off: {reason}",
                    cause="interrupted",
                    hint='it may have done part of its work; on_interrupt="run_again" lets it run once more',
                )
                began = state.started or now
                cut.append(
                    Outcome(run.dispatch_id, node_id, attempt, "interrupted", began, now, now - began, error=error)
                )
        if cut:
            self._ledger.step(run, Finished(cut))

    def _is_wanted(self, attempt: Attempt) -> bool:
        run = self._ledger.runs.get(attempt[0])
        if run is None or not 0 <= attempt[1] < len(run.nodes):
            return False
        state = run.nodes[attempt[1]]
        return state.attempt == attempt[2] and not state.status.ended

    def _give_up(self, host_id: str, reason: str) -> None:
        """The environment cannot be started: what needs it fails, with the reason."""
        for pack in [p for p in self._packs.values() if p.host == host_id]:
            self.pack_ended(pack.pack_id)
        for run in list(self._ledger.runs.values()):
            environment = self.environments.get(run.root)
            if environment is None:
                continue
            for index, ready in enumerate(run.ready):
                if ready and self._executor_of(run, index, environment).host == host_id:
                    for node_id in list(ready):
                        hint = "jupyter covalent doctor shows the environments that dispatches come from"
                        self._refuse(run, node_id, f"has no executor host: {reason}", hint)

    def recover(self, run: DispatchRun) -> None:
        """The packs that were decided before the service ended; their hosts will say what they hold."""
        for node_id, state in enumerate(run.nodes):
            if state.interruptions and not state.status.ended:
                index = run.options(node_id).executor
                if run.manifest.executors[index].instance is not None:
                    executor = self._executor_of(run, index, self.environments[run.root])
                    self._suspects.add(executor.host, run.dispatch_id, node_id)
            if not state.in_flight:
                continue
            pack = self._packs.get(state.pack)
            if pack is None:
                index = run.options(node_id).executor
                executor = self._executor_of(run, index, self.environments[run.root])
                key = executor.spec.key
                pack = SentPack(state.pack, executor.host, key, run.dispatch_id, [], root=run.root, sent=True)
                self._packs[pack.pack_id] = executor.packs[pack.pack_id] = pack
            pack.tasks.append((node_id, state.attempt))

    # Executors

    def _executor_of(self, run: DispatchRun, index: int, environment: Environment) -> Executor:
        spec = self._spec_of(run, index)
        if spec.instance is not None:
            host_id = self.hosts.ensure(environment, plugin=spec, root_id=run.root)
            self._plugins.setdefault(run.root, set()).add(host_id)
            return self._executor(host_id, spec)
        return self._executor(self.hosts.ensure(environment), spec)

    def _spec_of(self, run: DispatchRun, index: int) -> ExecutorSpec:
        """The executor as the dispatch names it, with the configuration's options under its own."""
        spec = run.manifest.executors[index]
        defaults = self._executor_options(spec.name) if spec.instance is None else {}
        return ExecutorSpec(spec.name, {**defaults, **spec.options}) if defaults else spec

    def _executor(self, host_id: str, spec: ExecutorSpec) -> Executor:
        key = (host_id, spec.key)
        executor = self._executors.get(key)
        if executor is None:
            executor = self._executors[key] = Executor(host_id, spec)
        return executor
