"""A disk that is full, broken, or closed for writing: records wait, submissions are refused at once, all heals by itself."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import covalent_jupyter as ct
from covalent_jupyter import launch
from covalent_jupyter.client.rest import connect
from covalent_jupyter.errors import CovalentError, StorageFull

from . import invariants
from .place import Place, place, wait_for
from .report import Report, Row
from .workload import Kernel, Sent, digest, join, mark

SIZE = 128 << 20  # bytes of the disk
REFUSED, HEALED = 1.0, 5.0  # seconds
FAULTY = Path(__file__).with_name("faulty.c")


@ct.electron
def heavy(folder: str, name: str, size: int) -> bytes:
    mark(folder, name)
    return random.Random(name).randbytes(size)


@ct.lattice
def many(folder: str, width: int, size: int) -> Any:
    parts = [heavy(folder, f"part{n}", size) for n in range(width)]
    return join(folder, "join", *(digest(folder, f"digest{n}", p) for n, p in enumerate(parts)))


def many_value(width: int, size: int) -> tuple[str, ...]:
    import hashlib

    return tuple(hashlib.sha256(random.Random(f"part{n}").randbytes(size)).hexdigest() for n in range(width))


class Disk(NamedTuple):
    """A small file system of its own; ``mounted`` is False where none may be mounted: limits of the process then do."""

    folder: Path
    mounted: bool

    def fill(self, leave: int) -> None:
        """Until about ``leave`` bytes are free."""
        with suppress(OSError), open(self.folder / "ballast", "wb", buffering=0) as file:
            free = _free(self.folder)
            while free > leave:
                file.write(bytes(min(free - leave, 1 << 20)))
                free = _free(self.folder)

    def free(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


@contextmanager
def small_disk() -> Iterator[Disk]:
    folder = Path(tempfile.mkdtemp(prefix="covalent-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield Disk(folder, mounted.returncode == 0)
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


class Fault(NamedTuple):
    """How the disk fails (``begin``), how it is well again (``end``), and what is sent meanwhile."""

    name: str
    point: str
    begin: Callable[[Bench, int], None]
    end: Callable[[Bench], None]
    send: Callable[[Kernel], Sent | None]


class Bench:
    """The place, on its disk, with what is needed to break it."""

    def __init__(self, here: Place, disk: Disk, faulty: Path | None, rng: random.Random) -> None:
        self.here, self.disk, self.faulty, self.rng = here, disk, faulty, rng
        self.kernel = Kernel(here.marks, rng)

    @property
    def pid(self) -> int:
        pid = self.here.service_pid()
        assert pid is not None
        return pid


LEVELS = [0, 4096, 16_384, 65_536, 131_072, 200_000, 262_144, 393_216, 524_288, 786_432, 1_048_576, 1_310_720]


def fill(bench: Bench, level: int) -> None:
    if bench.disk.mounted:
        bench.disk.fill(LEVELS[level % len(LEVELS)])
    else:
        limit_files(bench, level)


CHECKPOINT = 16_000_000  # bytes of the log at which DuckDB writes it into its file


def fill_for_checkpoint(bench: Bench, level: int) -> None:
    """Room enough for the log to become due for a checkpoint, not for what the checkpoint writes."""
    log, last = bench.here.store / "store.duckdb.wal", bench.kernel.sent[-1].dispatch_id
    while not log.exists() or log.stat().st_size < CHECKPOINT - (3 << 20):
        connect().annotate(last, note=bench.rng.randbytes(49_000).hex())  # the quickest way to a long log
    bench.disk.fill(CHECKPOINT - log.stat().st_size + 200_000 + LEVELS[level % len(LEVELS)])


def unfill(bench: Bench) -> None:
    bench.disk.free()
    if not bench.disk.mounted:
        unlimit_files(bench)


def limit_files(bench: Bench, level: int) -> None:
    """No file may grow beyond what the log has now, and a little."""
    size = (bench.here.store / "store.duckdb.wal").stat().st_size
    _limit(bench, resource.RLIMIT_FSIZE, size + 4096 * (level % 5))


def unlimit_files(bench: Bench) -> None:
    _limit(bench, resource.RLIMIT_FSIZE, None)


def _limit(bench: Bench, kind: int, soft: int | None) -> None:
    """Of the running service; None: as much as it may have."""
    _, hard = resource.prlimit(bench.pid, kind)
    resource.prlimit(bench.pid, kind, (hard if soft is None else soft, hard))


def limit_descriptors(bench: Bench, level: int) -> None:
    """It may open no other file. Those that it has may be more than that."""
    _limit(bench, resource.RLIMIT_NOFILE, 3 + level % 4)


def unlimit_descriptors(bench: Bench) -> None:
    _limit(bench, resource.RLIMIT_NOFILE, None)


def break_disk(bench: Bench, level: int) -> None:
    (bench.here.root / "fault").write_text(str((errno.EIO, errno.EROFS, errno.ENOSPC)[level % 3]))


def mend_disk(bench: Bench) -> None:
    (bench.here.root / "fault").unlink()


def send_small(kernel: Kernel) -> Sent | None:
    return kernel.send_mixed()


def send_heavy(kernel: Kernel) -> Sent | None:
    """Values that lie in the database: the log grows until it is due for a checkpoint."""
    return kernel.send(lambda folder: (many, (folder, 20, 15_000), many_value(20, 15_000)))


def send_blobs(kernel: Kernel) -> Sent | None:
    return kernel.send(lambda folder: (many, (folder, 3, 300_000), many_value(3, 300_000)))


def send_upload(kernel: Kernel) -> Sent | None:
    return kernel.send_upload()


FAULTS = [
    Fault("full disk", "log", fill, unfill, send_small),
    Fault("full disk", "checkpoint", fill_for_checkpoint, unfill, send_heavy),
    Fault("full disk", "blob", fill, unfill, send_blobs),
    Fault("full disk", "upload", fill, unfill, send_upload),
    Fault("EIO, EROFS, ENOSPC", "log", break_disk, mend_disk, send_small),
    Fault("EIO, EROFS, ENOSPC", "upload", break_disk, mend_disk, send_upload),
    Fault("EMFILE", "upload", limit_descriptors, unlimit_descriptors, send_upload),
    Fault("EFBIG", "log", limit_files, unlimit_files, send_small),
]


def run(seed: int, times: int, again: str = "") -> Report:
    """``times`` faults, in turn, at random fill levels."""
    rng = random.Random(seed)
    report = Report(
        "Full and broken disks",
        seed,
        again or f"python -m tests.reliability disk --seed {seed} --times {times}",
        "healed (s)",
    )
    with small_disk() as disk:
        faulty = compile_faulty(disk.folder.parent)
        faults = [f for f in FAULTS if faulty is not None or f.begin is not break_disk]
        faults = [f for f in faults if disk.mounted or f.begin is not fill_for_checkpoint]
        with place("local", store=disk.folder / "store") as here:
            if faulty is not None:
                here.variables = {
                    "LD_PRELOAD": str(faulty), "COVALENT_FAULT_FILE": str(here.root / "fault"),
                    "COVALENT_FAULT_PREFIX": str(here.store / "store.duckdb") + ":" + str(here.store / "blobs"),
                }  # fmt: skip
            here.start()
            bench = Bench(here, disk, faulty, rng)
            for n in range(times):
                fault = faults[n % len(faults)]
                trial(bench, fault, rng.randrange(len(LEVELS)), report.row(fault.name, fault.point))
                if report.wrong:
                    break
            row = report.row(faults[0].name, faults[0].point)
            row.wrong += read_only_start(bench, report)
            row.wrong += [f"left behind at the end: {line[:300]}" for line in here.stop()]
        if faulty is not None:
            shutil.rmtree(faulty.parent)
    return report


def trial(bench: Bench, fault: Fault, level: int, row: Row) -> None:
    here, kernel = bench.here, bench.kernel
    kernel.sent.clear()
    purge(here)
    before = kernel.send_mixed()
    assert before is not None, kernel.refused
    ct.get_result(before.dispatch_id, wait=True, timeout=240)
    pid = bench.pid
    fault.begin(bench, level)
    try:
        wrong = until_refused(bench, fault)
    finally:
        fault.end(bench)
    row.fired += 1
    began = time.monotonic()
    try:
        wait_for(lambda: _is_well(here), 60, "health")
        took = time.monotonic() - began
        row.seconds.append(took)
        if took > HEALED and took > HEALED * invariants.slowness():
            wrong.append(f"it healed after {took:.1f} s")
        if bench.pid != pid:
            wrong.append("the service was restarted")
        if kernel.send_mixed() is None:
            wrong.append(f"nothing was accepted afterwards: {kernel.refused[-1]}")
        wrong += invariants.check_results(kernel.sent, kernel.interruptions)
        wrong += invariants.check_files(here) + invariants.check_log(here, kernel.sent)
    except (AssertionError, CovalentError) as error:
        wrong.append(f"{type(error).__name__}: {error}")
    row.acknowledged += len(kernel.sent)
    row.wrong += [f"level {level}: {text}" for text in wrong]


def until_refused(bench: Bench, fault: Fault) -> list[str]:
    """Send until the fault is felt: a submission is refused, or the store says that it cannot write, or (a large value
    that an electron made) the electron waits for room."""
    kernel, wrong = bench.kernel, []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        began = time.monotonic()
        refused = None
        try:
            sent = _send_once(kernel, fault)
        except StorageFull as error:
            sent, refused = None, error
        took = time.monotonic() - began
        if refused is not None:
            if took > REFUSED and took > REFUSED * invariants.slowness():
                wrong.append(f"a submission was refused after {took:.2f} s")
            if not str(refused):
                wrong.append("refused without a reason")
            return wrong
        if sent is not None and fault.point == "blob":
            with suppress(CovalentError):
                ct.get_result(sent.dispatch_id, wait=True, timeout=1.5)
            if str(ct.get_result(sent.dispatch_id).status) == "RUNNING":
                return wrong
    wrong.append("the fault was never felt")
    return wrong


def _send_once(kernel: Kernel, fault: Fault) -> Sent | None:
    refused = len(kernel.refused)
    sent = fault.send(kernel)
    if len(kernel.refused) > refused:
        text = kernel.refused[-1]
        if text.startswith("StorageFull"):
            raise StorageFull(text)
        raise AssertionError(f"refused, but not because the disk is full: {text}")
    return sent


def _is_well(here: Place) -> bool:
    connection = launch.read_connection(here.store)
    assert connection is not None
    with suppress(OSError):
        status, answer = launch.call(connection, "GET", "health", timeout=10)
        return status == 200 and bool(answer["ok"])
    return False


def purge(here: Place) -> None:
    """The disk is small: what ended goes."""
    with suppress(CovalentError):
        connect().post("purge", older_than=0.0, states=[], dry_run=False)


def read_only_start(bench: Bench, report: Report) -> list[str]:
    """A service does not start on a disk that is closed for writing, and says why; it does when that is over."""
    here, wrong = bench.here, []
    row = report.row("read-only", "start")
    row.fired += 1
    bench.kernel.sent.clear()
    sent = bench.kernel.send_mixed()
    assert sent is not None, bench.kernel.refused
    ct.get_result(sent.dispatch_id, wait=True, timeout=240)
    row.acknowledged += 1
    here.stop()
    closed = _close(bench, here)
    if not closed:
        row.fired -= 1
        return wrong
    began = time.monotonic()
    try:
        launch.ensure_running(here.store)
        wrong.append("it started on a disk that is closed for writing")
    except CovalentError as error:
        if not any(word in str(error) for word in ("Read-only", "read-only", "cannot be used", "writable")):
            wrong.append(f"it does not say why it did not start: {error}")
        if time.monotonic() - began > 10:
            wrong.append("it took more than 10 s to say so")
    finally:
        _open(bench, here)
    row.seconds.append(here.start())
    wrong += invariants.check_results(bench.kernel.sent, 0) + invariants.check_log(here, bench.kernel.sent)
    return wrong


def _close(bench: Bench, here: Place) -> bool:
    if bench.disk.mounted:
        wait_for(lambda: _remount(bench, "ro"), 10, "a remount")
        return True
    if os.getuid():
        here.store.chmod(0o500)
        return True
    return False


def _open(bench: Bench, here: Place) -> None:
    if bench.disk.mounted:
        _remount(bench, "rw")
    else:
        here.store.chmod(0o700)


def _remount(bench: Bench, how: str) -> bool:
    command = ["mount", "-o", f"remount,{how}", str(bench.disk.folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def compile_faulty(folder: Path) -> Path | None:
    """The library that makes writes fail; None where there is no C compiler."""
    if shutil.which("cc") is None:
        return None
    target = Path(tempfile.mkdtemp(prefix="covalent-faulty-", dir=folder)) / "faulty.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(target), str(FAULTY), "-ldl"], check=True)
    ctypes.CDLL(str(target))
    return target
