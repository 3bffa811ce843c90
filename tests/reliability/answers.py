"""How soon a Jupyter server and a kernel answer while 10,000 electrons run and results of 1 MB are fetched through that server."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

import covalent_jupyter as ct
from covalent_jupyter import config

from . import heartbeat, invariants
from .kills import EXTENSIONS, ROOT, TOKEN, Jupyter
from .place import Place, place
from .report import Report

ELECTRONS = 10_000
VALUES = 10
VALUE = 1 << 20  # bytes
PAUSE = 0.1  # seconds between two values that are fetched
ROUND = 4.0  # seconds of rest, and of counting processes, in each round
LATE = 0.010  # seconds: what the loop may come late by its own doing (p99), and an echo take more than at rest
BESIDE = 3.0  # times what processes that only count cause: another harness may run beside

REST, COUNTING, ELECTRON = "at rest", "two processes count", "10,000 electrons, values fetched"
LOOP, OWN, ECHO = "loop of the Jupyter server", "the same, without waiting for a processor", "echo of a kernel"

#: What any program would cost that has both processors work, at the niceness of electrons: the machine's part in the times.
COUNT = """
import os, sys
from covalent_jupyter import processes
os.nice(int(sys.argv[1]))
processes.step_back_in_session()
while True:
    pass
