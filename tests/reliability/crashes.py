"""SIGKILL at every named point: of the service, the executor host, its runners, and of the store's own repair."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import covalent_jupyter
import covalent_jupyter as ct
from covalent_jupyter import launch
from covalent_jupyter.client.rest import connect
from covalent_jupyter.errors import CovalentError, NotFound
from covalent_jupyter.store import Batch, Store, opening

from . import invariants
from .place import Place, place, wait_for
from .report import Report
from .workload import Kernel

FIRES = 120.0  # seconds within which a point must be passed
TEARS = 5  # of one log, until there is something to repair
ROOT = Path(__file__).parents[2]


def points_in_the_code() -> set[str]:
    """The names of all crash points, as they stand in the source."""
    package = Path(covalent_jupyter.__file__).parent
    return {
        name
        for path in package.rglob("*.py")
        for name in re.findall(r'^ +crashpoint\("([a-z.]+)"\)', path.read_text(), re.M)
    }


# Scenes: what brings processes to a point. Each is called with the point armed where it says so, and returns when it
# has done its part; it is called again until the point has fired.


def working(here: Place, kernel: Kernel) -> None:
    kernel.send_mixed()


def working_sturdily(here: Place, kernel: Kernel) -> None:
    """A runner that is killed is its electron's own failure: each may fail once."""
    kernel.send_sturdy()


def uploading(here: Place, kernel: Kernel) -> None:
    kernel.send_upload()


def deleting(here: Place, kernel: Kernel) -> None:
    done = kernel.sent.pop(0)
    ct.get_result(done.dispatch_id, wait=True, timeout=240)
    with suppress(NotFound):  # repeated by the client after the first request was cut off: it had been carried out
        connect().delete(done.dispatch_id)
    try:
        connect().dispatch(done.dispatch_id)
    except NotFound:
        return
    raise AssertionError(f"{done.dispatch_id} was deleted and is there")


def cancelling(here: Place, kernel: Kernel) -> None:
    sent = kernel.send_napping(60.0)
    assert sent is not None, kernel.refused
    sent.cancelled = True
    wait_for(
        lambda: here.fired() or len(list(sent.folder.iterdir())) >= 2,
        seconds=120,
        name="the begin of what is to be cancelled",
    )
    ct.cancel(sent.dispatch_id)
    result = ct.get_result(sent.dispatch_id, wait=True, timeout=240)
    assert str(result.status) == "CANCELLED", result.status


def starting(here: Place, kernel: Kernel) -> None:
    if here.service_pid() is not None:
        here.kill_service()
    with suppress(CovalentError):
        launch.ensure_running(here.store)


def leaving(here: Place, kernel: Kernel) -> None:
    here.start()
    launch.stop(here.store, reason="a crash point waits there")


def replacing_the_host(here: Place, kernel: Kernel) -> None:
    kernel.interruptions += here.kill_hosts()
    sent = kernel.send_mixed()
    assert sent is not None, kernel.refused
    wait_for(lambda: (here.crash / "fired").exists() or any(sent.folder.iterdir()), 90, "another host")


def recovering(here: Place, kernel: Kernel) -> None:
    """A service starts that finds a dead host, whose runners had finished something that nobody heard of."""
    point = (here.crash / "armed").read_text() if (here.crash / "armed").exists() else ""
    (here.crash / "armed").unlink(missing_ok=True)
    here.start()
    sent = kernel.send_napping(0.4)
    assert sent is not None, kernel.refused
    wait_for(lambda: len(list(sent.folder.iterdir())) >= 2, seconds=120, name="the begin of two electrons")
    here.kill_service()
    time.sleep(0.6)  # two electrons end while nobody listens
    kernel.interruptions += here.kill_hosts()
    if point:
        (here.crash / "armed").write_text(point)
    with suppress(CovalentError):
        launch.ensure_running(here.store)
    wait_for(lambda: here.fired() or here.service_pid() is not None, name="a service")
    time.sleep(0.2)


class Point(NamedTuple):
    """A crash point, how to come to it, and whether electrons are cut off when its process ends."""

    name: str
    scene: Callable[[Place, Kernel], None]
    cuts: bool = False
    often: bool = False  # it is passed many times: one of the first few is taken


