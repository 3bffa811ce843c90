"""Local modules of dispatches lie on the disk once, instead of travelling with every pack."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from .. import blobs
from ..model import Environment
from ..snapshot import folder_of, is_whole, materialise, stamp_of
from .ledger import Ledger
from .reading import Reading

log = logging.getLogger(__name__)

#: Snapshots of which is remembered that they were read.
REMEMBERED = 200


class Snapshots:
    """What of it is laid out. All methods are called on the event loop."""

    def __init__(self, ledger: Ledger, reading: Reading, work_root: str) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._reading = reading
        self._work_root = work_root
        self._under_way: dict[str, asyncio.Task[Path | None]] = {}  # by root dispatch
        self._read: dict[Path, list[tuple[int, int]]] = {}  # snapshots that were read whole: their stamps

    def lies_there(self, root: str, environment: Environment) -> bool | None:
        """Whether workers find the modules of a dispatch on the disk: None while that is not settled yet (see :meth:`settled`),
        False where packs have to bring them."""
        if not environment.modules:
            return True
        task = self._under_way.get(root)
        if task is None:
            task = self._under_way[root] = asyncio.ensure_future(self._lay_out(environment))
        if not task.done():
            return None
        folder = task.result()
        return folder is not None and folder.is_dir()

    async def settled(self, root: str) -> None:
        """Waits until :meth:`lies_there` knows."""
        task = self._under_way.get(root)
        if task is not None:
            await asyncio.wait([task])

    def forget(self, root: str) -> None:
        """The root dispatch has ended."""
        self._under_way.pop(root, None)

    async def _lay_out(self, environment: Environment) -> Path | None:
        known = {d: data for d in environment.modules.values() if (data := self._ledger.cache.get(d)) is not None}
        try:
            return await self._reading.run(self._write, environment.modules, known)
        except Exception as error:  # the border to disk and store: what cannot be laid out travels
            log.warning("local modules go with every pack, since they could not be laid out: %s", error)
            return None

    def _write(self, modules: dict[str, str], known: dict[str, bytes]) -> Path:
        """Blocks."""
        folder = folder_of(modules, self._work_root)
        if folder.is_dir():
            with suppress(OSError):
                os.utime(folder)  # see snapshot.collect
            if self._is_whole(folder, modules):
                return folder
            log.warning("the local modules in %s are not what they were: they are laid out anew", folder)
            shutil.rmtree(folder)
        found = {**self._store.values(set(modules.values()) - set(known)), **known}
        root = str(self._store.blob_root)
        return materialise(modules, lambda d: found[d] if d in found else blobs.read_blob(root, d), self._work_root)

    def _is_whole(self, folder: Path, modules: dict[str, str]) -> bool:
        """Reads every file once, and again when one was written to since."""
        with suppress(OSError):
            stamp = stamp_of(folder, modules)
            if self._read.get(folder) == stamp:
                return True
            if is_whole(folder, modules):
                self._read[folder] = stamp
                if len(self._read) > REMEMBERED:
                    del self._read[next(iter(self._read))]
                return True
        self._read.pop(folder, None)
        return False
