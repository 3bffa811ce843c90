"""Dask clusters and clients: what is started, what is connected to, and whether its workers fit."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from .. import processes
from ..errors import ConfigError, EnvironmentMismatch, ExecutorError
from ..folders import make_folder
from .base import cpu_slots
from .dask_fit import examine, first_unseen
from .dask_pulse import ANSWER, Pulse, ask, identity

log = logging.getLogger(__name__)

#: Configuration of clusters that we start: nothing listens that need not, nothing is repeated behind our back.
_CONFIG: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    # Some time after a worker died, the cluster would close the nanny whose worker is not there, also where another one died
    # just now and its successor is about to come. See Dask.drop_failed
    "distributed.deploy.lost-worker-timeout": "1000 weeks",
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.profile.enabled": False,
    # an idle cluster costs little: nothing lies in the workers' memory, and no task blocks a loop
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.memory.monitor-interval": "1s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "30s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 65536,
}
#: And of every client and cluster here: each end of a connection keeps its last messages for those who debug Dask, and with
#: them whole packs of up to a megabyte each.
_LOGS = {"distributed.admin.low-level-log-length": 10}
_CONNECT = 10.0  # seconds
_STOPPED = 4.0  # seconds after which a worker of our own that was stopped by a signal is replaced
_FIRST_WORKER = 300.0  # seconds: batch systems have queues


@dataclass
class Shape:
    """How large a cluster of our own is."""

    n_workers: int
    threads: int

    @classmethod
    def of(cls, options: dict[str, Any]) -> Shape:
        """One worker process with a thread per slot, unless the options say otherwise: it only shuttles bytes."""
        workers, threads = _positive(options, "n_workers"), _positive(options, "threads_per_worker")
        if workers is None:
            return cls(1, threads or cpu_slots())
        return cls(workers, threads or 1)


@dataclass
class Dask:
    """A client, and the cluster where it is ours. ``local``: its workers are our own, on this machine."""

    client: Any
    cluster: Any = None
    local: bool = False
    n_workers: int = 0
    unseen: str = ""  # the folder of ours that workers do not see; values then travel inside packs
    fits: dict[str, str] = field(
        default_factory=dict
    )  # why workers that are not ours cannot be used, by address; "": they can
    slots: int = 0  # that were asked for since it started; 0: one per thread
    variables: dict[str, str] = field(default_factory=dict)
    pulse: Pulse = field(default_factory=Pulse)  # of workers, by address
    stops: Pulse = field(default_factory=Pulse)  # of processes of workers of our own
    silent: set[str] = field(default_factory=set)  # workers that are not ours and have not been heard lately
    mute: float = 0.0  # seconds for which the scheduler has not answered

    def __post_init__(self) -> None:
        self._comm = self.client.scheduler_comm
        self._own: dict[int, str | None] = {}  # processes of workers of our own, and when they started

    @property
    def connected(self) -> bool:
        """Whether the connection is the one that was opened. A client makes another by itself when it is lost; but what had
        been asked for over the first is forgotten by then."""
        return self.client.status == "running" and self.client.scheduler_comm is self._comm

    @property
    def shared(self) -> bool:
        """Whether workers see our folders."""
        return not self.unseen

    def usable(self) -> list[str]:
        """Addresses of the workers that fit and speak."""
        return [worker for worker, reason in self.fits.items() if not reason and worker not in self.silent]

    def only(self) -> list[str] | None:
        """The workers that may be used, where not all may; else None."""
        return self.usable() if self.silent or any(self.fits.values()) else None

    async def ask(
        self, function: Any, *args: Any, workers: list[str] | None = None, seconds: float = ANSWER
    ) -> dict[str, Any]:
        """What ``function`` gives on the workers that may be used, or on these; see :func:`.dask_pulse.ask`."""
        wanted = self.only() if workers is None else workers
        return await ask(self.client, function, *args, workers=wanted, seconds=seconds)

    @property
    def address(self) -> str:
        return str(self.client.scheduler.address) if self.client.scheduler is not None else ""

    async def workers(self) -> dict[str, dict[str, Any]]:
        """Its workers by address, as the scheduler sees them now. OSError if it cannot be reached; TimeoutError, which is one, if
        it does not answer."""
        if not self.connected or self.client.scheduler is None:
            status = self.client.status
            raise OSError(f"the connection to the Dask scheduler is {'another one' if status == 'running' else status}")
        if self.local:
            there = self.cluster.scheduler.workers
            return {a: {"nthreads": w.nthreads, "last_seen": w.last_seen} for a, w in there.items()}
        found: dict[str, dict[str, Any]] = (await identity(self.client))["workers"]
        return found

    def drop_failed(self) -> list[Any]:
        """Forget nannies of our own that have no worker and start none, so that others can take their place; gives them, to be
        closed."""
        failed = [name for name, nanny in self.cluster.workers.items() if not nanny.is_alive()] if self.local else []
        for name in failed:
            log.warning("the nanny of Dask worker %s has no process: it is closed", name)
        return [self.cluster.workers.pop(name) for name in failed]

    def pids(self) -> dict[str, int]:
        """The processes of workers of our own, by address."""
        nannies = list(self.cluster.workers.values()) if self.local else []
        return {str(nanny.worker_address): nanny.pid for nanny in nannies if nanny.pid and nanny.worker_address}

    async def close(self) -> None:
        """Leaves it. Workers of our own that do not go by themselves in time are ended."""
        self._note_workers()
        try:
            for part in (self.client, self.cluster):
                if part is not None:
                    try:
                        await part.close()
                    except Exception as error:  # the border to Dask: it is on its way out
                        log.info("closing %s: %s", type(part).__name__, error)
        finally:
            self.end_workers()

    def end_workers(self) -> None:
        """Ends the processes of workers of our own at once."""
        self._note_workers()
        for pid, start in self._own.items():
            if start is not None and processes.start_time(pid) == start:
                processes.kill(pid)

    def _note_workers(self) -> None:
        for nanny in list(self.cluster.workers.values()) if self.local else ():
            if nanny.pid:
                self._own.setdefault(nanny.pid, processes.start_time(nanny.pid))


async def open_dask(options: dict[str, Any], scratch: Path, folders: Sequence[Path]) -> Dask:
    """Starts a cluster or connects to one, as the options say. ExecutorError or ConfigError if that fails. ``folders``: what its
    workers should see to be handed values by name."""
    import dask

    dask.config.set(_LOGS)  # for good: workers that are started later read it too
    if options.get("address"):
        made = await _connect(options)
    elif options.get("cluster_class"):
        made = await _start_other(options)
    else:
        return await _start_local(options, scratch)
    try:
        await _check_workers(made, folders)
    except BaseException:
        await made.close()
        raise
    return made


async def _start_local(options: dict[str, Any], scratch: Path) -> Dask:
    import dask
    from distributed import Client, LocalCluster, Security

    shape = Shape.of(options)
    make_folder(scratch, 2)
    security = Security.temporary()
    dask.config.set(_CONFIG)  # for good, as well
    cluster = LocalCluster(
        n_workers=shape.n_workers, threads_per_worker=shape.threads, processes=True, asynchronous=True, host="127.0.0.1",
        dashboard_address="127.0.0.1:0", scheduler_kwargs={"dashboard": False}, security=security,
        local_directory=str(scratch), memory_limit=0, silence_logs=logging.CRITICAL,
    )  # fmt: skip
    await _until_started(cluster)
    client = await Client(cluster, asynchronous=True, set_as_default=False, security=security)
    variables = _tls_variables(security, scratch)
    return Dask(client, cluster, local=True, n_workers=shape.n_workers, variables=variables)


async def _until_started(cluster: Any) -> None:
    """ExecutorError if a worker ends while it starts. A nanny waits for ever for one that stands still: such a one is ended."""
    pulse, others = Pulse(), set(_worker_processes())
    starting = asyncio.ensure_future(cluster)
    try:
        while not (await asyncio.wait([starting], timeout=1.0))[0]:
            end_stopped(pulse)
        await starting
    except Exception as error:  # the border to Dask
        raise ExecutorError(f"a worker of the Dask cluster did not start: {error}") from error
    finally:
        if not starting.done() or starting.cancelled() or starting.exception() is not None:
            starting.cancel()
            for pid in set(_worker_processes()) - others:
                processes.kill(pid)
            with suppress(Exception):
                await asyncio.wait_for(cluster.close(), 5.0)


def _worker_processes() -> list[int]:
    """The processes that nannies of ours have started, also those that their clusters do not know yet."""
    found = []
    for pid in processes.children(os.getpid()):
        with suppress(psutil.Error):
            if "--multiprocessing-fork" in psutil.Process(pid).cmdline():
                found.append(pid)
    return found


def end_stopped(pulse: Pulse) -> list[int]:
    """Ends worker processes that were stopped by a signal some seconds ago, and stand still since; which. Called at every look."""
    now = time.monotonic()
    found = _worker_processes()
    pulse.look({str(pid): "stopped" if processes.is_stopped(pid) else now for pid in found})
    ended = [pid for pid in found if pulse.silence(str(pid)) > _STOPPED]
    for pid in ended:
        log.error("a Dask worker (process %d) stands still: it is ended, and another started", pid)
        processes.kill(pid)
    return ended


def _tls_variables(security: Any, folder: Path) -> dict[str, str]:
    """The cluster's certificate as files and Dask's variables, so that an electron may connect to it."""
    config = security.get_tls_config_for_role("client")
    found = {}
    for key, name, variable in (
        ("ca_file", "ca.pem", "CA_FILE"), ("cert", "cert.pem", "CLIENT__CERT"), ("key", "key.pem", "CLIENT__KEY"),
    ):  # fmt: skip
        text = config.get(key)
        if text:
            path = folder / name
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
            found[f"DASK_DISTRIBUTED__COMM__TLS__{variable}"] = str(path)
    return found


def add_worker(dask: Dask, threads: int) -> None:
    """One more worker of a cluster of our own."""
    spec = dask.cluster.new_worker_spec()
    for worker in spec.values():
        worker["options"] = {**worker["options"], "nthreads": threads}
    dask.cluster.worker_spec.update(spec)
    dask.n_workers = len(dask.cluster.worker_spec)
    dask.cluster.scale(dask.n_workers)


def share_slots(slots: int, threads: dict[str, int]) -> dict[str, int]:
    """``slots`` over workers with so many threads, by address: each has at least one, and none more than threads."""
    left = max(slots, len(threads))
    shared = {}
    for number, (address, count) in enumerate(sorted(threads.items())):
        others = len(threads) - number - 1
        shared[address] = max(1, min(count, left - others))
        left -= shared[address]
    return shared


async def scale_other(dask: Dask, slots: int) -> int:
    """Has a cluster of another class have as many workers as ``slots`` need; how many. ExecutorError if it cannot."""
    name = type(dask.cluster).__name__
    if not callable(getattr(dask.cluster, "scale", None)):
        raise ExecutorError(f"a {name} cannot be scaled: it has no method `scale`")
    threads = [int(w["nthreads"]) for w in (await dask.workers()).values()]
    workers = -(-slots // max([1, *threads]))
    try:
        doing = dask.cluster.scale(workers)
        if inspect.isawaitable(doing):
            await doing
    except Exception as error:  # the border to a class that we do not know
        raise ExecutorError(f"{name} could not be scaled: {type(error).__name__}: {error}") from error
    dask.n_workers = workers
    return workers


async def _connect(options: dict[str, Any]) -> Dask:
    from distributed import Client

    address = str(options["address"])
    try:
        client = await Client(
            address,
            asynchronous=True,
            set_as_default=False,
            timeout=_CONNECT,
            security=_security(options),
            name="covalent",
        )
    except (OSError, ValueError, TimeoutError) as error:
        raise ExecutorError(
            f"the Dask scheduler at {address} cannot be reached: {error}. Is it running, and reachable from this machine? "
            f"(option `address` of the dask executor, or `dask_address` in the configuration)"
        ) from error
    return Dask(client)


def _security(options: dict[str, Any]) -> Any:
    from distributed import Security

    given = options.get("security")
    if not given:
        return None
    if not isinstance(given, dict):
        raise ConfigError(f"`security` of the dask executor is a dict of tls files, not {type(given).__name__}")
    try:
        return Security(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`security` of the dask executor: {error}") from error


def load_cluster_class(name: str) -> Any:
    """The class of a dotted name. ConfigError if there is none.

    Call it first in the main thread: dask_jobqueue sets signal handlers when it is imported.
    """
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"cluster_class {name!r} cannot be imported: {error}. It is the dotted name of a Dask cluster class, such as "
            f"'dask_jobqueue.SLURMCluster', whose package is installed in the kernel's environment"
        ) from error


async def _start_other(options: dict[str, Any]) -> Dask:
    from distributed import Client

    name = str(options["cluster_class"])
    kwargs = options.get("cluster_kwargs") or {}
    cluster_class = load_cluster_class(name)
    try:
        cluster = await cluster_class(**{"asynchronous": True, **kwargs})
    except Exception as error:  # the border to a class that we do not know
        raise ExecutorError(f"{name} could not be started: {type(error).__name__}: {error}") from error
    n_workers = _positive(options, "n_workers")
    if n_workers is not None and "n_workers" not in kwargs:
        cluster.scale(n_workers)
    client = await Client(cluster, asynchronous=True, set_as_default=False)
    return Dask(client, cluster, n_workers=n_workers or 0)


async def _check_workers(made: Dask, folders: Sequence[Path]) -> None:
    """EnvironmentMismatch if no worker could unpickle what we send; finds out whether workers see our folders."""
    await made.client.wait_for_workers(1, timeout=_FIRST_WORKER)
    made.fits = await examine(made.client, await made.workers())
    bad = [reason for reason in made.fits.values() if reason]
    if bad and not made.usable():
        raise EnvironmentMismatch(
            bad[0] + (f" ({len(bad) - 1} more workers do not fit either)" if len(bad) > 1 else "")
        )
    made.unseen = await first_unseen(made.client, made.usable(), folders)


def _positive(options: dict[str, Any], name: str) -> int | None:
    value = options.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"`{name}` of the dask executor is a number of at least 1, not {value!r}")
    return value
