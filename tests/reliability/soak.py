"""Everything at once, for long: a mixed load with a fault every few seconds. Nothing is lost, and nothing grows."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import psutil

import covalent_jupyter as ct
from covalent_jupyter.client.rest import connect
from covalent_jupyter.errors import CovalentError

from . import cluster, invariants, kills
from .kills import World
from .place import HOST, Place, place, wait_for
from .report import Report, Row
from .workload import Kernel, Sent, mark, mixed_value, sturdy

PAUSE = (5.0, 15.0)  # seconds between two faults
AT_ONCE = 3  # dispatches
REST = 1.0  # seconds that each of them is followed by: what is asked is what lasts, not how much fits in
AGAIN = 300  # dispatches of a phase that are looked at once more when it is over
VALUE = 1 << 20  # bytes
GROWN = {"MB": 48.0, "descriptors": 24, "threads": 12}  # more than that at the end than after the warm-up is a leak

sturdy_here = ct.lattice(sturdy.function, executor="local")


@ct.electron(retries=1)
def reporting(folder: str, name: str, n: int) -> int:
    mark(folder, name)
    for step in range(n):
        ct.report(step=step, loss=1.0 / (step + 1))
        print(f"step {step}")
    return n


@ct.electron(retries=1)
def big(folder: str, name: str, x: int) -> bytes:
    mark(folder, name)
    return random.Random(x).randbytes(VALUE)


@ct.electron(retries=1)
def length(folder: str, name: str, data: bytes) -> int:
    mark(folder, name)
    return len(data)


@ct.lattice
def values(folder: str, x: int) -> Any:
    """Values of a megabyte that are handed on, and reports."""
    return [length(folder, f"length{n}", big(folder, f"big{n}", x + n)) for n in range(3)], reporting(
        folder, "report", 20
    )


# Load. Each sends one dispatch, and gives it if it was acknowledged.


def send_sturdy(kernel: Kernel) -> Sent | None:
    return kernel.send_sturdy(0.1)


def send_local(kernel: Kernel) -> Sent | None:
    x = kernel.rng.randrange(1000)
    return _once_more(kernel.send(lambda folder: (sturdy_here, (folder, x, 0.1), mixed_value(x))))


def send_values(kernel: Kernel) -> Sent | None:
    x = kernel.rng.randrange(1000)
    return _once_more(kernel.send(lambda folder: (values, (folder, x), ([VALUE] * 3, 20))))


def send_upload(kernel: Kernel) -> Sent | None:
    return kernel.send_upload()


def send_cancelled(kernel: Kernel) -> Sent | None:
    sent = kernel.send_napping(30.0)
    if sent is not None:
        sent.cancelled = True
        sent.retries = 1  # it has none of its own; but a runner that is killed may be its
        ct.cancel(sent.dispatch_id)
    return sent


def send_again(kernel: Kernel) -> Sent | None:
    """What is done is dispatched again, from the record."""
    first = send_sturdy(kernel)
    if first is None:
        return None
    ct.get_result(first.dispatch_id, wait=True, timeout=240)
    again = str(ct.redispatch(first.dispatch_id, reuse_previous_results=True)())
    assert ct.get_result(again, wait=True, timeout=240).value == first.value, f"{again} gives another value"
    return first


def read(kernel: Kernel) -> None:
    """What people look at."""
    rest = connect()
    for row in rest.dispatches(limit=20).dispatches[:5]:
        rest.electrons(row.dispatch_id, limit=100)
    rest.get("executors")
    ct.sql("SELECT status, count(*) FROM dispatches GROUP BY status")


SENDS: list[Callable[[Kernel], Sent | None]] = [
    send_sturdy, send_local, send_values, send_upload, send_cancelled, send_again,
]  # fmt: skip


class Load:
    """Threads that send, wait, and check what they get, and one that reads, until they are stopped."""

    def __init__(self, here: Place, kernel: Kernel) -> None:
        self.kernel = kernel
        self.ended = 0
        self.refused = 0
        self.wrong: list[str] = []
        self._here = here
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,), name=f"load-{n}") for n in range(AT_ONCE)]
        self._threads.append(threading.Thread(target=self._read, name="reader"))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when everything that was sent has ended and was looked at."""
        self._stop.set()
        for thread in self._threads:
            thread.join(600)
            if thread.is_alive():
                self.wrong.append(f"{thread.name} does not end")

    def _send(self, number: int) -> None:
        turn = number
        while not self._stop.is_set() and not self.wrong:
            sent = None
            try:
                sent = SENDS[turn % len(SENDS)](self.kernel)
            except CovalentError:  # a request that is not repeated was cut off
                self.refused += 1
            except AssertionError as error:
                self.wrong.append(str(error))
            turn += 1
            if sent is not None:
                self.wrong += invariants.check_results([sent], self.kernel.interruptions)
                self.ended += 1
            self._stop.wait(REST)

    def _read(self) -> None:
        while not self._stop.wait(0.5):
            with suppress(CovalentError):
                read(self.kernel)


def _once_more(sent: Sent | None) -> Sent | None:
    """Its electrons may each fail once."""
    if sent is not None:
        sent.retries = 1
    return sent


