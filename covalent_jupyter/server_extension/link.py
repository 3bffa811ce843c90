"""The Jupyter server's hold on the service: finds it, starts it, and starts it again when it died."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from logging import Logger
from pathlib import Path
from typing import Any

from .. import launch
from ..errors import ServiceUnavailable
from ..model import ConnectionFile

#: Seconds between two looks at whether the service is still alive.
WATCH = 2.0


class NotRunning(ServiceUnavailable):
    """There is no service, and nobody asked for one."""


class ServiceLink:
    """The service of one store. Used on the event loop; what blocks runs in a thread."""

    def __init__(
        self, store_dir: Path, log: Logger, *, variables: Mapping[str, str], restart: bool = True, timeout: float = 30.0
    ) -> None:
        self.store_dir = store_dir
        self._log = log
        self._variables = dict(variables)
        self._restart = restart
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(2, "covalent-link")
        self._lock = asyncio.Lock()
        self._known: ConnectionFile | None = None
        self._died = False

    async def connection(self, *, start: bool = True) -> ConnectionFile:
        """The running service, started if need be. ServiceUnavailable says why there is none, in a sentence.

        Without ``start``, one that went in order is not started: NotRunning.
        """
        known = self._known
        if known is not None and launch.is_alive(known.pid):
            return known
        async with self._lock:
            if self._known is not None and not launch.is_alive(self._known.pid):
                self._lost(self._known)
            if self._known is None:
                self._known = await (self._find_or_start() if start or self._died else self._find())
            return self._known

    async def renew(self, failed: ConnectionFile, *, start: bool = True) -> ConnectionFile:
        """Another look, after ``failed`` did not answer."""
        async with self._lock:
            if self._known is not None and self._known.token == failed.token:
                if not launch.is_alive(failed.pid):
                    self._lost(failed)
                self._known = None
        return await self.connection(start=start)

    def has_unfinished_work(self) -> bool:
        """Whether there may be runs that have not ended, also while no service runs."""
        return (self.store_dir / "unfinished").exists()

    async def begin(self, start: str) -> None:
        """At load: attach to a running service; start one where the setting ``start_at_load`` says so."""
        try:
            if start == "always" or (start == "unfinished" and self.has_unfinished_work()):
                await self.connection()
            else:
                self._known = await self._run(launch.find, self.store_dir)
        except ServiceUnavailable as error:
            self._log.warning("covalent: %s", error)

    async def watch(self, activity: dict[str, Any] | None) -> None:
        """For ever: restarts a service that died, and tells Jupyter that something runs."""
        while True:
            await asyncio.sleep(WATCH)
            if activity is not None and self._known is not None and self.has_unfinished_work():
                activity["covalent"] = datetime.now(UTC)
            known = self._known
            if known is None or launch.is_alive(known.pid):
                continue
            if not await self._run(self._left_behind, known):
                self._known = None  # it went by itself: idle, or asked to
                continue
            try:
                await self.connection()
            except ServiceUnavailable as error:
                self._known = None
                self._log.error("covalent: %s", error)

    def close(self) -> None:
        """Lets go of the service, which stays."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _left_behind(self, known: ConnectionFile) -> bool:
        """Whether the connection file of a service that is gone still lies there: it did not end in order."""
        found = launch.read_connection(self.store_dir)
        return found is not None and found.token == known.token

    def _lost(self, known: ConnectionFile) -> None:
        self._known = None
        self._died = self._left_behind(known)
        if self._died:
            self._log.warning("covalent: the service of %s (process %d) died", self.store_dir, known.pid)

    async def _find(self) -> ConnectionFile:
        found: ConnectionFile | None = await self._run(launch.find, self.store_dir)
        if found is None:
            raise NotRunning("the covalent service does not run; it is started when something is dispatched")
        return found

    async def _find_or_start(self) -> ConnectionFile:
        if self._died and not self._restart:
            found = await self._run(launch.find, self.store_dir)
            if found is None:
                raise ServiceUnavailable(
                    "the covalent service died, and c.Covalent.restart is 'never': run `jupyter covalent start`"
                )
        else:
            found = await self._run(launch.ensure_running, self.store_dir, self._timeout, variables=self._variables)
        word = "restarted" if self._died else "found"
        self._log.info(
            "covalent: %s the service of %s: process %d, version %s", word, self.store_dir, found.pid, found.version
        )
        self._died = False
        return found

    async def _run(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, **kwargs))
        except OSError as error:
            raise ServiceUnavailable(f"the service of {self.store_dir} cannot be started: {error}") from error
