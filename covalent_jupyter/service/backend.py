"""What the handlers need of the parts behind them, and what they share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from ..config import Settings
from ..errors import StoreGone
from ..model import ConnectionFile, DispatchRow, Manifest, wire
from ..model.work import LogGrew
from ..place import Place
from ..store import Store

#: why a service ends whose store was removed
STORE_GONE = "its store was removed"

P = ParamSpec("P")
T = TypeVar("T")


class Backend(Protocol):
    """The dispatcher, as the handlers see it. Refusals are :class:`covalent_jupyter.errors.ServiceError`."""

    bus: Any
    runs: Any
    live_logs: dict[tuple[str, int], LogGrew]

    async def submit(self, head: wire.Head, blobs: dict[str, bytes]) -> tuple[str, bool]: ...
    async def reusable(self, manifest: Manifest) -> dict[str, list[int]]: ...
    async def cancel(self, dispatch_id: str, nodes: list[int] | None = None) -> dict[str, Any]: ...
    async def redispatch(self, dispatch_id: str, *, reuse: str = "none", seed: int | None = None) -> str: ...
    async def update(
        self, dispatch_id: str, *, label: str | None = None, tags: list[str] | None = None, note: str | None = None
    ) -> DispatchRow: ...
    async def delete(self, ids: list[str]) -> dict[str, Any]: ...
    async def would_free(self, ids: list[str]) -> dict[str, Any]: ...
    async def purge(self, *, older_than: float, states: list[str], dry_run: bool = False) -> dict[str, Any]: ...
    async def recover(self) -> list[str]: ...
    async def close(self) -> None: ...
    def executors(self) -> list[dict[str, Any]]: ...
    def why_waiting(self, dispatch_id: str) -> list[str]: ...
    def running(self) -> int: ...
    def has_ended(self, dispatch_id: str) -> bool: ...
    def end_of(self, dispatch_id: str) -> DispatchRow | None: ...


class Pools:
    """Threads for what blocks: short reads, uploads and files, and users' SQL, which may take half a minute."""

    def __init__(self) -> None:
        self.reads = ThreadPoolExecutor(4, "reader")
        self.files = ThreadPoolExecutor(4, "files")
        self.sql = ThreadPoolExecutor(2, "sql")

    def close(self) -> None:
        for pool in (self.reads, self.files, self.sql):
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass
class Activity:
    """When somebody last asked for something, and how many requests are being answered."""

    open: int = 0
    last: float = field(default_factory=time.monotonic)
    requests: int = 0
    refused: int = 0

    def idle_for(self) -> float:
        """Seconds since the last request ended; 0 while one is open."""
        return 0.0 if self.open else time.monotonic() - self.last


@dataclass
class Context:
    """Everything that a handler may reach."""

    store: Store
    dispatcher: Backend
    connection: ConnectionFile
    settings: Settings
    pools: Pools
    marker: Path  # exists while there may be unfinished runs
    shutdown: Callable[[str, bool | None], None]
    cluster: Callable[..., Awaitable[dict[str, Any]]]
    configure: Callable[[Settings], None]  # tells the parts behind about changed settings
    activity: Activity = field(default_factory=Activity)
    stopping: bool = False
    warnings: tuple[str, ...] = ()
    disk_warning: Callable[[], str] = lambda: ""  # what is to be said of the disk at present
    place: Place = Place("", "")  # what the service lives in
    idle_exit: float | None = None  # from the command line; it wins over the setting

    @property
    def idle_timeout(self) -> float:
        """Seconds without need after which the service goes; 0: never."""
        return self.settings.idle_timeout if self.idle_exit is None else self.idle_exit

    @property
    def blob_root(self) -> Path:
        return Path(self.store.blob_root)

    @property
    def log_root(self) -> Path:
        return Path(self.store.folder) / "logs"

    def check_store(self) -> None:
        """StoreGone if the store was removed. The service ends then, so that the next one makes a new store, unless that
        can be undone and dispatches are under way."""
        if not self.store.removed:
            return
        gone = f"the store {self.store.folder} was removed, moved or replaced while its service ran, so nothing was accepted. "
        running = self.dispatcher.running()
        if running and not self.store.deleted:
            raise StoreGone(
                f"{gone}{running} of its dispatches are under way: move it back, or go on with what lies there now (a new "
                "store, if nothing does) after `jupyter covalent restart`"
            )
        self.shutdown(STORE_GONE, True if running else None)
        raise StoreGone(
            f"{gone}This service ends now; the next dispatch starts another one, with the store that lies there then: a new "
            "one, unless the old one is put back before"
        )

    async def read(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A blocking read, in a thread."""
        return await _in(self.pools.reads, function, *args, **kwargs)

    async def file(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Blocking work on files, in a thread."""
        return await _in(self.pools.files, function, *args, **kwargs)

    async def query(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A user's SQL, in a thread of its own kind."""
        return await _in(self.pools.sql, function, *args, **kwargs)


async def _in(pool: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, lambda: function(*args, **kwargs))
