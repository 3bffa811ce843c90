"""Executors of the user's own: their ``run`` is called per electron, in the plug-in host of the root dispatch.

Decisions are made on a loop of ours that never runs user code. Coroutines of the user run on a second loop, plain methods in
threads, so that one that hangs keeps nobody from being cancelled.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

from msgspec import structs

from .. import codec
from ..folders import make_folder
from ..model import (
    Attempt,
    Error,
    ExecutorSpec,
    ExecutorState,
    Fact,
    Outcome,
    Output,
    Pack,
    PackEnded,
    Returned,
    Task,
    refs_of,
)  # fmt: skip
from ..worker.inputs import Inputs
from ..worker.portable import finish, make_call
from ..worker.world import put_on
from .base import Emit, HostContext, PackExecutor, cpu_slots, machine_info
from .dask_worker import worker_name
from .objects import AsyncBaseExecutor, BaseExecutor, Executor, overrides
from .plugin_job import Here, Job, Written
from .printing import printing_to

log = logging.getLogger(__name__)

_AT_LEAST = 16  # electrons at once, unless the instance has a max_workers: most of them wait for something elsewhere
_CANCEL_CALL = 30.0  # seconds that the user's cancel may take


class PluginPackExecutor(PackExecutor):
    """Runs packs with an instance of a BaseExecutor or AsyncBaseExecutor."""

    def __init__(self, spec: ExecutorSpec, instance: Executor | None = None) -> None:
        super().__init__(spec)
        self._instance: Any = instance
        self._loop = asyncio.new_event_loop()
        self._user_loop = asyncio.new_event_loop()
        self._jobs: dict[Attempt, Job] = {}
        self._packs: dict[str, Pack] = {}
        self._gone: dict[str, set[Attempt]] = {}  # of packs: what must not begin any more
        self._hold: set[asyncio.Task[Any]] = set()
        self._dressed = False
        self._slots = max(4 * cpu_slots(), _AT_LEAST)
        self._closed = False

    def start(self, emit: Emit, context: HostContext) -> None:
        self._emit = emit
        self._context = context
        self._ledger = context.ledger
        self._written = Written(context.spool_dir)
        for name, loop in (("plugin", self._loop), ("plugin-user", self._user_loop)):
            threading.Thread(target=_run_loop, args=(loop,), name=name, daemon=True).start()
        emit([self.state()])

    def submit(self, pack: Pack) -> None:
        self._post(self._enter, pack)

    def cancel(self, attempts: list[Attempt], grace: float) -> None:
        self._post(self._cancel, attempts, grace)

    def revoke(self, pack_id: str) -> None:
        self._post(self._revoke, pack_id)

    def _answer(self, request: str, *, slots: int = 0, workers: int = 0, problem: str = "") -> None:
        state = self.state()
        scaled = {"request": request, "slots": slots, "workers": workers, "problem": problem}
        self._emit([structs.replace(state, info={**state.info, "scaled": scaled})])

    def release(self, root_id: str) -> None:
        """Nothing is kept for a root: the plug-in host itself goes with it."""

    def close(self) -> None:
        self._closed = True
        for loop in (self._loop, self._user_loop):
            loop.call_soon_threadsafe(loop.stop)

    def state(self) -> ExecutorState:
        state: Any = "closed" if self._closed else "ready"
        return ExecutorState(self.spec.name, self.spec, self._slots, self._slots, state, info=machine_info())

    # On our loop

    def _begin(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(coroutine)
        self._hold.add(task)
        task.add_done_callback(self._hold.discard)

    def _enter(self, pack: Pack) -> None:
        self._packs[pack.pack_id] = pack
        self._begin(self._run_pack(pack))

    async def _run_pack(self, pack: Pack) -> None:
        try:
            if self._instance is None or not self._dressed:
                await asyncio.to_thread(self._prepare, pack)
            await self._run_tasks(pack)
        except Exception as error:  # the border to the user's class
            log.exception("pack %s could not be run", pack.pack_id)
            text = f"executor {self.spec.name} could not be used: {type(error).__name__}: {error}"
            self._emit(self._ledger.fail(pack.pack_id, Error(type(error).__name__, text, cause="executor")))
        else:
            self._emit([PackEnded(pack.pack_id)])
        finally:
            self._packs.pop(pack.pack_id, None)
            self._gone.pop(pack.pack_id, None)

    def _prepare(self, pack: Pack) -> None:
        """Puts on the dispatch's world (in a plug-in host: it serves one root), and loads the instance."""
        load = Inputs(pack, {}).blob
        if self._context.plugin and not self._dressed:
            scratch = self._context.scratch_dir
            make_folder(scratch, 2)
            for warning in put_on(pack, load, str(scratch)):
                log.warning("%s", warning)
        self._dressed = True
        if self._instance is None:
            assert self.spec.instance is not None
            self._instance = codec.decode(load(self.spec.instance))
            limit = getattr(self._instance, "max_workers", None)
            if isinstance(limit, int) and limit > 0:
                self._slots = limit
                self._emit([self.state()])

    async def _run_tasks(self, pack: Pack) -> None:
        """One after another; as soon as one takes longer than the budget, those that have not begun go back."""
        tasks = list(pack.tasks)
        while tasks:
            task = tasks.pop(0)
            attempt = (pack.dispatch_id, task.node, task.attempt)
            if attempt in self._gone.get(pack.pack_id, ()):
                continue
            if not _can_run(task, pack):
                self._emit([Returned(pack.pack_id, pack.dispatch_id, [(task.node, task.attempt)])])
                continue
            running = self._loop.create_task(self._run_task(task, pack))
            _, late = await asyncio.wait({running}, timeout=pack.budget)
            if late:
                self._revoke(pack.pack_id)
                tasks.clear()
            await running

    def _revoke(self, pack_id: str) -> None:
        """Returns what has not begun."""
        pack = self._packs.get(pack_id)
        if pack is None:
            return
        owed = {a for a in self._ledger.attempts() if a[0] == pack.dispatch_id}
        left = [
            (t.node, t.attempt) for t in pack.tasks
            if (pack.dispatch_id, t.node, t.attempt) in owed and (pack.dispatch_id, t.node, t.attempt) not in self._jobs
        ]  # fmt: skip
        self._gone.setdefault(pack_id, set()).update((pack.dispatch_id, *member) for member in left)
        if left:
            self._emit([Returned(pack_id, pack.dispatch_id, left)])

    async def _run_task(self, task: Task, pack: Pack) -> None:
        job = Job(task, pack, self._written)
        self._jobs[job.attempt] = job
        self._emit([job.began])
        limit = pack.options[task.options].timeout
        if limit is not None:
            job.on_running = lambda: self._post(self._begin, self._overdue(job, limit))
        try:
            future = asyncio.ensure_future(asyncio.wrap_future(self._launch(job)))
            left = asyncio.ensure_future(job.left.wait())
            both: set[asyncio.Future[Any]] = {future, left}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            left.cancel()
            if not job.left.is_set():
                self._tell(job, future.result())
        finally:
            job.ended.set()
            self._jobs.pop(job.attempt, None)

    def _tell(self, job: Job, outcome: Outcome) -> None:
        verdict, output = job.verdict, outcome.output
        if verdict is not None and (job.gives_way or outcome.status != "completed"):
            outcome.status, outcome.error = verdict.status, verdict.error
            outcome.output = outcome.preview = outcome.child = None
        elif output is not None:
            job.pack.outputs[job.task.node] = Output(output.digest, output.size)
            if output.data is not None:
                job.pack.values[output.digest] = output.data
        self._emit([outcome])

    def _post(self, function: Callable[..., Any], *args: Any) -> None:
        self._loop.call_soon_threadsafe(function, *args)

    def _launch(self, job: Job) -> concurrent.futures.Future[Outcome]:
        """Has the user's executor run the job: on the user's loop, or in a thread of its own."""
        instance = job.instance = copy.copy(self._instance)
        instance._runtime = job
        for name, stream in (("stdout", job.printed.stdout), ("stderr", job.printed.stderr)):
            setattr(instance, f"task_{name}", stream)
            setattr(instance, f"_task_{name}", stream)
        future: concurrent.futures.Future[Outcome]
        if isinstance(instance, AsyncBaseExecutor):
            future = asyncio.run_coroutine_threadsafe(_run_async(instance, job), self._user_loop)
            job.stop = future.cancel
            return _settled(future, job)
        future = concurrent.futures.Future()
        threading.Thread(
            target=_run_sync, args=(instance, job, future), name=f"plugin-{job.task.node}", daemon=True
        ).start()
        return future

    # Cancelling

    def _cancel(self, attempts: list[Attempt], grace: float) -> None:
        now = time.time()
        facts: list[Fact] = []
        for pack_id, members in self._ledger.by_pack(attempts)[0].items():
            for attempt in members:
                job = self._jobs.get(attempt)
                if job is None:
                    self._gone.setdefault(pack_id, set()).add(attempt)
                    facts.append(Outcome(*attempt, "cancelled", finished=now))
                else:
                    self._begin(self._stop_job(job, grace, Outcome(*attempt, "cancelled", job.started)))
        self._emit(facts)

    async def _overdue(self, job: Job, limit: float) -> None:
        try:
            await asyncio.wait_for(job.ended.wait(), limit)
        except TimeoutError:
            text = f"{job.task.name} (node {job.task.node}) ran longer than its timeout of {limit:g} s"
            error = Error("ElectronTimeout", text, cause="timeout", hint="raise timeout=, or let it do less at a time")
            await self._stop_job(job, 1.0, Outcome(*job.attempt, "failed", job.started, error=error))

    async def _stop_job(self, job: Job, grace: float, verdict: Outcome) -> None:
        """The user's own cancel first; what does not give way is left alone, or ended with this process if it runs in it."""
        if job.verdict is not None:
            return
        job.verdict = verdict
        asking = asyncio.ensure_future(self._ask_to_cancel(job))
        try:
            await asyncio.wait_for(job.ended.wait(), grace)
            return
        except TimeoutError:
            asking.cancel()
        if job.running_here:
            log.warning("%s does not give way and runs in this process: the process ends", job.task.name)
            verdict.finished = time.time()
            verdict.duration = verdict.finished - job.started
            self._written.verdict(verdict)
            return self._context.end(
                f"{job.task.name} (node {job.task.node}) was to be stopped, and runs in the plug-in host itself"
            )
        job.stop()
        job.left.set()
        verdict.finished = time.time()
        verdict.duration = verdict.finished - job.started
        self._emit([verdict])

    async def _ask_to_cancel(self, job: Job) -> None:
        if not overrides(job.instance, "cancel"):
            return
        try:
            if isinstance(job.instance, AsyncBaseExecutor):
                asked = asyncio.run_coroutine_threadsafe(job.instance.cancel(job.metadata, job.handle), self._user_loop)
                await asyncio.wait_for(asyncio.wrap_future(asked), _CANCEL_CALL)
            else:
                await asyncio.wait_for(asyncio.to_thread(job.instance.cancel, job.metadata, job.handle), _CANCEL_CALL)
        except Exception as error:  # the border to the user's class
            log.warning("cancel() of executor %s failed: %s: %s", self.spec.name, type(error).__name__, error)


