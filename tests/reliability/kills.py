"""SIGKILL at random moments of every kind of process, under load; every third time again while all recovers."""

from __future__ import annotations

import itertools
import json
import os
import random
import secrets
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

import covalent_jupyter as ct

from ..servers import url_of
from . import invariants
from .place import FORKSERVER, HOST, Place, kill, place, wait_for
from .report import Report, Row
from .workload import Kernel, Sent

ROOT = Path(__file__).parents[2]
#: Of a Jupyter server. The others only make its start long, and what they start would count as ours.
EXTENSIONS = {"covalent_jupyter": True} | dict.fromkeys(
    ("jupyter_lsp", "jupyter_server_terminals", "jupyterlab", "notebook", "notebook_shim"), False
)
TOKEN = secrets.token_hex(16)  # made anew: what stands in a source travels with the electrons defined beside it


class World:
    """The place with what else may be killed: a kernel of its own, and a Jupyter server."""

    def __init__(self, here: Place, rng: random.Random) -> None:
        self.here = here
        self.rng = rng
        self.kernel = Kernel(here.marks, rng)
        self.other = OtherKernel(here)
        self.jupyter = Jupyter(here)

    def close(self) -> None:
        self.other.end()
        self.jupyter.end()


class OtherKernel:
    """A kernel process that dispatches until it is killed. What it was told was accepted comes over a pipe."""

    def __init__(self, here: Place) -> None:
        self._here = here
        self._number = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._number += 1
        marks = self._here.root / f"marks-of-kernel-{self._number}"
        marks.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.kernelwork", str(marks), str(self._number)], cwd=ROOT,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._first = self._process.stdout.readline()
        assert self._first, "the kernel did not dispatch anything"

    def end(self) -> list[Sent]:
        """Kill it; what it had been told was accepted."""
        process, self._process = self._process, None
        if process is None:
            return []
        assert process.stdout is not None
        process.kill()
        lines = [self._first, *process.stdout.readlines()]
        process.wait(10)
        process.stdout.close()
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [Sent(f["id"], Path(f["folder"]), tuple(f["value"]), 0, retries=1) for f in found]


class Jupyter:
    """A Jupyter server with the extension, through which the service can be reached."""

    def __init__(self, here: Place, extensions: Mapping[str, bool] = EXTENSIONS) -> None:
        self._here = here
        self._extensions = dict(extensions)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable, "-m", "jupyter_server", "--no-browser", "--port=0", "--allow-root",
            f"--ServerApp.root_dir={self._here.root / 'home'}", f"--IdentityProvider.token={TOKEN}",
            f"--ServerApp.jpserver_extensions={self._extensions}",
        ]  # fmt: skip
        with open(self._here.root / "jupyter.log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def url(self) -> str:
        assert self._process is not None
        return url_of(self._process, self._here.root / "runtime", self._here.root / "jupyter.log")

    def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)


# Victims. Each kills one process and gives how many interruptions of electrons that explains, or None where there was
# nothing to kill at that moment.


def service(world: World) -> int | None:
    if world.here.service_pid() is None:
        return None
    world.here.kill_service()
    return 0


def host(world: World) -> int | None:
    return world.here.kill_hosts() or None


def one_of(world: World, found: list[psutil.Process]) -> bool:
    if not found:
        return False
    kill(world.rng.choice(sorted(found, key=lambda p: p.pid)).pid)
    return True


def worker(world: World) -> int | None:
    found = [p for p in world.here.of_kind("spawn_main") if any(HOST in " ".join(q.cmdline()) for q in p.parents())]
    return 1 if one_of(world, found) else None


def forkserver(world: World) -> int | None:
    servers = world.here.of_kind(FORKSERVER)
    return 1 if one_of(world, [p for p in servers if p.parent() not in servers]) else None


def runner(world: World) -> int | None:
    servers = {p.pid for p in world.here.of_kind(FORKSERVER)}
    runners = [p for p in world.here.runners() if p.ppid() in servers]
    return 0 if one_of(world, runners) else None  # its electron has failed: that is what its retry is for


def kernel(world: World) -> int | None:
    world.other.start()
    time.sleep(world.rng.uniform(0.0, 0.3))
    world.kernel.sent += world.other.end()
    return 0


def jupyter_server(world: World) -> int | None:
    """While it passes requests on to the service."""
    world.jupyter.start()
    request = urllib.request.Request(
        f"{world.jupyter.url()}covalent/health", headers={"Authorization": f"token {TOKEN}"}
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert json.loads(answer.read())["ok"]
            break
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)  # it has said where it will listen, and does not yet
    time.sleep(world.rng.uniform(0.0, 0.3))
    world.jupyter.end()
    return 0


class Victim(NamedTuple):
    name: str
    kill: Callable[[World], int | None]
    executor: str = "any"


VICTIMS = [
    Victim("service", service), Victim("executor host", host), Victim("Dask worker", worker, "dask"),
    Victim("forkserver", forkserver), Victim("runner", runner), Victim("kernel", kernel),
    Victim("Jupyter server", jupyter_server),
]  # fmt: skip


