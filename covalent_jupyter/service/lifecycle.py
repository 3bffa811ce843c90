"""How the service comes up, is found, and goes: connection file, signals, idle exit."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from tornado.httpserver import HTTPServer

from ..crashpoint import crashpoint
from ..launch import read_connection
from ..model import ConnectionFile
from ..paths import connection_file
from .backend import STORE_GONE, Context

log = logging.getLogger(__name__)

#: Seconds that requests which are being answered are given at the end.
_GRACE = 3.0


def write_connection(store_dir: Path, connection: ConnectionFile) -> Path:
    """Puts the connection file where clients look: whole, and for this user alone."""
    path = connection_file(store_dir)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(connection)))
    os.replace(temporary, path)
    return path


def remove_connection(store_dir: Path, connection: ConnectionFile) -> None:
    """Removes the connection file if it is still this service's own."""
    found = read_connection(store_dir)
    if found is not None and found.token == connection.token:
        with suppress(FileNotFoundError):
            connection_file(store_dir).unlink()


class Lifecycle:
    """Waits for the end of the service, and brings it about in order."""

    def __init__(self, context: Context, server: HTTPServer, close: Callable[..., Awaitable[None]]) -> None:
        self._context = context
        self._server = server
        self._close = close
        self._end = asyncio.Event()
        self._reason = ""
        self._stop_hosts: bool | None = None

    def stop(self, reason: str, stop_hosts: bool | None = None) -> None:
        """Ends the service; a second call changes nothing. ``stop_hosts`` None: those that work on something go on."""
        if not self._end.is_set():
            self._reason, self._stop_hosts = reason, stop_hosts
            self._context.stopping = True
            self._end.set()

    async def run(self) -> None:
        """Until somebody ends the service, or nobody has needed it for a while."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, signal.Signals(number).name)
        watch = asyncio.ensure_future(self._watch())
        try:
            await self._end.wait()
        finally:
            watch.cancel()
        await self._leave()

    async def _watch(self) -> None:
        """Idle exit, also where the store was removed; and the marker of unfinished runs goes when there are none."""
        context = self._context
        while not self._end.is_set():
            limit = context.idle_timeout
            await asyncio.sleep(min(max(limit / 10, 0.05), 5.0) if limit else 5.0)
            if context.dispatcher.running() or context.activity.open:
                continue
            if context.activity.idle_for() > 1.0:
                context.marker.unlink(missing_ok=True)
            if context.store.removed:
                self.stop(STORE_GONE)
            # nothing is awaited between this look and `stopping`, so no request can come between
            if limit and context.activity.idle_for() >= limit:
                self.stop(f"idle for {limit:g} s")

    async def _leave(self) -> None:
        context = self._context
        running = context.dispatcher.running()
        log.info("stopping: %r; %d dispatches go on at the next start", self._reason, running)
        self._server.stop()
        remove_connection(Path(context.store.folder), context.connection)
        crashpoint("service.leaving")
        context.dispatcher.bus.wake()  # long polls answer now
        deadline = time.monotonic() + _GRACE
        while context.activity.open and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._server.close_all_connections(), 1.0)
        await self._close(stop_hosts=not running if self._stop_hosts is None else self._stop_hosts)
        log.info("stopped")
