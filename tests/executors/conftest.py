from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from covalent_jupyter import processes

from .service import PACKAGE, Service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service without hosts; at the end its hosts are stopped."""
    store = tmp_path / "store"
    store.mkdir(mode=0o700)
    made = await Service(store).start()
    yield made
    await made.stop()


class Cluster:
    """A Dask cluster as somebody else runs it: a scheduler and a worker, each a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=self.folder, start_new_session=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        )  # fmt: skip
        self.started.append(process)
        return process

    def scheduler(self) -> None:
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        self.run(
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(file),
        )
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                self.address = json.loads(file.read_text())["address"]
                return
            except (OSError, ValueError):
                time.sleep(0.05)
        raise AssertionError("the Dask scheduler did not start")

    def start(self, *, elsewhere: Path | None = None) -> str:
        """A scheduler with one worker; the scheduler's address. From ``elsewhere`` the folder cannot be seen."""
        self.scheduler()
        self.worker(elsewhere)
        return self.address

    def worker(self, elsewhere: Path | None = None) -> subprocess.Popen[bytes]:
        hide = [] if elsewhere is None else ["tests.executors.elsewhere", str(elsewhere)]
        return self.run(
            *hide, "distributed.cli.dask_worker", self.address, "--nthreads", "2", "--no-nanny", "--no-dashboard", "--local-directory",
            str(self.folder), "--host", "127.0.0.1",
        )  # fmt: skip

    def close(self) -> None:
        for process in self.started:
            processes.kill_tree(process.pid)
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of somebody else's, not yet started."""
    made = Cluster(tmp_path)
    yield made
    made.close()