def run(seed: int, times: int, executor: str = "dask", again: str = "") -> Report:
    """``times`` kills, those during recovery counted."""
    rng = random.Random(seed)
    report = Report(
        f"Random kills, {executor} executor", seed,
        again or f"python -m tests.reliability kills{'-local' * (executor == 'local')} --seed {seed} --times {times}",
    )  # fmt: skip
    victims = [v for v in VICTIMS if v.executor in ("any", executor)]
    with place(executor) as here:
        here.start()
        world = World(here, rng)
        try:
            first = world.kernel.send_sturdy()
            assert first is not None
            ct.get_result(first.dispatch_id, wait=True, timeout=240)
            for n in itertools.count():
                if report.fired >= times or report.wrong:
                    break
                victim = victims[n % len(victims)]
                again_ = (n + n // len(victims)) % 3 == 2  # in time each of them
                row = report.row(victim.name, "again in recovery" if again_ else "under load")
                trial(world, victim, again_, row)
        finally:
            world.close()
        row.wrong += [f"left behind at the end: {line[:300]}" for line in here.stop()]
    return report


def attempt(victim: Victim, world: World) -> int | None:
    """Like ``victim.kill``; None also where a process that was looked at ended by itself meanwhile."""
    try:
        return victim.kill(world)
    except psutil.NoSuchProcess:
        return None


def trial(world: World, victim: Victim, again: bool, row: Row) -> None:
    here, kernel_ = world.here, world.kernel
    stop = threading.Event()

    def load() -> None:
        for _ in range(3):
            kernel_.send_sturdy(0.2)
            if stop.wait(0.05):
                return

    loader = threading.Thread(target=load, name="load")
    loader.start()
    time.sleep(world.rng.uniform(0.02, 0.6))
    killed = None
    deadline = time.monotonic() + 60
    while (killed := attempt(victim, world)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
        if not loader.is_alive():
            kernel_.send_sturdy(0.2)
    if killed is None:
        row.wrong.append("there was no such process for 60 s")
        stop.set()
        loader.join()
        return
    row.fired += 1
    kernel_.interruptions += killed
    if again:
        _kill_the_recovery(world, row)
    row.seconds.append(here.start())
    stop.set()
    loader.join(300)
    if kernel_.send_sturdy() is None:
        row.wrong.append(f"no dispatch was accepted afterwards: {kernel_.refused[-1]}")
    wrong = invariants.check_results(kernel_.sent, kernel_.interruptions)
    wrong += invariants.check_health(here) + invariants.check_processes(here) + invariants.check_files(here)
    wrong += invariants.check_log(here, kernel_.sent)
    row.wrong += wrong
    row.acknowledged += len(kernel_.sent)
    kernel_.sent.clear()


def _kill_the_recovery(world: World, row: Row) -> None:
    """The service once more, in the middle of its start."""
    here = world.here
    if here.service_pid() is None:
        starter = threading.Thread(target=here.start)
        starter.start()
    else:
        starter = None
    time.sleep(world.rng.uniform(0.0, 0.8))
    found = here.of_kind("covalent_jupyter.service")
    for process in found:
        with suppress(psutil.NoSuchProcess):
            if "daemon.py" not in " ".join(process.cmdline()):
                kill(process.pid)
                row.fired += 1
    if starter is not None:
        starter.join(60)


def run_ready(seed: int, times: int, again: str = "") -> Report:
    """A service with a running dispatch of 10,000 nodes is killed again and again: when is it ready?"""
    rng = random.Random(seed)
    report = Report(
        "Service killed with 10,000 nodes", seed,
        again or f"python -m tests.reliability ready --seed {seed} --times {times}", "ready (s)",
    )  # fmt: skip
    row = report.row("service", "10,000 nodes, half of them recorded")
    with place("local") as here:
        here.start()

        def gate(folder: str) -> int:
            deadline = time.monotonic() + 600
            while not os.path.exists(os.path.join(folder, "open")) and time.monotonic() < deadline:
                time.sleep(0.05)
            return 1

        def one(x: int) -> int:
            return x

        wait, each = ct.electron(gate), ct.electron(one)

        @ct.lattice
        def wide(folder: str) -> list:
            w = wait(folder)
            return [each(i) for i in range(5000)] + [each(w) for _ in range(4999)]

        dispatch_id = str(ct.dispatch(wide)(str(here.marks)))
        wait_for(lambda: _completed(dispatch_id) >= 5000, 300, "the first half")
        for _ in range(times):
            here.kill_service()
            row.fired += 1
            time.sleep(rng.uniform(0.0, 0.2))
            row.seconds.append(here.start())
            pid = here.service_pid()
            assert pid is not None
            cpu = psutil.Process(pid).cpu_times()
            if cpu.user + cpu.system > 2.0:
                row.wrong.append(f"the start took {cpu.user + cpu.system:.2f} s of the processor")
            if _completed(dispatch_id) < 5000:
                row.wrong.append("recorded results are gone")
            row.acknowledged += 5000
        (here.marks / "open").touch()
        value = ct.get_result(dispatch_id, wait=True, timeout=300).value
        if value != [*range(5000), *[1] * 4999]:
            row.wrong.append("the value is another one")
        row.wrong += [f"left behind at the end: {line[:300]}" for line in here.stop()]
    return report


def _completed(dispatch_id: str) -> int:
    return int(ct.get_result(dispatch_id).row.counts.completed)
