"""What is asked of a dispatch before it is taken over: whether it is sound, new, and what an earlier one already has of it."""

from __future__ import annotations

from collections.abc import Callable

from ..engine import DispatchRun
from ..errors import Conflict, InvalidRequest, MissingBlobs, NotFound
from ..model import ElectronRow, Manifest, Status, wire
from ..model.events import Reused, TakenOver
from ..rows import digests_of, inputs_of
from . import keeping
from .checks import Limits, check_manifest
from .ledger import Ledger
from .reading import Reading
from .variables import Variables


class Submissions:
    """Looks at manifests that somebody wants to run; changes no run."""

    def __init__(self, ledger: Ledger, reading: Reading, variables: Variables, limits: Callable[[], Limits]) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._reading = reading
        self._variables = variables
        self._limits = limits

    async def is_in_memory(self, manifest: Manifest) -> bool:
        """Whether this dispatch runs already, durably. Conflict if it is another graph."""
        key = self._ledger.key_of(manifest.dispatch_id)
        if key is None:
            return False
        check_same(manifest, key)
        await self._ledger.durable()
        return True

    async def prepare(self, head: wire.Head, small: dict[str, bytes]) -> tuple[DispatchRun, bytes, bytes] | None:
        """Checks a manifest and makes its run, with manifest and inputs encoded; None if the store has it already."""
        return await self._reading.run(self._prepare, head, small)

    def _prepare(self, head: wire.Head, small: dict[str, bytes]) -> tuple[DispatchRun, bytes, bytes] | None:
        manifest = head.manifest
        known = self._store.dispatch(manifest.dispatch_id) if self._store.has_rows_of(manifest.dispatch_id) else None
        if known is not None:
            check_same(manifest, known.key)
            return None
        if manifest.environment is None or manifest.parent is not None:
            raise InvalidRequest("a submitted dispatch needs an environment and has no parent")
        check_manifest(manifest, limits=self._limits())
        elsewhere = [d for d in manifest.blobs if d not in small]
        missing = self._store.missing(elsewhere) if elsewhere else []
        if missing:
            raise MissingBlobs(f"{len(missing)} blobs are missing", missing=missing)
        self._variables.keep(manifest.dispatch_id, head.variables)
        return DispatchRun(manifest), wire.encode_manifest(manifest), inputs_of(manifest)

    async def reusable(self, manifest: Manifest) -> TakenOver | None:
        """What an earlier dispatch already has of this one."""
        source = manifest.redispatch_of
        if source is None or manifest.reuse == "none":
            return None
        if await self._reading.run(self._store.dispatch, source) is None:
            raise NotFound(f"no dispatch '{source}' to reuse results of")
        rows = await self._reading.run(self._completed, source)
        by_key = {row.key: row for row in rows if row.key}
        by_place = {(row.node, row.name): row for row in rows} if manifest.reuse == "failed" else {}
        matched: dict[int, ElectronRow] = {}
        for node_id, node in enumerate(manifest.nodes):
            row = by_key.get(node.key) or by_place.get((node_id, node.name))
            if row is not None and row.output is not None:
                matched[node_id] = row
        wanted = sorted({d for row in matched.values() for d in digests_of(row.output)})
        gone = set(await self._reading.run(self._store.missing, wanted))
        again = keeping.to_run(manifest, matched, gone)
        nodes = [
            Reused(n, row.output, row.preview, row.child, row.started, row.ended)
            for n, row in matched.items()
            if n not in again and row.output is not None
        ]
        return TakenOver(source, nodes)

    def _completed(self, dispatch_id: str) -> list[ElectronRow]:
        rows, _ = self._store.electrons(dispatch_id, status=Status.COMPLETED, limit=self._limits().nodes)
        return list(rows)


def check_same(manifest: Manifest, key: str) -> None:
    if key != manifest.key:
        raise Conflict(f"dispatch {manifest.dispatch_id} exists already, with another graph")
