"""Dask's own parts stop, die, or cannot be reached while electrons run there: our own cluster, and an existing scheduler."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

import covalent_jupyter as ct
from covalent_jupyter import launch, processes
from covalent_jupyter.client.rest import connect
from covalent_jupyter.errors import CovalentError

from . import invariants
from .foreign import Cluster, Network
from .place import HOST, Place, kill, place, wait_for
from .report import Report, Row
from .workload import Kernel, Sent, mark

NOTICED, BACK = 10.0, 10.0  # seconds
SLOTS = 2
LOST_AFTER = 6.0  # seconds: the setting dask_lost_after of the existing scheduler


@ct.electron
def meet(folder: str, name: str, others: int) -> int:
    """Ends when so many of its kind run at once."""
    mark(folder, name)
    deadline = time.monotonic() + 240
    while len(list(Path(folder).iterdir())) < others:
        assert time.monotonic() < deadline, "the others did not come"
        time.sleep(0.01)
    return 1


@ct.lattice
def meeting(folder: str) -> Any:
    """Needs all slots at once: so much capacity is there when it ends."""
    return [meet(folder, f"meet{n}", SLOTS) for n in range(SLOTS)]


@ct.electron
def shut_down(folder: str, name: str) -> int:
    """The cluster that it runs on, the first time."""
    mark(folder, name)
    if len(Path(folder, name).read_text().splitlines()) == 1:
        from distributed import Client

        Client(ct.get_context().dask_address).shutdown()
    return 1


@ct.lattice
def closing(folder: str) -> Any:
    return shut_down(folder, "shut_down")


class World:
    """The place, and the cluster that is not its own where there is one."""

    def __init__(self, here: Place, rng: random.Random, slack: float) -> None:
        self.here = here
        self.rng = rng
        self.slack = slack
        self.kernel = Kernel(here.marks, rng)
        self.cluster: Cluster | None = None
        self.network: Network | None = None
        self.stopped: list[int] = []  # workers of our own, by the fault before

    @property
    def theirs(self) -> Cluster:
        assert self.cluster is not None
        return self.cluster

    @property
    def between(self) -> Network:
        assert self.network is not None
        return self.network

    def executor(self) -> dict[str, Any]:
        """The Dask executor as the service shows it."""
        connection = launch.read_connection(self.here.store)
        assert connection is not None
        _, answer = launch.call(connection, "GET", "cluster", timeout=10)
        return next(iter(answer["clusters"]), {"state": "none", "message": "", "workers": 0})


class Fault(NamedTuple):
    """``strike`` gives what ends it, or None; ``loss``: how often electrons are cut off by it at most."""

    name: str
    kind: str  # of cluster
    strike: Callable[[World], Callable[[], None] | None]
    loss: int = 1
    hidden: bool = False  # nothing has to be seen of it
    lasting: bool = False  # it ends when electrons were cut off, not before
    fatal: bool = False  # what needs the cluster ends with an error that says so
    short: bool = True  # also in the short form


# Our own cluster


def own_workers(here: Place) -> list[psutil.Process]:
    found = []
    for process in here.of_kind("spawn_main"):
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(HOST in " ".join(p.cmdline()) for p in process.parents()):
                found.append(process)
    return sorted(found, key=lambda p: p.pid)


def own_worker_stopped(world: World) -> None:
    world.stopped = [world.rng.choice(own_workers(world.here)).pid]
    stop(*world.stopped)


def own_workers_stopped(world: World) -> None:
    world.stopped = [process.pid for process in own_workers(world.here)]
    stop(*world.stopped)


def own_worker_killed(world: World) -> None:
    kill(world.rng.choice(own_workers(world.here)).pid)


def own_scheduler_killed(world: World) -> None:
    """It lives in the executor host."""
    assert world.here.kill_hosts()


def own_cluster_closed(world: World) -> None:
    sent = world.kernel.send(lambda folder: (closing, (folder,), 1))
    assert sent is not None, world.kernel.refused
    wait_for(lambda: any(sent.folder.iterdir()), 60, "the electron that closes its cluster")


# An existing scheduler


def worker_stopped(world: World) -> Callable[[], None]:
    pid = world.rng.choice(world.theirs.workers).pid
    stop(pid)
    return lambda: os.kill(pid, signal.SIGCONT)


def worker_killed(world: World) -> Callable[[], None]:
    kill(world.rng.choice(world.theirs.workers).pid)
    return world.theirs.start


def workers_killed(world: World) -> Callable[[], None]:
    for worker in world.theirs.workers:
        kill(worker.pid)
    return world.theirs.start


def scheduler_killed(world: World) -> Callable[[], None]:
    world.theirs.kill_scheduler()
    return world.theirs.start


def cluster_closed(world: World) -> Callable[[], None]:
    world.theirs.shut_down()
    return world.theirs.start


def connections_broken(world: World) -> None:
    assert world.between.drop() > 0


def network_cut(world: World) -> Callable[[], None]:
    """Until the scheduler is not waited for any more."""
    world.between.cut()
    return world.between.heal


def network_hangs(world: World) -> None:
    """For less than that: nothing is cut off."""
    world.between.cut()
    time.sleep(1.5)
    world.between.heal()


OWN = [
    Fault("worker stopped", "own", own_worker_stopped), Fault("worker killed", "own", own_worker_killed),
    Fault("all workers stopped", "own", own_workers_stopped, short=False),
    Fault("scheduler killed", "own", own_scheduler_killed, short=False), Fault("closed by an electron", "own", own_cluster_closed),
]  # fmt: skip
THEIRS = [
    Fault("worker stopped", "existing", worker_stopped, lasting=True),
    Fault("worker killed", "existing", worker_killed),
    Fault("all workers killed", "existing", workers_killed), Fault("scheduler killed", "existing", scheduler_killed, short=False),
    Fault("closed by its owner", "existing", cluster_closed, short=False), Fault("connections broken", "existing", connections_broken),
    Fault("network cut", "existing", network_cut, lasting=True),
    Fault("network hangs for 1.5 s", "existing", network_hangs, loss=0, hidden=True),
    Fault("closed for good", "existing", cluster_closed, fatal=True),
]  # fmt: skip


def stop(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        wait_for(
            lambda pid=pid: psutil.Process(pid).status() == psutil.STATUS_STOPPED, 10, f"the stop of process {pid}"
        )  # type: ignore[misc]


def run(seed: int, times: int, again: str = "", short: bool = False, slack: float = 3.0) -> Report:
    """Each fault ``times`` times, in random order, and at last those after which nothing is to go on; ``short``: ten of them. ``slack``: by how much limits of time are wider."""
    rng = random.Random(seed)
    report = Report(
        "Dask under running electrons", seed, again or f"python -m tests.reliability cluster --seed {seed} --times {times}",
        "capacity back (s)", "noticed (s)",
    )  # fmt: skip
    for faults, opened in ((OWN, own_place), (THEIRS, place_with_a_scheduler)):
        plan = [fault for fault in faults for _ in range(times) if fault.short or not short]
        rng.shuffle(plan)
        with opened(rng, slack) as world:
            capacity(world)
            for n, fault in enumerate(sorted(plan, key=lambda fault: fault.fatal)):
                row = report.row(fault.name, f"{fault.kind} cluster")
                try:
                    trial(world, fault, row, last=n == len(plan) - 1)
                except (AssertionError, CovalentError, OSError, psutil.Error) as error:
                    row.wrong.append(f"{type(error).__name__}: {error}")
                if report.wrong:
                    return report
            row.wrong += [f"left behind at the end: {line[:300]}" for line in world.here.stop()]
    return report


@contextmanager
def own_place(rng: random.Random, slack: float) -> Iterator[World]:
    with place("dask", COVALENT_DASK_N_WORKERS=str(SLOTS)) as here:
        here.start()
        yield World(here, rng, slack)


@contextmanager
def place_with_a_scheduler(rng: random.Random, slack: float) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        here = stack.enter_context(place("dask", COVALENT_DASK_LOST_AFTER=str(LOST_AFTER)))
        cluster = Cluster(here.root / "cluster", SLOTS)
        stack.callback(cluster.close)
        cluster.start()
        network = Network(cluster.port)
        stack.callback(network.close)
        here.variables["COVALENT_DASK_ADDRESS"] = network.address
        here.start()
        world = World(here, rng, slack)
        world.cluster, world.network = cluster, network
        yield world


def trial(world: World, fault: Fault, row: Row, last: bool = False) -> None:
    """One fault under running electrons, and everything that has to hold after it."""
    kernel = world.kernel
    running = kernel.send_napping(3.0 if fault.fatal else 1.0)
    assert running is not None and kernel.send_sturdy(0.5) is not None, kernel.refused
    wait_for(lambda: len(list(running.folder.iterdir())) >= SLOTS, 120, "running electrons")
    time.sleep(world.rng.uniform(0.0, 0.5))
    before, world.stopped = world.executor(), []
    began = time.monotonic()
    end = fault.strike(world)
    row.fired += 1
    kernel.interruptions += fault.loss
    if not fault.hidden:
        wait_for(lambda: noticed(world, before, running), 120, "any sign of it")
        row.first.append(time.monotonic() - began)
        too_long(world, row, "noticed", row.first[-1], NOTICED)
    if fault.lasting:
        wait_for(lambda: cut_off(running), 120, "the end of what ran there")
    if fault.fatal:
        assert_said(world, running, row)
    if not (fault.fatal and last):
        if end is not None:
            end()
        row.seconds.append(capacity(world))
        too_long(world, row, "until all slots were there again,", row.seconds[-1], BACK)
    row.wrong += holds(world, fault)
    row.acknowledged += len(kernel.sent)
    kernel.sent.clear()


def noticed(world: World, before: dict[str, Any], running: Sent) -> bool:
    """Whether something was seen to be wrong: the executor says so, an electron was cut off, or a worker that stood still was
    ended. Of the last, nobody hears if its electrons had ended, and another was there before the next look."""
    if any(not processes.start_time(pid) for pid in world.stopped):
        return True
    now = world.executor()
    if (now["state"], now["message"], now["workers"]) != (before["state"], before["message"], before["workers"]):
        return True
    return cut_off(running)


def cut_off(sent: Sent) -> bool:
    """Whether an electron of it was run again."""
    return any(row.attempt > 1 for row in connect().electrons(sent.dispatch_id, limit=100).electrons)


def capacity(world: World) -> float:
    """Seconds until as many electrons as there are slots have run at once."""
    began = time.monotonic()
    sent = world.kernel.send(lambda folder: (meeting, (folder,), [1] * SLOTS))
    assert sent is not None, world.kernel.refused
    result = ct.get_result(sent.dispatch_id, wait=True, timeout=240)
    assert str(result.status) == "COMPLETED", f"{result.status}: {result.error}"
    return time.monotonic() - began


def assert_said(world: World, running: Sent, row: Row) -> None:
    """The cluster does not come back: electrons end, and say why."""
    for sent in world.kernel.sent:
        result = ct.get_result(sent.dispatch_id, wait=True, timeout=240)
        if sent is running and (str(result.status) != "FAILED" or "cannot be reached" not in str(result.error)):
            row.wrong.append(f"without a cluster {sent.dispatch_id[:8]} is {result.status}: {result.error}")
        sent.cancelled = sent.cancelled or str(result.status) == "FAILED"  # no value is expected of it


def too_long(world: World, row: Row, what: str, took: float, limit: float) -> None:
    if took > limit * world.slack and took > limit * world.slack * invariants.slowness():
        row.wrong.append(f"{what} {took:.1f} s later, {limit:g} s at most are promised")


def holds(world: World, fault: Fault) -> list[str]:
    here, kernel = world.here, world.kernel
    wrong = invariants.check_results(kernel.sent, kernel.interruptions)
    wrong += invariants.check_health(here) + invariants.check_processes(here) + invariants.check_files(here)
    return wrong + invariants.check_log(here, kernel.sent)