SERVICE_POINTS = [
    Point("submit.checked", working), Point("submit.decided", working), Point("submit.committed", working),
    Point("upload.spooled", uploading), Point("upload.received", uploading), Point("upload.named", uploading),
    Point("blob.written", uploading, cuts=True), Point("blob.named", uploading, cuts=True),
    Point("commit.written", working, often=True), Point("commit.done", working, often=True),
    Point("journal.moved", working, often=True), Point("journal.empty", working, often=True),
    Point("commit.heard", working, often=True), Point("launch.due", working, often=True),
    Point("launch.sent", working, often=True), Point("outcome.folded", working, often=True),
    Point("acknowledge.due", working, often=True), Point("acknowledge.sent", working, often=True),
    Point("retry.due", working), Point("sublattice.built", working),
    Point("cancel.decided", cancelling), Point("cancel.durable", cancelling), Point("delete.committed", deleting),
    Point("service.starting", starting), Point("service.found", starting), Point("service.leaving", leaving),
    Point("host.spawned", replacing_the_host), Point("host.recorded", replacing_the_host),
    Point("host.welcomed", replacing_the_host), Point("recovery.begun", recovering),
    Point("recovery.replayed", recovering), Point("recovery.ended", recovering), Point("recovery.fenced", recovering),
    Point("recovery.adopted", recovering),
]  # fmt: skip
WORKER_POINTS = [
    Point("pack.received", working, True, True), Point("pack.submitted", working, True, True),
    Point("outcome.numbered", working, True, True), Point("outcome.durable", working, True, True),
    Point("runner.forked", working, True), Point("runner.began", working_sturdily, False, True),
    Point("runner.computed", working_sturdily, False, True), Point("runner.spooled", working_sturdily, False, True),
    Point("cancel.condemned", cancelling, True), Point("cancel.gone", cancelling, True),
]  # fmt: skip
#: Points of the store alone, and what the process does that is killed there.
STORE_POINTS = {
    "migration.begun": "migrate", "migration.checkpointed": "migrate", "migration.saved": "migrate",
    "migration.written": "migrate", "migration.applied": "migrate", "migration.done": "migrate",
    "repair.copied": "repair", "repair.cut": "repair", "repair.kept": "header", "repair.header": "header", "reopen.closed": "reopen",
    "log.read": "fold", "log.folded": "fold",
}  # fmt: skip


def run(
    seed: int, times: int, executor: str = "local", points: Sequence[Point] | None = None, again: str = ""
) -> Report:
    """Each point ``times`` times, in random order, in one store whose service, host and lattices go on throughout."""
    rng = random.Random(seed)
    chosen = list(SERVICE_POINTS + WORKER_POINTS if points is None else points)
    name = f"Crash points, {executor} executor"
    report = Report(
        name, seed, again or f"python -m tests.reliability crashes-{executor} --seed {seed} --times {times}"
    )
    plan = [point for point in chosen for _ in range(times)]
    rng.shuffle(plan)
    with place(executor, armed=True) as here:
        here.start()
        kernel = Kernel(here.marks, rng)
        for point in plan:
            trial(here, kernel, point, rng, report)
            if report.wrong:
                break
        row = report.rows[plan[0].name.split(".")[0], plan[0].name]
        left = here.stop()
        row.wrong += [f"left behind at the end: {line[:300]}" for line in left]
    return report


def trial(here: Place, kernel: Kernel, point: Point, rng: random.Random, report: Report) -> None:
    """One kill, and everything that has to hold after it."""
    row = report.row(point.name.split(".")[0], point.name)
    nth, delay = rng.randint(1, 4) if point.often else 1, rng.choice((0.0, 0.0, 0.001, 0.01))
    _acknowledged_before(kernel)
    here.arm(point.name, nth, delay)
    failure, ready = _until_fired(here, kernel, point)
    if failure:
        row.wrong.append(f"{failure} (pass {nth}, {delay} s later)")
        return
    row.fired += 1
    kernel.interruptions += point.cuts
    row.seconds.append(ready)
    after = kernel.send_sturdy()
    if after is None:
        row.wrong.append(f"no dispatch was accepted afterwards: {kernel.refused[-1]}")
    row.wrong += [f"{text} (pass {nth}, {delay} s later)" for text in _holds(here, kernel)]
    row.acknowledged += max(1, len(kernel.sent) - 1)  # one more where it was deleted since
    kernel.sent[:] = kernel.sent[-1:]


def _acknowledged_before(kernel: Kernel) -> None:
    """At least one dispatch was acknowledged before the fault: a test must not pass because everything failed."""
    if not kernel.sent:
        assert kernel.send_sturdy() is not None, kernel.refused


def _until_fired(here: Place, kernel: Kernel, point: Point) -> tuple[str, float]:
    """Play the scene until the point has ended its process: "" or what went wrong, and the seconds until the service
    was ready again."""
    failures: list[str] = []
    ready = 0.0

    def play() -> None:
        deadline = time.monotonic() + FIRES
        while not (here.crash / "fired").exists() and time.monotonic() < deadline and not failures:
            try:
                point.scene(here, kernel)
            except (CovalentError, AssertionError, OSError) as error:
                failures.append(f"{type(error).__name__}: {error}")
            for _ in range(20):  # what the scene began goes on for a moment
                if (here.crash / "fired").exists():
                    break
                time.sleep(0.01)

    thread = threading.Thread(target=play, name="scene")
    thread.start()
    try:
        wait_for(lambda: (here.crash / "fired").exists() or not thread.is_alive(), FIRES + 10)
        if (here.crash / "fired").exists():
            wait_for(here.fired, 60, "the end of the victim")
            ready = here.start()
        thread.join(300)
    finally:
        if sys.exc_info()[0] is not None:  # interrupted: the scene must not go on in another environment
            failures.append("interrupted")
            thread.join(300)
        if not here.fired():
            here.disarm()
    if failures:
        return failures[0], ready
    return "" if here.fired() else f"it was not passed within {FIRES:g} s", ready


