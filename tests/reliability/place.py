"""A world of its own for one harness: folders, a store, and every process that belongs to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

import covalent_jupyter as ct
from covalent_jupyter import launch
from covalent_jupyter.client.rest import connect
from covalent_jupyter.crashpoint import VARIABLE
from covalent_jupyter.errors import ServiceUnavailable

T = TypeVar("T")

SLOW_START = 4.0  # seconds after which a start of the service has to be explained
SERVICE, HOST, FORKSERVER = "covalent_jupyter.service", "covalent_jupyter.executors.host", "worker.forkserver"
FOLDERS = {
    "COVALENT_STORE_DIR": "store",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTER_CONFIG_DIR": "config",
}


def wait_for(what: Callable[[], T], seconds: float = 90.0, name: str = "it") -> T:
    """What ``what`` gives as soon as it is true; AssertionError when that takes longer than ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"{name} did not come about within {seconds:g} s"
        time.sleep(0.01)
    return found


class Place:
    """The store below ``root``, its service, its hosts, and what they started. Nothing else is ever ended."""

    def __init__(self, root: Path, store: Path | None = None) -> None:
        self.root = root
        self.store = store or root / "store"
        self.marks = root / "marks"
        self.crash = root / "crash"
        self.variables: dict[str, str] = {}  # of services that are started by :meth:`start`
        for folder in (self.marks, self.crash, root / "home"):
            folder.mkdir(parents=True, exist_ok=True)

    # processes

    def processes(self) -> list[psutil.Process]:
        """Every process whose environment names this store, kernels of the harness excepted."""
        wanted, found = f"COVALENT_STORE_DIR={self.store}".encode(), []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            with suppress(OSError, psutil.Error):
                if wanted in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                    process = psutil.Process(int(name))
                    if process.status() != psutil.STATUS_ZOMBIE and "tests.reliability" not in _command(process):
                        found.append(process)
        return found

    def of_kind(self, part: str) -> list[psutil.Process]:
        """Those whose command line names this module."""
        return [p for p in self.processes() if part in _command(p)]

    def runners(self) -> list[psutil.Process]:
        """Children of the forkservers: processes that run electrons."""
        found = []
        for server in self.of_kind(FORKSERVER):
            with suppress(psutil.Error):
                found += server.children()
        return found

    def service_pid(self) -> int | None:
        """The service that the connection file names, if it lives."""
        connection = launch.read_connection(self.store)
        return connection.pid if connection is not None and launch.is_alive(connection.pid) else None

    def kill_service(self) -> int:
        """SIGKILL; its pid. The process is gone on return."""
        pid = self.service_pid()
        assert pid is not None, "there is no service to kill"
        kill(pid)
        return pid

    def kill_hosts(self) -> int:
        """SIGKILL of every executor host; how many."""
        hosts = self.of_kind(HOST)
        for host in hosts:
            kill(host.pid)
        return len(hosts)

    def start(self, seconds: float = 120.0) -> float:
        """Have the service run, however often its start is cut off; seconds until ``/health`` answered."""
        deadline = time.monotonic() + seconds
        while True:
            began = time.monotonic()
            try:
                connection = launch.ensure_running(self.store, variables=self.variables)
                status, _ = launch.call(connection, "GET", "health", timeout=10)
                assert status == 200
                took = time.monotonic() - began
                if took > SLOW_START:
                    print(f"ready after {took:.1f} s; the log:\n{launch.log_tail(self.store)}", flush=True)
                return took
            except (ServiceUnavailable, OSError):
                if time.monotonic() > deadline:
                    raise

    def health(self) -> float:
        """Seconds that ``GET health`` takes; AssertionError unless all is well."""
        connection = launch.read_connection(self.store)
        assert connection is not None
        began = time.monotonic()
        status, answer = launch.call(connection, "GET", "health", timeout=10)
        took = time.monotonic() - began
        assert status == 200 and answer["ok"], answer
        return took

    def stop(self) -> list[str]:
        """End service and hosts in order; what is left behind all the same is named, and ended."""
        self.disarm()
        self.start()
        connection = launch.read_connection(self.store)
        assert connection is not None
        with suppress(OSError):  # it may go before it has answered
            launch.call(
                connection, "POST", "shutdown", {"reason": "the harness is done", "stop_hosts": True}, timeout=60
            )
        wait_for(lambda: not launch.is_alive(connection.pid), 60, "the end of the service")
        return self.end_all(grace=30.0)

    def end_all(self, grace: float = 0.0) -> list[str]:
        """End whatever still runs after ``grace`` seconds; their command lines."""
        deadline = time.monotonic() + grace
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.02)
        names = [_command(process) for process in left]
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, 10)
        return names

    # crash points

    def arm(self, point: str, nth: int = 1, delay: float = 0.0) -> None:
        """The n-th pass of this point from now on is the last thing that its process does."""
        self.disarm()
        temporary = self.crash / "arming"
        temporary.write_text(f"{point} {nth} {delay}")
        temporary.rename(self.crash / "armed")

    def disarm(self) -> None:
        for path in self.crash.iterdir():
            path.unlink(missing_ok=True)

    def fired(self) -> bool:
        """Whether the armed point has ended its process."""
        try:
            pid = int((self.crash / "fired").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return False
        return not launch.is_alive(pid)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Kill one process and wait until it is gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    wait_for(lambda: not launch.is_alive(pid), 60, f"the end of process {pid}")


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def place(
    executor: str = "local", *, store: Path | None = None, armed: bool = False, **variables: str
) -> Iterator[Place]:
    """A place in a temporary folder, as the environment of this process; everything of it is gone afterwards. ``armed``: its
    processes look at every crash point whether it is theirs."""
    folder = Path(tempfile.mkdtemp(prefix="covalent-reliability-"))
    here = Place(folder, store)
    with pytest.MonkeyPatch.context() as patch:
        for name, sub in FOLDERS.items():
            patch.setenv(name, str(folder / sub))
        patch.setenv("COVALENT_STORE_DIR", str(here.store))
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("COVALENT_DASK_N_WORKERS", "2")
        patch.setenv("COVALENT_EXECUTOR", executor)
        patch.setenv("COVALENT_NICE", "0")  # what is measured is not to wait for what else the machine does
        patch.setenv("COVALENT_IDLE_TIMEOUT", "600")
        if armed:
            patch.setenv(VARIABLE, str(here.crash))
        for name, value in variables.items():
            patch.setenv(name, value)
        for name in [n for n in os.environ if n.startswith(("JPY_", "JUPYTERHUB_", "COVALENT_JUPYTER"))]:
            patch.delenv(name)
        ct.reload_config()
        try:
            yield here
        finally:
            here.disarm()
            here.end_all()
            connect().disconnect()
    ct.reload_config()
    if os.environ.get("COVALENT_KEEP_PLACES"):  # to look at what a failure left
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


def copy_store(here: Place, target: Path) -> Path:
    """The store as a power cut would leave it: copied while its service stands still, blobs by reference."""
    target.mkdir(mode=0o700)
    pid = here.service_pid()
    if pid is not None:
        os.kill(pid, signal.SIGSTOP)
    try:
        for path in here.store.glob("store.duckdb*"):
            # by a process of its own: closing a descriptor of the file would drop locks that this process may hold. One may be
            # a folder, of what queries spill
            subprocess.run(["cp", "-r", str(path), str(target)], check=True)
    finally:
        if pid is not None:
            os.kill(pid, signal.SIGCONT)
    return target