"""


@ct.electron
def increment(x: int) -> int:
    return x + 1


@ct.electron
def big(seed: int) -> bytes:
    return random.Random(seed).randbytes(VALUE)


@ct.lattice
def many(n: int) -> Any:
    return [increment(i) for i in range(n)]


@ct.lattice
def large(n: int) -> Any:
    return [big(i) for i in range(n)]


def work() -> None:
    """A kernel that dispatches as many electrons as each line says, and answers with a line when it has their values."""
    for line in sys.stdin:
        values = ct.dispatch_sync(many)(int(line)).value
        print(values == list(range(1, int(line) + 1)), flush=True)


def fetch(url: str, *digests: str) -> None:
    """Somebody who looks at results, until its input is closed; then it says how many there were. The first line is the token."""
    token = sys.stdin.readline().strip()
    closed = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), closed.set()), daemon=True).start()
    count = 0
    while not closed.wait(PAUSE):
        request = urllib.request.Request(
            f"{url}covalent/values/{digests[count % len(digests)]}", headers={"Authorization": f"token {token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert len(answer.read()) > VALUE
        count += 1
    print(json.dumps(count))


class Scene:
    """The Jupyter server with its heartbeat, a kernel that answers, and one that dispatches."""

    def __init__(self, here: Place, stack: ExitStack) -> None:
        self._beats = here.root / "heartbeat"
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv(heartbeat.VARIABLE, str(self._beats))
        patch.setenv("PYTHONPATH", str(ROOT))
        jupyter = Jupyter(here, EXTENSIONS | {heartbeat.__name__: True})
        stack.callback(jupyter.end)
        jupyter.start()
        manager, self._kernel = start_new_kernel()
        stack.callback(manager.shutdown_kernel, now=True)
        stack.callback(self._kernel.stop_channels)
        assert len(ct.dispatch_sync(large)(VALUES).value) == VALUES
        self._digests = [
            path.name for path in (here.store / "blobs").rglob("*") if VALUE < path.lstat().st_size < 2 * VALUE
        ]
        assert len(self._digests) == VALUES, self._digests
        self.url = jupyter.url()
        self._work = stack.enter_context(_child("work"))
        self.dispatch(100)

    def sample(self, until: Callable[[], bool]) -> dict[str, list[float]]:
        """Seconds that echoes took, and that the loop was late, from now on."""
        began, echoes = time.monotonic(), []
        while not until():
            start = time.perf_counter()
            self._kernel.execute_interactive("1", timeout=30, output_hook=lambda message: None)
            echoes.append(time.perf_counter() - start)
        end = time.monotonic()
        time.sleep(2 * heartbeat.EVERY * heartbeat.AT_ONCE)  # what was beaten is written some beats later
        late, own = heartbeat.beats(self._beats, began, end)
        return {LOOP: late, OWN: own, ECHO: echoes}

    def dispatch(self, electrons: int) -> dict[str, list[float]]:
        """While they run."""
        assert self._work.stdin is not None and self._work.stdout is not None
        answers: list[bytes] = []
        self._work.stdin.write(b"%d\n" % electrons)
        self._work.stdin.flush()
        reader = threading.Thread(target=lambda: answers.append(self._work.stdout.readline()))  # type: ignore[union-attr]
        reader.start()
        found = self.sample(lambda: not reader.is_alive())
        assert answers == [b"True\n"], answers
        return found

    @contextmanager
    def fetching(self, counts: list[int]) -> Iterator[None]:
        with _child("fetch", self.url, *self._digests) as process:
            assert process.stdin is not None
            process.stdin.write(f"{TOKEN}\n".encode())
            process.stdin.flush()
            yield
            out, _ = process.communicate()
            counts.append(json.loads(out))


@contextmanager
def _child(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _counting() -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(2):
            process = subprocess.Popen(
                [sys.executable, "-c", COUNT, str(config.load().nice)], cwd=ROOT, start_new_session=True
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


def run(seed: int, seconds: int) -> Report:
    """So many seconds, in rounds: at rest, beside two processes that only count, and while electrons run."""
    report = Report(
        "Answers while electrons run", seed, f"python -m tests.reliability answers --seed {seed} --times {seconds}",
        measure="took (s)", decimals=4,
    )  # fmt: skip
    with place("dask", COVALENT_NICE=str(config.OPTIONS["nice"].default)) as here, ExitStack() as stack:
        scene = Scene(here, stack)
        ends = time.monotonic() + seconds
        fetched: list[int] = []
        while time.monotonic() < ends:
            _note(report, REST, scene.sample(_after(ROUND)))
            with _counting():
                _note(report, COUNTING, scene.sample(_after(ROUND)))
            with scene.fetching(fetched):
                enough = _after(ROUND)
                while not enough():
                    _note(report, ELECTRON, scene.dispatch(ELECTRONS))
        for point in (LOOP, OWN, ECHO):
            report.row(ELECTRON, point).acknowledged = sum(fetched)
        stack.close()
        report.row(ELECTRON, LOOP).wrong += judge(report) + invariants.check_health(here)
        report.row(ELECTRON, LOOP).wrong += [f"left behind: {line[:300]}" for line in here.stop()]
    return report


def _after(seconds: float) -> Callable[[], bool]:
    ends = time.monotonic() + seconds
    return lambda: time.monotonic() > ends


def _note(report: Report, what: str, found: dict[str, list[float]]) -> None:
    for point, times in found.items():
        row = report.row(what, point)
        row.fired += 1
        row.seconds += times


def judge(report: Report) -> list[str]:
    """What took too long. That others of the machine had the processor is nobody's fault, so the loop is judged by what it did
    itself, and echoes beside those of a machine whose processors only count, but for the slowest tenth."""
    wrong = []
    for point in (LOOP, OWN, ECHO):
        times = {what: report.row(what, point).seconds for what in (REST, COUNTING, ELECTRON)}
        print(f"p99, {point}: " + ", ".join(f"{t:.1f} ms {w}" for w, t in
              ((what, percentile(found, 99) * 1e3) for what, found in times.items())), flush=True)  # fmt: skip
    own = percentile(report.row(ELECTRON, OWN).seconds, 99)
    if own > LATE:
        wrong.append(f"the loop of the Jupyter server was late by {own * 1e3:.1f} ms by its own doing (p99)")
    rest, counted, took = (percentile(report.row(what, ECHO).seconds, 90) for what in (REST, COUNTING, ELECTRON))
    if took > rest + LATE and took > BESIDE * counted:
        wrong.append(f"an echo took {took * 1e3:.0f} ms (p90), beside processes that count {counted * 1e3:.0f} ms")
    return wrong


if __name__ == "__main__":
    {"work": work, "fetch": fetch}[sys.argv[1]](*sys.argv[2:])