def _run_sync(instance: BaseExecutor, job: Job, future: concurrent.futures.Future[Outcome]) -> None:
    """In a thread: from the task to its outcome."""
    future.set_result(copy_context().run(_in_thread, instance, job))


def _in_thread(instance: BaseExecutor, job: Job) -> Outcome:
    began = time.monotonic()
    result: Any = None
    problem: BaseException | None = None
    with printing_to(job.printed):
        try:
            call, args, kwargs = make_call(job.task, job.pack)
            instance.setup(job.metadata)
            try:
                began = time.monotonic()
                job.on_running()
                result = instance.run(Here(call, job), args, kwargs, job.metadata)
            finally:
                instance.teardown(job.metadata)
        except BaseException as error:  # the border to the user's code, which may even call sys.exit
            problem = error
    return _outcome(job, began, result, problem)


async def _run_async(instance: AsyncBaseExecutor, job: Job) -> Outcome:
    """On the user's loop: from the task to its outcome."""
    began = time.monotonic()
    result: Any = None
    problem: BaseException | None = None
    with printing_to(job.printed):
        try:
            call, args, kwargs = await asyncio.to_thread(make_call, job.task, job.pack)
            await instance.setup(job.metadata)
            try:
                began = time.monotonic()
                job.on_running()
                result = await instance.run(Here(call, job), args, kwargs, job.metadata)
            finally:
                await instance.teardown(job.metadata)
        except BaseException as error:  # the border to the user's code
            problem = error
    return await asyncio.shield(asyncio.to_thread(_outcome, job, began, result, problem))


def _settled(future: concurrent.futures.Future[Outcome], job: Job) -> concurrent.futures.Future[Outcome]:
    """A future that is never cancelled: an abandoned job has an outcome that nobody wants."""
    settled: concurrent.futures.Future[Outcome] = concurrent.futures.Future()

    def settle(done: concurrent.futures.Future[Outcome]) -> None:
        if done.cancelled() or done.exception() is not None:
            settled.set_result(Outcome(*job.attempt, "cancelled", job.started, time.time()))
        else:
            settled.set_result(done.result())

    future.add_done_callback(settle)
    return settled


def _outcome(job: Job, began: float, result: Any, problem: BaseException | None) -> Outcome:
    duration = time.monotonic() - began
    return finish(
        job.task, job.pack, job.started, result=result, error=problem, stdout=job.printed.stdout.getvalue(),
        stderr=job.printed.stderr.getvalue(), duration=duration, worker=worker_name(),
    )  # fmt: skip


def _can_run(task: Task, pack: Pack) -> bool:
    """Whether everything that the task refers to is there (an earlier member of the pack may have failed)."""
    values = (*task.args, *task.kwargs.values())
    return all(ref.node in pack.outputs for value in values for ref in refs_of(value))


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
