"""What is asked of a dispatch before it is taken over: whether it is sound, new, and what an earlier one already has of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..engine import DispatchRun, replay
from ..errors import Conflict, InvalidRequest, MissingBlobs, NotFound
from ..model import ElectronRow, Manifest, Status, Step, selected_of, wire
from ..model.events import Reused, decode_event
from ..rows import digests_of, inputs_of
from . import keeping
from .checks import Limits, check_manifest
from .ledger import Ledger
from .reading import Reading
from .variables import Variables


class Reusable(NamedTuple):
    """What an earlier dispatch has of a graph. ``gone`` and ``unfit`` are nodes that it has, and that run again: values that are
    needed and not there any more, or that have not what the lattice returns of them."""

    nodes: list[Reused] = []
    gone: frozenset[int] = frozenset()
    unfit: frozenset[int] = frozenset()


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
        self.check(manifest)
        elsewhere = [d for d in manifest.blobs if d not in small]
        missing = self._store.missing(elsewhere) if elsewhere else []
        if missing:
            raise MissingBlobs(f"{len(missing)} blobs are missing", missing=missing)
        self._variables.keep(manifest.dispatch_id, head.variables)
        return DispatchRun(manifest), wire.encode_manifest(manifest), inputs_of(manifest)

    def check(self, manifest: Manifest) -> None:
        """Raises InvalidRequest for one that is not sound."""
        check_manifest(manifest, limits=self._limits())

    async def reusable(self, manifest: Manifest) -> Reusable:
        """What an earlier dispatch already has of this one."""
        source = manifest.redispatch_of
        if source is None or manifest.reuse == "none":
            return Reusable()
        found = await self._reading.run(self._store.dispatch, source)
        if found is None:
            raise NotFound(f"no dispatch '{source}' to reuse results of")
        rows = await self._reading.run(self._completed, source)
        # Events are read after the rows: it may be running, and whatever row is there then has its event too.
        unfit = await self._reading.run(self._unfit, source) if found.status is not Status.COMPLETED else {}
        selected = selected_of(manifest) if unfit else {}
        by_key = {row.key: row for row in rows if row.key}
        by_place = {(row.node, row.name): row for row in rows} if manifest.reuse == "failed" else {}
        matched: dict[int, ElectronRow] = {}
        unfitting: set[int] = set()
        for node_id, node in enumerate(manifest.nodes):
            row = by_key.get(node.key) or by_place.get((node_id, node.name))
            if row is None or row.output is None:
                continue
            if row.node in unfit and unfit[row.node] == selected.get(node_id):
                unfitting.add(node_id)
            else:
                matched[node_id] = row
        wanted = sorted({d for row in matched.values() for d in digests_of(row.output)})
        gone = set(await self._reading.run(self._store.missing, wanted))
        again = keeping.to_run(manifest, matched, gone)
        nodes = [
            Reused(n, row.output, row.preview, row.child, row.started, row.ended)
            for n, row in matched.items()
            if n not in again and row.output is not None
        ]
        return Reusable(nodes, frozenset(again.intersection(matched)), frozenset(unfitting))

    def _unfit(self, dispatch_id: str) -> dict[int, tuple[tuple[Step, ...], ...]]:
        """The electrons whose values did not have what their lattice returned of them, and what that was."""
        manifest = wire.decode_manifest(self._store.manifest(dispatch_id) or b"")
        selected = selected_of(manifest)
        if not selected:
            return {}
        run = replay(manifest, [decode_event(data) for _, _, data in self._store.events(dispatch_id)])
        return {node_id: selected[node_id] for node_id in run.unfit}

    def _completed(self, dispatch_id: str) -> list[ElectronRow]:
        rows, _ = self._store.electrons(dispatch_id, status=Status.COMPLETED, limit=self._limits().nodes)
        return list(rows)


def check_same(manifest: Manifest, key: str) -> None:
    if key != manifest.key:
        raise Conflict(f"dispatch {manifest.dispatch_id} exists already, with another graph")
