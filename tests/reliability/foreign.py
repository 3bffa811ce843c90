"""A Dask cluster as somebody else runs it, each part a process, and the network between it and an executor host."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from distributed import Client

from covalent_jupyter import processes

from .place import kill, wait_for

PACKAGE = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """A scheduler and workers with a thread each, on loopback. They know nothing of the store."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.size = workers
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """What is missing of it. The scheduler listens where it did before."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            for worker in self.workers:  # without their scheduler they go, but not at once
                worker.wait(60)
            self.scheduler = self._run(
                "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"
            )
            wait_for(self._listens, 60, "a Dask scheduler")
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < self.size:
            self.workers.append(
                self._run(
                    "distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
                    "--local-directory", str(self.folder), "--host", "127.0.0.1",
                )
            )  # fmt: skip

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        variables = {k: v for k, v in os.environ.items() if not k.startswith("COVALENT_")}
        with open(self.folder / "log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *command], cwd=self.folder, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**variables, "PYTHONPATH": str(PACKAGE)},
            )  # fmt: skip

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def shut_down(self) -> None:
        """As its owner does it: ``Client(address).shutdown()``. All of it is gone on return."""
        Client(self.address, set_as_default=False).shutdown()
        for process in (self.scheduler, *self.workers):
            assert process is not None
            process.wait(60)

    def kill_scheduler(self) -> None:
        assert self.scheduler is not None and self.scheduler.poll() is None
        kill(self.scheduler.pid)
        self.scheduler.wait(10)

    def close(self) -> None:
        for process in (self.scheduler, *self.workers):
            if process is not None:
                processes.kill(process.pid, signal.SIGCONT)
                processes.kill_tree(process.pid)
                process.wait(10)


class Network:
    """Carries bytes from a port of its own to another one, until it is cut. A thread of the harness."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = asyncio.Event()  # bytes flow
        self._links: set[asyncio.Task[None]] = set()
        self.carried = 0  # bytes
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()
        self._server = self._call(self._listen())
        self.port = int(self._server.sockets[0].getsockname()[1])
        self.address = f"tcp://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        self._loop.call_soon_threadsafe(self._open.set)

    def drop(self) -> int:
        """Every connection breaks, new ones are accepted; how many there were."""
        return self._call(self._drop())

    def close(self) -> None:
        self._server.close()
        self._call(self._drop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(30)

    async def _listen(self) -> asyncio.Server:
        self._open.set()
        return await asyncio.start_server(self._link, "127.0.0.1", 0)

    async def _drop(self) -> int:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        return len(links)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        self.connections += 1
        writers = [writer]
        try:
            await self._open.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(far_writer)
            both = [asyncio.ensure_future(self._pump(a, b)) for a, b in ((reader, far_writer), (far_reader, writer))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in both:
                    pump.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(task)
            for each in writers:
                with suppress(OSError):
                    each.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            await self._open.wait()
            sink.write(data)
            await sink.drain()
            self.carried += len(data)
