"""What happens to dispatches that have ended: notes, deletion, and the space that it frees."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import blobs
from ..crashpoint import crashpoint
from ..errors import Conflict, InvalidRequest, NotFound
from ..model import ENDED, DispatchRow, Status
from ..model.events import Annotated, Noticed, encode_event, kind_of
from ..store import Batch
from .ledger import Ledger
from .reading import Reading

#: A file that was touched this recently may be relied on by a submission that is on its way; seconds.
JUST_TOUCHED = 60.0
#: More rows than any family or store has.
EVERYTHING = 1 << 40


class Upkeep:
    """Changes ended dispatches."""

    def __init__(self, ledger: Ledger, reading: Reading, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._reading = reading
        self._clock = clock
        self._collecting: set[asyncio.Future[int]] = set()

    async def annotate(self, dispatch_id: str, event: Annotated | Noticed) -> DispatchRow:
        """What people wrote on it, or should be told about it."""
        await self._ledger.durable()
        row = await self._reading.run(self._store.dispatch, dispatch_id)
        if row is None:
            raise NotFound(f"no dispatch '{dispatch_id}'")
        if isinstance(event, Noticed):
            row.notices.append(event.text)
        else:
            _write(row, event)
        await self._ledger.append(Batch(events=[(dispatch_id, kind_of(event), encode_event(event))], dispatches=[row]))
        return row

    async def delete(self, ids: list[str]) -> dict[str, Any]:
        """``{"deleted": [ids, sublattices included], "freed": bytes}``. Conflict if one still runs."""
        family = await self._family(ids)
        digests: set[str] = set()
        for dispatch_id in family:
            digests.update(await self._reading.run(self._store.references, dispatch_id))
        await self._ledger.append(Batch(deletes=family))
        crashpoint("delete.committed")
        freed = await self._reading.run(self._free, sorted(digests), family)
        return {"deleted": family, "freed": freed}

    async def would_free(self, ids: list[str]) -> dict[str, Any]:
        """``{"would_delete": [ids, sublattices included], "bytes": what that would free}``. Conflict if one runs."""
        family = await self._family(ids)
        return {"would_delete": family, "bytes": await self._reading.run(self._held_by, family)}

    async def _family(self, ids: list[str]) -> list[str]:
        """These dispatches, which have ended, with all below them; children first."""
        family: list[str] = []
        for dispatch_id in ids:
            if dispatch_id in self._ledger.runs:
                raise Conflict(f"dispatch {dispatch_id[:8]} is running; cancel it first")
            row = await self._reading.run(self._store.dispatch, dispatch_id)
            if row is None:
                raise NotFound(f"no dispatch '{dispatch_id}'")
            if row.parent_id is not None:
                raise InvalidRequest(
                    f"dispatch {dispatch_id[:8]} is a sublattice's run; delete its root {row.root_id[:8]}"
                )
            rows, _ = await self._reading.run(self._store.dispatches, root=dispatch_id, limit=EVERYTHING)
            family += [r.dispatch_id for r in rows if r.dispatch_id != dispatch_id] + [dispatch_id]
        return family

    async def purge(self, *, older_than: float, states: list[str], dry_run: bool) -> dict[str, Any]:
        """``{"deleted": [...], "freed": bytes}``, or with ``dry_run`` ``{"would_delete": [...]}``."""
        for state in states:
            if state not in {str(s) for s in ENDED}:
                raise InvalidRequest(
                    f"only ended dispatches can be purged; {state!r} is none of {sorted(map(str, ENDED))}"
                )
        limit = self._clock() - older_than
        found: list[str] = []
        for state in states or [str(s) for s in ENDED]:
            rows, _ = await self._reading.run(self._store.dispatches, status=Status(state), limit=EVERYTHING)
            found += [r.dispatch_id for r in rows if r.parent_id is None and r.ended is not None and r.ended <= limit]
        if dry_run:
            return {"would_delete": found}
        return await self.delete(found)

    def collect(self, digests: list[str]) -> None:
        """Removes the files of values that nothing refers to any more; in the background."""
        task = asyncio.ensure_future(self._reading.run(self._remove, digests, 0.0))
        self._collecting.add(task)
        task.add_done_callback(self._collecting.discard)

    def _remove(self, digests: list[str], untouched_for: float) -> int:
        freed, before = 0, time.time() - untouched_for
        for digest in self._store.unreferenced(digests):
            path = blobs.blob_path(self._store.blob_root, digest)
            with suppress(FileNotFoundError):
                if blobs.last_use(path.stat()) <= before:
                    freed += blobs.remove_blob(self._store.blob_root, digest)
        return freed

    def _held_by(self, family: list[str]) -> int:
        """Bytes of logs, and of values that nothing else refers to."""
        total = 0
        for dispatch_id in family:
            logs = Path(self._store.folder) / "logs" / dispatch_id
            total += sum(f.stat().st_size for f in logs.glob("*") if f.is_file())
        for digest, inline in self._store.sole_references(family):
            path = blobs.blob_path(self._store.blob_root, digest)
            with suppress(OSError):
                inline = max(inline, path.stat().st_size)
            total += inline
        return total

    def _free(self, digests: list[str], family: list[str]) -> int:
        """Removes files that nothing refers to any more, and the logs of these dispatches; bytes."""
        folder, freed = Path(self._store.folder), 0
        for dispatch_id in family:
            logs = folder / "logs" / dispatch_id
            freed += sum(f.stat().st_size for f in logs.glob("*") if f.is_file())
            shutil.rmtree(logs, ignore_errors=True)
            shutil.rmtree(folder / "work" / dispatch_id, ignore_errors=True)
        return freed + self._remove(digests, JUST_TOUCHED)


def _write(row: DispatchRow, event: Annotated) -> None:
    if event.label is not None:
        row.label, row.name = event.label, event.label or row.lattice
    if event.tags is not None:
        row.tags = event.tags
    if event.note is not None:
        row.note = event.note
