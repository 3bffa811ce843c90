"""The one place where the parts behind the handlers are made and put together."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from ..config import Settings
from ..dispatcher import Dispatcher, Limits
from ..errors import Conflict, NotFound, StoreError
from ..paths import connection_file
from ..store import Store
from .hosts import Hosts
from .housekeeping import Housekeeping
from .notifier import Notifier

log = logging.getLogger(__name__)

#: Seconds that the last commits are given at the end; what is not written then, hosts still have in their spools.
_LAST_COMMITS = 10.0
_DASK = "dask_"


class Parts:
    """Store, dispatcher and executor hosts of one service."""

    def __init__(self, store: Store, settings: Settings, token: str) -> None:
        self.store = store
        self.settings = settings
        self.dispatcher = Dispatcher(store, executor_options=self.executor_options, limits=self.limits)
        self.hosts = Hosts(
            token=token, store_dir=Path(store.folder), store_id=store.store_id,
            connection_file=connection_file(Path(store.folder)), listener=self.dispatcher, blob_root=Path(store.blob_root),
        )  # fmt: skip
        self.dispatcher.attach(self.hosts)
        self.notifier = Notifier(store, self.dispatcher, lambda: self.settings)
        self.dispatcher.attach_notifier(self.notifier)
        self.housekeeping = Housekeeping(store, lambda: float(self.settings.collect_every))
        self._sweeping: asyncio.Task[None] | None = None

    def configure(self, settings: Settings) -> None:
        """Other settings from now on; executors that run already keep theirs."""
        self.settings = settings
        self.housekeeping.settings_changed()

    def limits(self) -> Limits:
        """How large a dispatch may become."""
        return Limits(self.settings.max_depth, self.settings.max_nodes)

    def executor_options(self, name: str) -> dict[str, Any]:
        """Options of an executor that the configuration gives; those of the dispatch win over them."""
        if name != "dask":
            return {}
        given = {k.removeprefix(_DASK): v for k, v in self.settings.items() if k.startswith(_DASK)}
        return {k: v for k, v in given.items() if v not in (None, "", {})}

    async def start(self) -> int:
        """Takes up what is unfinished; the port where executor hosts connect."""
        found = await self.dispatcher.recover()
        if found:
            log.info("%d unfinished dispatches taken up", len(found))
        await self.notifier.recover()
        port = await self.hosts.start()
        self._sweeping = asyncio.create_task(self.housekeeping.keep())
        return port

    async def cluster(self, action: str, *, name: str, host: str, n: int | None) -> dict[str, Any]:
        """``restart`` and ``close`` end executor hosts with their clusters; the next pack starts a new one. ``scale`` has the
        running ones take ``n`` electrons at once."""
        if action == "scale":
            assert n
            return {"action": action, "executors": await self.dispatcher.scale(name, host, n)}
        known = [e["host"] for e in self.dispatcher.executors() if not name or e["name"] == name]
        if host and host not in known:
            raise NotFound(f"no executor host {host[:80]!r} with the executor {name[:80]!r}", hosts=sorted(set(known)))
        wanted = sorted({h for h in known if not host or h == host})
        if action == "close" and self.dispatcher.running():
            raise Conflict(f"{self.dispatcher.running()} dispatches are running; 'restart' runs their electrons again")
        for each in wanted:
            self.hosts.drop(each)
        return {"action": action, "hosts": wanted}

    async def close(self, *, stop_hosts: bool = False) -> None:
        """Waits for the last commits, then lets go of everything. Hosts that go on are taken up by the next service."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self.notifier.close()
        await self.hosts.close(stop_hosts=stop_hosts)
        ends = time.monotonic() + (0.0 if self.store.removed else _LAST_COMMITS)
        try:
            await asyncio.wait_for(self.dispatcher.close(), ends - time.monotonic())
        except (TimeoutError, StoreError) as error:
            log.error("the last commits are not on the disk: %s", self.store.problem or repr(error))
        left = max(0.0, ends - time.monotonic())
        await asyncio.get_running_loop().run_in_executor(None, self.store.close, left)