# Faults


def worker_stopped(world: World) -> int | None:
    found = cluster.own_workers(world.here)
    if not found:
        return None
    cluster.stop(world.rng.choice(found).pid)
    return 1


GENTLE = [
    kills.Victim("Dask worker", kills.worker), kills.Victim("runner", kills.runner), kills.Victim("forkserver", kills.forkserver),
    kills.Victim("Dask worker stopped", worker_stopped),
]  # fmt: skip
ALL = [
    *GENTLE, kills.Victim("service", kills.service), kills.Victim("executor host", kills.host),
    kills.Victim("kernel", kills.kernel), kills.Victim("Jupyter server", kills.jupyter_server),
]  # fmt: skip


class Size(NamedTuple):
    """What a process holds."""

    name: str
    pid: int
    of: dict[str, float]


def run(seed: int, seconds: int, again: str = "", pause: tuple[float, float] = PAUSE) -> Report:
    """So many seconds of load. In the first half service and host live, and what they hold is compared after a warm-up and at the
    end; in the second half everything may be killed."""
    rng = random.Random(seed)
    report = Report(
        f"Soak of {seconds} s", seed, again or f"python -m tests.reliability soak --seed {seed} --times {seconds}",
    )  # fmt: skip
    with place("dask") as here:
        here.start()
        world = World(here, rng)
        try:
            warm = _phase(world, report, GENTLE, seconds * 0.2, pause)
            later = _phase(world, report, GENTLE, seconds * 0.3, pause)
            report.rows[GENTLE[0].name, "service and host live"].wrong += grown(warm, later)
            _phase(world, report, ALL, seconds * 0.5, pause)
        finally:
            world.close()
        row = next(iter(report.rows.values()))
        row.wrong += [f"left behind at the end: {line[:300]}" for line in here.stop()]
    return report


def _phase(
    world: World, report: Report, victims: list[kills.Victim], seconds: float, pause: tuple[float, float]
) -> list[Size]:
    """Load with faults; what service and host hold when all of it has ended."""
    point = "service and host live" if victims is GENTLE else "everything dies"
    load = Load(world.here, world.kernel)
    ends = time.monotonic() + seconds
    turn = 0
    while turn < len(victims) and victims is GENTLE or time.monotonic() < ends:
        time.sleep(world.rng.uniform(*pause))
        row = report.row(victims[turn % len(victims)].name, point)
        _strike(world, victims[turn % len(victims)], row)
        turn += 1
        if load.wrong or report.wrong:
            break
    load.stop()
    row.wrong += load.wrong + _holds(world)
    row.acknowledged += load.ended
    world.kernel.sent.clear()
    return sizes(world.here)


def _strike(world: World, victim: kills.Victim, row: Row) -> None:
    world.kernel.interruptions += 1  # before it: an electron may be run again at once
    deadline = time.monotonic() + 60
    while kills.attempt(victim, world) is None:
        if time.monotonic() > deadline:
            row.wrong.append("there was no such process for 60 s")
            return
        time.sleep(0.02)
    row.fired += 1
    row.seconds.append(world.here.start())


def _holds(world: World) -> list[str]:
    here = world.here
    sent = world.kernel.sent  # each was looked at when it had ended
    again = world.rng.sample(sent, min(AGAIN, len(sent)))
    wrong = invariants.check_results(again, world.kernel.interruptions)
    wrong += invariants.check_health(here) + invariants.check_processes(here) + invariants.check_files(here)
    return wrong + invariants.check_log(here, sent[-20:])


def sizes(here: Place) -> list[Size]:
    """Of service and host, when they have come to rest."""
    found: list[Size] = []

    def at_rest() -> bool:
        nonlocal found
        before, found = (
            found,
            [_size("service", here.service_pid() or 0), *(_size("host", p.pid) for p in here.of_kind(HOST))],
        )
        time.sleep(0.5)
        return [(s.pid, s.of["descriptors"], s.of["threads"]) for s in before] == [
            (s.pid, s.of["descriptors"], s.of["threads"]) for s in found
        ]

    wait_for(at_rest, 60, "rest")
    return found


def _size(name: str, pid: int) -> Size:
    process = psutil.Process(pid)
    of = {"MB": process.memory_info().rss / 1e6, "descriptors": process.num_fds(), "threads": process.num_threads()}
    return Size(name, pid, of)


def grown(before: list[Size], after: list[Size]) -> list[str]:
    """What the same processes hold more than before, beyond what is allowed."""
    wrong = []
    if {s.pid for s in before} != {s.pid for s in after}:
        wrong.append(f"these are other processes: {before} {after}")
    for size in after:
        for old in [s for s in before if s.pid == size.pid]:
            print(f"{size.name}: {_text(old)} after the warm-up, {_text(size)} at the end", flush=True)
            wrong += [
                f"the {size.name} has {size.of[what]:.0f} {what}, {old.of[what]:.0f} after the warm-up"
                for what, most in GROWN.items()
                if size.of[what] > old.of[what] + most
            ]
    return wrong


def _text(size: Size) -> str:
    return ", ".join(f"{value:.0f} {what}" for what, value in size.of.items())
