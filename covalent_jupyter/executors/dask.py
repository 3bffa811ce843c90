"""The Dask executor: packs as Dask tasks, run by runners beside the Dask workers.

Dask decides where a pack runs; the truth about electrons comes from the stations in its workers (:mod:`.dask_worker`).
Everything about Dask happens on an event loop of the executor's own, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from .. import processes
from ..errors import ConfigError, CovalentError, ExecutorError
from ..model import Attempt, Error, ExecutorSpec, ExecutorState, Pack
from ..worker.limits import parse_limit
from .base import Emit, HostContext, PackExecutor, check_slots, machine_info
from .dask_cluster import Dask, Shape, add_worker, end_stopped, load_cluster_class, open_dask, scale_other, share_slots
from .dask_fit import examine
from .dask_lines import Lines
from .dask_packs import DaskPacks
from .dask_pulse import IDENTITY
from .dask_worker import Setup, control, encode, worker_name
from .objects import DASK_OPTIONS

log = logging.getLogger(__name__)

_LOOK = 1.0  # seconds between two looks at the cluster
_PATIENCE = 4.0  # seconds that a missing worker is waited for before another is asked for
_SCALINGS = 3  # after that the cluster is built anew
_RETRY = (1.0, 30.0)  # seconds between attempts to open a cluster: first and longest pause
_LOST_AFTER = 30.0  # seconds of silence after which a worker or the scheduler is given up, by default
_UNHEARD = 5.0  # seconds, and two heartbeats, after which a worker that is not ours gets nothing new
_OPENINGS = 4  # attempts to start a cluster of our own: a worker may be killed while it starts
_PREPARE = 20.0  # seconds that workers have to start their runners


class DaskPackExecutor(PackExecutor):
    """Options: see :class:`covalent_jupyter.executors.objects.DaskExecutor`."""

    def __init__(self, spec: ExecutorSpec) -> None:
        super().__init__(spec)
        known = (*DASK_OPTIONS, "workdir", "create_unique_workdir")
        unknown = sorted(set(spec.options) - set(known))
        if unknown:
            raise ConfigError(
                f"executor 'dask' has no option {unknown[0]!r}; its options are {', '.join(sorted(known))}"
            )
        if spec.options.get("cluster_class") and not spec.options.get("address"):
            load_cluster_class(str(spec.options["cluster_class"]))  # here, in the host's main thread
        self._loop = asyncio.new_event_loop()
        self._dask: Dask | None = None
        self._setup = b""
        self._hold: set[asyncio.Task[Any]] = set()
        self._state = ExecutorState(spec.name, spec, 0, 0, "starting")
        self._closing = False
        self._lines = Lines(lambda said: self._packs.said(said), self._line_ended)
        self._options = dict(spec.options)  # as they are after scaling
        self._memory = parse_limit(self._options.get("memory_limit"), "memory_limit of the dask executor")
        self._fit: dict[str, int] = {}  # slots that workers of our own have, by address
        self._scaled: dict[str, Any] = {}
        self._lost_after = _seconds(self._options, "lost_after", _LOST_AFTER)
        self._lost = 0.0  # when a cluster that is not ours was lost; 0: it was not, or is there again
        self._connections = self._openings = 0
        self._replaced: set[str] = set()  # workers of our own that were ended because they stood still

    def start(self, emit: Emit, context: HostContext) -> None:
        self._emit = emit
        self._context = context
        self._ledger = context.ledger
        self._packs = DaskPacks(emit, context, self._begin, lambda: self._wanted.set())
        self._thread = threading.Thread(target=self._live, name="dask", daemon=True)
        self._thread.start()
        emit([self._state])

    def submit(self, pack: Pack) -> None:
        self._post(self._packs.submit, pack)

    def cancel(self, attempts: list[Attempt], grace: float) -> None:
        for pack_id, members in self._ledger.by_pack(attempts)[0].items():
            self._post(self._begin, self._packs.take_back(pack_id, "cancel", members, grace))

    def revoke(self, pack_id: str) -> None:
        self._post(self._begin, self._packs.take_back(pack_id, "revoke"))

    def scale(self, request: str, n: int) -> None:
        self._post(self._begin, self._scale(request, n))

    def release(self, root_id: str) -> None:
        self._post(self._begin, self._packs.control("release", root_id))

    def close(self) -> None:
        self._closing = True
        self._packs.close()
        self._post(self._end)
        self._thread.join(20.0)

    def state(self) -> ExecutorState:
        return self._state

    def _end(self) -> None:
        self._stop.set()
        self._wanted.set()

    # The thread and its loop

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._stop, self._wanted = asyncio.Event(), asyncio.Event()
        try:
            self._loop.run_until_complete(self._keep())
        finally:
            self._loop.close()

    def _post(self, function: Callable[..., Any], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # closed; what is owed is settled by the service when the host is gone
            for argument in args:
                if asyncio.iscoroutine(argument):
                    argument.close()

    def _begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(coroutine)
        self._hold.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._hold.discard(task)
        if not task.cancelled() and task.exception() is not None and not self._closing:
            log.error("a step of the Dask executor failed", exc_info=task.exception())

    async def _keep(self) -> None:
        """Opens the cluster when a pack wants one, again and again if need be, until the executor is closed."""
        pause = _RETRY[0]
        try:
            while not self._stop.is_set():
                await self._wait(None, self._wanted)
                if self._stop.is_set():
                    break
                try:
                    await self._lines.open()
                    self._dask = await open_dask(self._options, self._context.scratch_dir / "dask", self._folders())
                    self._lines.note(self._context.scratch_dir)
                    await self._prepare(self._dask)
                    pause = _RETRY[0]
                    await self._watch(self._dask)
                except Exception as error:  # the border to Dask: its errors are many
                    if not isinstance(error, (CovalentError, OSError)):
                        log.exception("the Dask cluster could not be opened")
                    await self._leave()
                    if not self._may_return(error):
                        self._refuse(error)
                    await self._wait(pause, self._stop)
                    pause = min(pause * 2, _RETRY[1]) if not self._lost else _RETRY[0]
                else:
                    await self._leave()
        finally:
            self._lines.close()

    def _may_return(self, error: BaseException) -> bool:
        """Whether a cluster that was lost may come back yet, or one of our own start at the next attempt. Until then
        electrons wait for it, and the state says so."""
        own = not self._options.get("address") and not self._options.get("cluster_class")
        if own and isinstance(error, ExecutorError) and self._openings < _OPENINGS:
            self._openings += 1
            self._enter("degraded", 0, 0, f"{error}; it is tried again")
            return True
        self._openings = 0
        if not self._lost or isinstance(error, ConfigError) or time.monotonic() - self._lost > self._lost_after:
            self._lost = 0.0
            return False
        self._enter("degraded", 0, 0, f"it was lost, and electrons wait for it up to {self._lost_after:g} s: {error}")
        return True

    def _folders(self) -> list[Path]:
        """What workers should see: where runners write down what they did, and where values are kept."""
        root = self._packs.blob_root()
        return [self._context.spool_dir, Path(root) if root else self._context.store_dir / "blobs"]

    async def _wait(self, seconds: float | None, event: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            pass

    async def _prepare(self, dask: Dask) -> None:
        context = self._context
        topic = f"covalent-{context.incarnation}"
        self._connections += 1
        setup = Setup(
            context.incarnation, self._lines.path if dask.local else "", topic,
            str(context.spool_dir) if dask.shared else "", str(context.scratch_dir) if dask.local else "",
            context.preload if dask.local else (), dask.variables, self._memory,
            1.0 / max(1, dask.n_workers) if dask.local else 1.0, self._connections,
        )  # fmt: skip
        self._setup = encode(setup)
        self._packs.opened(dask, self._setup)
        if not dask.local:
            dask.client.subscribe_topic(topic, self._packs.heard)
        answers = await dask.ask(control, self._setup, "prepare", seconds=_PREPARE)
        failed = [answer for answer in answers.values() if isinstance(answer, Exception)]
        if failed and len(failed) == len(answers):
            raise failed[0]
        await self._look(dask)
        self._lost, self._openings = 0.0, 0
        self._wanted.clear()
        self._packs.submit_waiting()

    async def _leave(self) -> None:
        """The cluster is left, or gone: what it held was cut off."""
        dask, self._dask = self._dask, None
        self._fit, self._replaced = {}, set()
        if dask is None:
            return
        setup, self._setup = self._setup, b""
        self._packs.left()
        if not dask.local and dask.connected and not dask.mute:
            await self._soon(dask.ask(control, setup, "close"))
        if self._closing:
            await self._soon(dask.close())
            await self._packs.part(dask.local)
        else:
            dask.end_workers()
            await self._packs.part(dask.local)
            self._begin(self._soon(dask.close()))  # nobody waits for it: another is wanted

    async def _soon(self, doing: Any) -> None:
        """The last calls to a cluster: it may be gone."""
        try:
            await asyncio.wait_for(doing, 5.0)
        except Exception as error:  # the border to Dask
            log.info("leaving the Dask cluster: %s", error or type(error).__name__)

    def _refuse(self, error: BaseException) -> None:
        """No cluster: what waits for one fails, and so says the state."""
        text = str(error) or type(error).__name__
        self._enter("failed", 0, 0, text)
        self._wanted.clear()
        self._packs.refuse(Error(type(error).__name__, text, cause="executor"))

    # Watching the cluster

    async def _watch(self, dask: Dask) -> None:
        """Returns when the executor is closed or the cluster must be opened anew."""
        short_since, scalings = 0.0, 0
        while not self._stop.is_set():
            await self._wait(_LOOK, self._stop)
            try:
                count = await self._look(dask)
            except OSError as error:
                if not self._stop.is_set():
                    log.warning("the Dask cluster is lost: %s", error)
                    self._lost = 0.0 if dask.local else time.monotonic()
                    self._enter("degraded", 0, 0, "it was lost; it is opened anew for the next electron")
                return
            self._packs.submit_waiting()
            if self._state.workers > 1:
                self._packs.move(self._state.slots)
            if not dask.n_workers or count >= dask.n_workers:
                short_since, scalings = 0.0, 0
                continue
            now = time.monotonic()
            short_since = short_since or now
            if now - short_since > _PATIENCE:
                scalings += 1
                if scalings > _SCALINGS and dask.local:
                    log.error("workers do not come back: the Dask cluster is built anew")
                    return
                log.warning("%d of %d Dask workers are there: asking for more", count, dask.n_workers)
                for nanny in dask.drop_failed():
                    self._begin(self._soon(nanny.close()))
                dask.cluster.scale(dask.n_workers)
                short_since = now

    async def _look(self, dask: Dask) -> int:
        """Looks at the workers, tells of changes; how many there are. OSError if the cluster is lost."""
        try:
            workers = await dask.workers()
        except TimeoutError as error:
            dask.mute += _LOOK + IDENTITY
            if dask.mute >= self._lost_after:
                raise
            self._enter(
                "degraded", 0, 0, f"{error}; after {self._lost_after:g} s of that its electrons count as cut off"
            )
            return dask.n_workers
        dask.mute = 0.0
        dask.pulse.look({address: worker["last_seen"] for address, worker in workers.items()})
        if dask.local:
            self._replace_stopped(dask)
            await self._refit(workers)
        else:
            workers = await self._fitting(dask, workers)
        slots = sum(self._fit.get(address) or int(w["nthreads"]) for address, w in workers.items())
        self._enter("ready" if workers else "degraded", slots, len(workers), _remark(dask, workers))
        return len(workers)

    async def _fitting(self, dask: Dask, workers: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Those that can be used; workers that have just come are examined first."""
        dask.fits = {worker: reason for worker, reason in dask.fits.items() if worker in workers}
        for worker, reason in (await examine(dask.client, workers.keys() - dask.fits.keys())).items():
            dask.fits[worker] = reason
            if reason:
                log.warning("%s", reason)
        await self._listen(dask, workers)
        return {worker: workers[worker] for worker in dask.usable()}

    # Workers that fall silent

    def _replace_stopped(self, dask: Dask) -> None:
        """Workers of our own that stand still are ended; their nannies start others. That one is only slow is not taken for it."""
        self._replaced.update(map(worker_name, end_stopped(dask.stops)))
        for address, pid in dask.pids().items():
            if dask.pulse.silence(address) > self._lost_after:
                log.error("the Dask worker %s (process %d) says nothing: it is ended, another started", address, pid)
                self._replaced.add(worker_name(pid))
                processes.kill(pid)

    async def _listen(self, dask: Dask, workers: dict[str, dict[str, Any]]) -> None:
        """What is to be done about workers of somebody else's cluster that are silent, gone, or heard again."""
        unheard = min(
            _UNHEARD + 2.0 * (1.0 + len(workers) / 200), self._lost_after
        )  # heartbeats are rarer with many workers
        silent = {worker for worker in workers if dask.pulse.silence(worker) >= unheard}
        fell, heard, dask.silent = silent - dask.silent, dask.silent - silent, silent
        for worker in fell:
            log.warning("the Dask worker %s is not heard any more", worker)
        for worker in silent:
            if dask.pulse.silence(worker) >= self._lost_after:
                self._packs.give_up(worker, f"its Dask worker {worker} was not heard for {self._lost_after:g} s")
        self._packs.look(workers)
        for worker in heard & workers.keys():
            self._packs.heard_again(worker)
        if fell:
            self._packs.fell_silent()

    def _line_ended(self, worker: str) -> None:
        if self._dask is not None and not self._closing:
            reason = (
                "its Dask worker stood still, and was ended" if worker in self._replaced else "its Dask worker died"
            )
            self._begin(self._packs.worker_gone(worker, reason, self._dask.local))

    def _enter(self, state: Any, slots: int, workers: int, message: str) -> None:
        dask = self._dask
        info: dict[str, Any] = machine_info() if dask is None or dask.local else {}
        if self._memory and info:
            info["memory"] = min(info["memory"], self._memory * max(1, workers))
        if self._scaled:
            info["scaled"] = self._scaled
        if dask is not None and dask.client.scheduler is not None:
            info["address"] = dask.address
        new = ExecutorState(self.spec.name, self.spec, slots, workers, state, message, info)
        if new != self._state:
            self._state = new
            self._emit([new])

    # Scaling

    async def _scale(self, request: str, n: int) -> None:
        dask = self._dask
        try:
            if dask is None or not self._setup:
                raise ExecutorError("the Dask cluster is not up: it starts with the next electron that needs it")
            if self._options.get("address"):
                raise ExecutorError(
                    f"the Dask cluster at {self._options['address']} is not ours: scale it where it was started"
                )
            workers = await (self._scale_local(dask, n) if dask.local else scale_other(dask, n))
        except Exception as error:  # the border to Dask's cluster classes
            if not isinstance(error, CovalentError):
                log.exception("the Dask cluster could not be scaled")
            return self._answer(request, problem=str(error) or type(error).__name__)
        self._answer(request, slots=n, workers=workers)

    async def _scale_local(self, dask: Dask, n: int) -> int:
        """Fewer slots: workers keep their processes, and what runs there goes on; only where there are more workers than slots some
        must go. More: another worker has what is missing."""
        check_slots(n)
        shape = Shape.of(self._options)
        if self._options.get("n_workers") is None:
            self._options["threads_per_worker"] = n
        else:
            self._options["n_workers"] = -(-n // shape.threads)
        workers = await dask.workers()
        threads = sum(int(w["nthreads"]) for w in workers.values())
        if n > threads:
            add_worker(dask, n - threads)
        elif n < len(workers):
            dask.n_workers = n
            dask.cluster.scale(n)
        dask.slots = n
        await self._look(dask)
        return dask.n_workers

    async def _refit(self, workers: dict[str, dict[str, Any]]) -> None:
        """Workers of our own have as many slots together as was asked for: also one that came in the place of another."""
        dask = self._dask
        if dask is None or not dask.slots or not self._setup or not workers:
            return
        wanted = share_slots(dask.slots, {address: int(w["nthreads"]) for address, w in workers.items()})
        for address, slots in wanted.items():
            if self._fit.get(address) != slots:
                (answer,) = (await dask.ask(control, self._setup, "resize", slots, workers=[address])).values()
                if isinstance(answer, Exception):  # it is on its way out; its successor will be told
                    log.info("%s cannot have %d slots: %s", address, slots, answer)
        self._fit = wanted

    def _answer(self, request: str, *, slots: int = 0, workers: int = 0, problem: str = "") -> None:
        self._scaled = {"request": request, "slots": slots, "workers": workers, "problem": problem}
        state = self._state
        self._state = msgspec.structs.replace(state, info={**state.info, "scaled": self._scaled})
        self._emit([self._state])


def _remark(dask: Dask, workers: dict[str, Any]) -> str:
    """What is worth knowing of a cluster that runs."""
    bad = [reason for reason in dask.fits.values() if reason]
    if bad:
        more = f" ({len(bad) - 1} more do not fit either)" if len(bad) > 1 else ""
        return f"{len(bad)} of its workers are not used: {bad[0]}{more}"
    if dask.silent:
        names = ", ".join(sorted(dask.silent)[:3])
        return (
            f"{len(dask.silent)} of its workers {'is' if len(dask.silent) == 1 else 'are'} not heard any more: {names}"
        )
    if not workers:
        return "it has no workers at present"
    return f"its workers do not see {dask.unseen}: values travel with the electrons" if dask.unseen else ""


def _seconds(options: dict[str, Any], name: str, default: float) -> float:
    value = options.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < float("inf"):
        raise ConfigError(f"`{name}` of the dask executor is a number of seconds of at least 1, not {value!r}")
    return float(value)
