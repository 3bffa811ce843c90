"""What the service does now and then: values that nothing refers to go, and so do the events of what ended long ago."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from .. import snapshot
from ..errors import StoreError
from ..lastwords import named_in_spools
from ..model import wire
from ..store import Store
from .disk import budget_warning, sizes

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds after the start of the service until the first sweep: a service that starts has other things to do.
FIRST = 300.0
#: Seconds since its end after which the events of a dispatch go; rows, attempts, results and logs stay.
KEEP_EVENTS = 7 * 86_400.0
#: Seconds that a value must have lain untouched.
UNTOUCHED = 86_400.0


class Swept(NamedTuple):
    """What went: values with their bytes, and events."""

    values: int
    freed: int
    events: int


class Housekeeping:
    """Sweeps ``every()`` seconds, read anew each time; 0: never."""

    def __init__(self, store: Store, every: Callable[[], float]) -> None:
        self._store = store
        self._every = every
        self._woken = asyncio.Event()
        self.disk_warning = ""  # as of the last sweep

    async def keep(self) -> None:
        """Until cancelled."""
        pause = FIRST
        with suppress(
            Exception
        ):  # border: what goes wrong at the start does so again at the first sweep, which says it
            await asyncio.to_thread(self._store.renew_search)
            await asyncio.to_thread(self.look_at_disk)
        while True:
            await self._wait(min(pause, self._every() or pause))
            if not self._every():
                pause = FIRST
                continue
            pause = self._every()
            try:
                swept = await asyncio.to_thread(self.sweep)
            except (OSError, StoreError) as error:
                log.warning("values could not be collected: %s", error)
            except Exception:  # border: what one sweep stumbles over must not end all later ones
                log.exception("values could not be collected")
            else:
                if any(swept):
                    log.info("collected: %d values (%d bytes), %d events", *swept)

    def settings_changed(self) -> None:
        """Looks at the interval again."""
        self._woken.set()

    async def _wait(self, seconds: float) -> None:
        self._woken.clear()
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            pass

    def sweep(self, *, untouched: float = UNTOUCHED, keep_events: float = KEEP_EVENTS) -> Swept:
        """One sweep; blocks. StoreError or OSError if it could not be done.

        A value goes when no dispatch refers to it, no spool names it, and nobody has touched it for a day: whoever finds a
        value that is there touches it before relying on it.
        """
        live = named_in_spools(Path(self._store.folder) / "spool")
        self._store.lay_out_inputs()
        values, freed = self._store.gc(live, untouched)
        snapshot.collect(str(Path(self._store.folder) / "work"), self._needed_snapshots, untouched)
        self.look_at_disk()
        return Swept(values, freed, self._store.compact_ended(time.time() - keep_events))

    def _needed_snapshots(self) -> set[Path]:
        """Where the local modules of unfinished dispatches lie."""
        found = set()
        for dispatch_id in self._store.unfinished():
            data = self._store.manifest(dispatch_id)
            environment = wire.decode_manifest(data).environment if data is not None else None
            if environment is not None and environment.modules:
                found.add(snapshot.folder_of(environment.modules, str(Path(self._store.folder) / "work")))
        return found

    def look_at_disk(self) -> None:
        """Whether the store takes more of the disk than it should; blocks."""
        found = sizes(self._store)
        self.disk_warning = budget_warning(found["total"], found["budget"])
