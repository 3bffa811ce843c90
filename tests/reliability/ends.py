"""Ways for an electron to die or to hang, and cancels: right state, named reason, in time, and nobody else hurt."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import covalent_jupyter as ct
from covalent_jupyter.client.rest import connect

from . import invariants
from .place import Place, place, wait_for
from .report import Report, Row
from .workload import mark

SAID = 3.0  # seconds from the death to the recorded state
GONE = 3.0  # seconds from the cancel to the end of the process


def beat(folder: str, name: str) -> None:
    """A side effect: it must not be seen any more once the electron is said to have ended."""
    Path(folder, name).write_text(repr(time.time()))


# Sixteen ways. Each is called with a folder in which the execution has left its mark.


def raises(folder: str) -> None:
    raise ValueError("no such thing")


def exits(folder: str) -> None:
    sys.exit(3)


def leaves(folder: str) -> None:
    os._exit(7)


def killed(folder: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segfaults(folder: str) -> None:
    ctypes.string_at(0)


def aborts(folder: str) -> None:
    os.abort()


def bus_error(folder: str) -> None:
    os.kill(os.getpid(), signal.SIGBUS)


def terminated(folder: str) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def eats_memory(folder: str) -> int:
    data = bytearray()
    while True:
        data += b"x" * 10_000_000
        time.sleep(0.01)


def loops(folder: str) -> None:
    while True:
        beat(folder, "beat")


def deaf_in_c(folder: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sum(x for x in iter(int, 1))


def stops_itself(folder: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


def closes_descriptors(folder: str) -> None:
    os.closerange(3, 4096)
    raise OSError("after closing everything")


def leaves_a_child(folder: str) -> None:
    if os.fork() == 0:
        while True:
            beat(folder, "beat")
            time.sleep(0.01)
    time.sleep(0.05)
    os._exit(9)


def gives_a_lock(folder: str) -> Any:
    return threading.Lock()


def kills_its_parent(folder: str) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


class Way(NamedTuple):
    """``said``: what the error names; ``after``: seconds that pass before it dies; ``again``: how often it may be run
    beyond its retries, because it was cut off and had not failed."""

    function: Callable[[str], Any]
    said: tuple[str, ...]
    options: dict[str, Any] = {}
    after: float = 0.0
    again: int = 0


WAYS = [
    Way(raises, ("ValueError", "no such thing")), Way(exits, ("SystemExit", "3")), Way(leaves, ("exit code 7",)),
    Way(killed, ("SIGKILL",)), Way(segfaults, ("SIGSEGV",)), Way(aborts, ("SIGABRT",)), Way(bus_error, ("SIGBUS",)),
    Way(terminated, ("SIGTERM",), again=10),
    Way(eats_memory, ("MemoryLimitExceeded",), {"resources": {"memory": "300MB"}}, 2.0),
    Way(loops, ("ElectronTimeout", "0.5 s"), {"timeout": 0.5}, 0.5),
    Way(deaf_in_c, ("ElectronTimeout", "0.5 s"), {"timeout": 0.5}, 0.5),
    Way(stops_itself, ("ElectronTimeout", "0.5 s"), {"timeout": 0.5}, 0.5),
    Way(closes_descriptors, ("closed descriptors that are not its own",)),
    Way(leaves_a_child, ("exit code 9",)), Way(gives_a_lock, ("lock",)),
    Way(kills_its_parent, ("cut off", "SIG"), {"timeout": 2.0}, 2.0, again=10),
]  # fmt: skip


def run(seed: int, times: int, again: str = "") -> Report:
    """Each way ``times`` times, without and with two retries, beside neighbours that must not feel it."""
    rng = random.Random(seed)
    report = Report(
        "Electrons that die or hang", seed, again or f"python -m tests.reliability ends --seed {seed} --times {times}",
        "said (s)",
    )  # fmt: skip
    with place("local") as here:
        here.start()
        slots = warm_up()
        plan = [(way, retries) for way in WAYS for retries in (0, 2) for _ in range(times)]
        rng.shuffle(plan)
        for n, (way, retries) in enumerate(plan):
            folder = here.marks / f"end{n}"
            folder.mkdir()
            trial(way, retries, folder, report.row(way.function.__name__.replace("_", " "), f"retries {retries}"))
        row = report.row(WAYS[0].function.__name__.replace("_", " "), "retries 0")
        if slots_now() < slots:
            row.wrong.append(f"{slots_now()} workers where {slots} were before")
        row.wrong += invariants.check_processes(here) + invariants.check_files(here)
        row.wrong += [f"left behind at the end: {line[:300]}" for line in here.stop()]
    return report


def warm_up() -> int:
    """How many electrons run at a time."""
    ct.dispatch_sync(ct.lattice(lambda: ct.electron(int)(1)))()
    return slots_now()


def slots_now() -> int:
    return max(int(e["slots"]) for e in connect().get("executors")["executors"])


def trial(way: Way, retries: int, folder: Path, row: Row) -> None:
    function = way.function

    def electron(where: str) -> Any:
        mark(where, "runs")
        return function(where)

    electron.__name__ = electron.__qualname__ = function.__name__
    bad = ct.electron(electron, retries=retries, retry_delay=0.0, **way.options)

    def neighbour(where: str, n: int) -> int:
        mark(where, f"neighbour{n}")
        return n

    fine = ct.electron(neighbour)

    @ct.lattice
    def several(where: str) -> Any:
        return bad(where), [fine(where, n) for n in range(3)]

    dispatch_id = str(ct.dispatch(several)(str(folder)))
    result = ct.get_result(dispatch_id, wait=True, timeout=240)
    row.fired += 1
    row.acknowledged += 1
    row.wrong += [f"{dispatch_id[:8]}: {text}" for text in judge(way, retries, folder, result, row)]


def judge(way: Way, retries: int, folder: Path, result: ct.Result, row: Row) -> list[str]:
    electron, wrong = result.electrons[0], []
    error = str(electron.error)
    if str(result.status) != "FAILED" or str(electron.status) != "FAILED":
        wrong.append(f"it is {electron.status}, the dispatch {result.status}")
    if not any(text in error for text in way.said):
        wrong.append(f"the error names none of {way.said}: {error}")
    if way.function.__name__ not in error and way.function.__name__ not in str(result.error):
        wrong.append(f"the error does not name the electron: {error}")
    runs = [float(line.split()[0]) for line in (folder / "runs").read_text().splitlines()]
    if not 1 + retries <= len(runs) <= 1 + retries + way.again:
        wrong.append(f"it ran {len(runs)} times with {retries} retries")
    row_ = next(r for r in connect().electrons(result.dispatch_id).electrons if r.node == 0)
    took = (row_.ended or 0.0) - max(runs)
    row.seconds.append(max(0.0, took - way.after))
    if took > SAID + way.after and took > (SAID + way.after) * invariants.slowness():
        wrong.append(f"it was said {took:.2f} s after the last begin")
    for n in range(3):
        if len((folder / f"neighbour{n}").read_text().splitlines()) != 1:
            wrong.append("a neighbour was repeated")
        if result.electrons[1 + n].value != n:
            wrong.append("a neighbour gave another value")
    if _beats(folder):
        wrong.append("it still runs after its end was said")
    return wrong


def _beats(folder: Path) -> bool:
    """Whether something there still has side effects."""
    if not (folder / "beat").exists():
        return False
    before = (folder / "beat").read_text()
    time.sleep(0.15)
    return (folder / "beat").read_text() != before


# Cancel


def python_loop(folder: str) -> None:
    while True:
        beat(folder, "beat")


def c_loop(folder: str) -> None:
    beat(folder, "beat")
    sum(x for x in iter(int, 1))


def ignores_sigterm(folder: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        beat(folder, "beat")


def grandchildren(folder: str) -> None:
    code = (
        "import os, sys, time\nos.setsid() if os.fork() == 0 else None\n"
        "while True:\n open(sys.argv[1], 'w').write(repr(time.time())); time.sleep(0.01)"
    )
    subprocess.Popen([sys.executable, "-c", code, os.path.join(folder, "beat")])
    time.sleep(600)


def short(folder: str) -> int:
    return 1


CANCELS = {f.__name__.replace("_", " "): f for f in (python_loop, c_loop, ignores_sigterm, grandchildren)}


def run_cancels(seed: int, times: int, again: str = "") -> Report:
    """``times`` cancels, in turn of what runs, what waits, and what has just finished."""
    rng = random.Random(seed)
    report = Report(
        "Cancel", seed, again or f"python -m tests.reliability cancel --seed {seed} --times {times}", "gone (s)"
    )
    kinds = [*CANCELS, "queued", "just finished"]
    with place("local") as here:
        here.start()
        warm_up()
        for n in range(times):
            kind = kinds[n % len(kinds)]
            folder = here.marks / f"cancel{n}"
            folder.mkdir()
            row = report.row("cancel", kind)
            row.fired += 1
            row.acknowledged += 1
            if kind == "queued":
                row.wrong += cancel_queued(folder)
            elif kind == "just finished":
                row.wrong += cancel_finished(folder, rng)
            else:
                row.wrong += cancel_running(here, CANCELS[kind], folder, row)
        row.wrong += invariants.check_processes(here)
        row.wrong += [f"left behind at the end: {line[:300]}" for line in here.stop()]
    return report


def cancel_running(here: Place, function: Callable[[str], Any], folder: Path, row: Row) -> list[str]:
    def electron(where: str) -> Any:
        mark(where, "runs")
        return function(where)

    lattice = ct.lattice(lambda where: ct.electron(electron)(where))
    dispatch_id = str(ct.dispatch(lattice)(str(folder)))
    wait_for(lambda: (folder / "beat").exists(), 120, "the begin")
    pid = int((folder / "runs").read_text().split()[1])
    began, wrong = time.monotonic(), []
    ct.cancel(dispatch_id)
    result = ct.get_result(dispatch_id, wait=True, timeout=120)
    took = time.monotonic() - began
    row.seconds.append(took)
    if str(result.status) != "CANCELLED":
        wrong.append(f"it is {result.status}: {result.error}")
    if Path(f"/proc/{pid}").exists():
        wrong.append("its process is still there after CANCELLED")
    # what ignores SIGTERM has a grace of 1 s before SIGKILL
    if took > GONE and took > GONE * invariants.slowness():
        wrong.append(f"gone after {took:.2f} s")
    if _beats(folder):
        wrong.append("it has side effects after CANCELLED")
    return wrong


def cancel_queued(folder: Path) -> list[str]:
    """What has not begun never does."""

    def waits(where: str, n: int) -> None:
        mark(where, f"begun{n}")
        time.sleep(60)

    electron = ct.electron(waits)
    dispatch_id = str(ct.dispatch(ct.lattice(lambda where: [electron(where, n) for n in range(12)]))(str(folder)))
    wait_for(lambda: list(folder.iterdir()), 120, "the begin of the first")
    ct.cancel(dispatch_id)
    result = ct.get_result(dispatch_id, wait=True, timeout=120)
    begun = len(list(folder.iterdir()))
    time.sleep(0.2)
    wrong = [] if str(result.status) == "CANCELLED" else [f"it is {result.status}"]
    if len(list(folder.iterdir())) != begun:
        wrong.append("one began after CANCELLED")
    return wrong


def cancel_finished(folder: Path, rng: random.Random) -> list[str]:
    """First come, first served: completed with its value, or cancelled; never something in between."""
    electron = ct.electron(short)
    dispatch_id = str(ct.dispatch(ct.lattice(lambda where: electron(where)))(str(folder)))
    time.sleep(rng.uniform(0.0, 0.06))
    answer = ct.cancel(dispatch_id)
    result = ct.get_result(dispatch_id, wait=True, timeout=120)
    status = str(result.status)
    if status == "COMPLETED":
        return [] if result.value == 1 else [f"its value is {result.value!r}"]
    return [] if status == "CANCELLED" else [f"it is {status} after {answer}"]