def _holds(here: Place, kernel: Kernel) -> list[str]:
    wrong = invariants.check_results(kernel.sent, kernel.interruptions)
    wrong += invariants.check_health(here)
    wrong += invariants.check_processes(here)
    wrong += invariants.check_files(here)
    wrong += invariants.check_log(here, kernel.sent)
    return wrong


# The store alone


def run_store(seed: int, times: int, points: Sequence[str] | None = None, again: str = "") -> Report:
    """SIGKILL inside a migration, inside the repair of a torn log, and between closing and reopening."""
    rng = random.Random(seed)
    report = Report(
        "Crash points of the store", seed, again or f"python -m tests.reliability crashes-store --seed {seed} --times {times}",
        "open (s)",
    )  # fmt: skip
    root = Path(tempfile.mkdtemp(prefix="covalent-reliability-"))
    try:
        for number, point in enumerate([p for p in points or STORE_POINTS for _ in range(times)]):
            row = report.row(point.split(".")[0], point)
            _store_trial(root / str(number), STORE_POINTS[point], point, rng, row.wrong, row)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return report


def _store_trial(folder: Path, action: str, point: str, rng: random.Random, wrong: list[str], row) -> None:  # type: ignore[no-untyped-def]
    here = Place(folder)
    store = folder / "store"
    committed = rng.randint(5, 40)
    with Store.open(store) as opened:
        for i in range(committed):
            opened.append(_record(i)).result(20)
        expected = [data for _, _, data in opened.events("a")]
        if action == "fold":
            for _ in range(30):
                opened.append(Batch(events=[("b", "x", rng.randbytes(100_000))])).result(20)
        if action in ("repair", "header", "fold"):  # copied by another process while it is open
            subprocess.run(["cp", "-r", str(store), str(folder / "unclean")], check=True)
            store = folder / "unclean"
    migrations, delay = "", 0.0
    if action == "fold":
        delay = rng.choice((0.0, 0.003, 0.01, 0.03))  # before the checkpoint, in the middle of it, after it
    elif action == "migrate":
        migrations = str(_next_schema(folder / "migrations"))
    elif action == "header":
        _spoil_header(store / "store.duckdb.wal", rng)
    whole = store
    for n in range(TEARS if action == "repair" else 1):
        if action == "repair":
            store = folder / f"torn{n}"
            subprocess.run(["cp", "-r", str(whole), str(store)], check=True)
            _tear(store / "store.duckdb.wal", rng)
        here.arm(point, 1, delay)
        command = [sys.executable, "-m", "tests.reliability.storework", action, str(store), str(here.crash), migrations]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:  # else it was torn between two entries, where the log may end: there was nothing to repair
            break
    if not here.fired() or done.returncode != -signal.SIGKILL:
        wrong.append(f"it was not passed: {done.stderr[-500:]}")
        return
    row.fired += 1
    acknowledged = [line.encode() for line in done.stdout.splitlines()]
    row.acknowledged += committed + len(acknowledged)
    began = time.monotonic()
    command[5:] = [str(here.crash), migrations]
    check = subprocess.run([*command[:3], "read", *command[4:]], cwd=ROOT, capture_output=True, text=True, check=False)
    row.seconds.append(time.monotonic() - began)
    found = [line.encode() for line in check.stdout.splitlines()]
    if check.returncode:
        wrong.append(f"it does not open: {check.stderr[-800:]}")
    elif action == "repair":
        if found != expected[: len(found)] or not found:
            wrong.append(f"{len(found)} records, which are no prefix of the {len(expected)} committed ones")
    elif not set(expected + acknowledged) <= set(found):
        wrong.append(f"lost: {set(expected + acknowledged) - set(found)}")


def _record(i: int):  # type: ignore[no-untyped-def]
    from tests.store.records import dispatch, electron

    return Batch(
        events=[("a", "x", b"%d" % i)], dispatches=[dispatch("a")], electrons=[electron("a", i % 7, attempt=i)]
    )


def _tear(log: Path, rng: random.Random) -> None:
    """The log as a power cut leaves it: its size is there, the end of its contents is not."""
    size = log.stat().st_size
    with open(log, "r+b") as file:
        file.truncate(rng.randint(size // 3, size - 2))
        file.truncate(size)


def _spoil_header(log: Path, rng: random.Random) -> None:
    """Garbage over the log's first bytes, which no checksum covers."""
    with open(log, "r+b") as file:
        file.write(rng.randbytes(rng.randint(4, 24)))


def _next_schema(folder: Path) -> Path:
    """The migrations of the code and one more."""
    shutil.copytree(opening.MIGRATIONS, folder)
    newest = opening.migrations()[-1][0]
    (folder / f"{newest + 1:04}.sql").write_text(
        "CREATE TABLE added (x INTEGER);\nINSERT INTO added SELECT range FROM range(1000);\n"
        "ALTER TABLE tombstone ADD COLUMN reason VARCHAR;\n"
    )
    return folder
