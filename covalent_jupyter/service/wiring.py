"""The one place where the parts behind the handlers are made and put together."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ..config import Settings
from ..dispatcher import Dispatcher
from ..errors import StoreError
from ..model import Environment, ExecutorSpec
from ..store import Store

log = logging.getLogger(__name__)

#: Seconds that the last commits are given at the end.
_LAST_COMMITS = 10.0


class NoHosts:
    """No executor hosts: dispatches are taken, recorded, and wait."""

    def ensure(self, environment: Environment, *, plugin: ExecutorSpec | None = None, root_id: str = "") -> str:
        return environment.digest

    def send(self, host_id: str, message: Any) -> bool:
        return False


class Parts:
    """Store, dispatcher and executor hosts of one service."""

    def __init__(self, store: Store, settings: Settings, token: str) -> None:
        self.store = store
        self.settings = settings
        self.dispatcher = Dispatcher(store, executor_options=self.executor_options)
        self.dispatcher.attach(NoHosts())

    def executor_options(self, name: str) -> dict[str, Any]:
        """Options of an executor that the configuration gives; those of the dispatch win over them."""
        if name != "dask":
            return {}
        prefix = "dask_"
        return {k[len(prefix) :]: v for k, v in self.settings.items() if k.startswith(prefix) and v not in (None, "", {})}

    async def start(self) -> int:
        """Takes up what is unfinished; the port where executor hosts connect."""
        found = await self.dispatcher.recover()
        if found:
            log.info("%d unfinished dispatches taken up", len(found))
        return 0

    async def cluster(self, action: str, *, name: str, host: str, n: int | None) -> dict[str, Any]:
        return {"action": action, "hosts": []}

    async def close(self) -> None:
        """Waits for the last commits, then lets go of everything."""
        try:
            await asyncio.wait_for(self.dispatcher.close(), _LAST_COMMITS)
        except (asyncio.TimeoutError, StoreError) as error:
            log.error("the last commits are not on the disk: %r", error)
        await asyncio.get_running_loop().run_in_executor(None, self.store.close)
