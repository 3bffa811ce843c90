"""Dispatches, their electrons and graphs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from types import EllipsisType
from typing import Any

import msgspec

from ..errors import Conflict, InvalidRequest, NotFound, StorageFull
from ..model import (
    INLINE,
    DispatchRow,
    ElectronRow,
    Log,
    Manifest,
    Output,
    Status,
    refs_of,
    wire,
)  # fmt: skip
from ..store import Store, Summary
from . import queries as q
from .answers import RESULT_PARTS, detail, graph_of, result_of
from .attempts import attempts_of
from .uploads import Spool
from .web import Handler

_ID = re.compile(r"[0-9a-f]{4}[0-9a-f-]{0,32}")
_FULL_ID = 36
_NODE = re.compile(r"[0-9]{1,9}")


class DispatchHandler(Handler):
    """Base of handlers below ``dispatches/{id}``."""

    async def dispatch_id(self, given: str) -> str:
        """The full id for an id or a unique prefix of at least four characters."""
        return await self.context.read(resolve, self.context.store, given)

    async def row(self, given: str) -> DispatchRow:
        dispatch_id = await self.dispatch_id(given)
        row = await self.context.read(self.context.store.dispatch, dispatch_id)
        if row is None:
            raise NotFound(f"no dispatch {given!r}: it was deleted just now")
        return row

    async def electron(self, given: str, node: str) -> ElectronRow:
        dispatch_id = await self.dispatch_id(given)
        if not _NODE.fullmatch(node):
            raise NotFound(f"{node[:40]!r} is no electron's number; GET dispatches/{dispatch_id}/electrons lists them")
        row = await self.context.read(self.context.store.electron, dispatch_id, int(node))
        if row is None:
            raise NotFound(f"dispatch {dispatch_id[:8]} has no electron {int(node)}")
        return row

    async def manifest(self, dispatch_id: str) -> Manifest:
        data = await self.context.read(self.context.store.manifest, dispatch_id)
        if data is None:
            raise NotFound(f"dispatch {dispatch_id[:8]} has no manifest")
        return await self.context.read(wire.decode_manifest, data)


class _Framed(Handler):
    """Base of handlers whose POST has a framed body, of any size that is allowed."""

    def begin(self) -> None:
        self._spool: Spool | None = None
        if self.request.method == "POST":
            self.context.check_store()  # before the spool makes a folder anew that vanished with the store
            self.body_cap = self.context.settings.body_cap
            self._spool = Spool(self.context.store.folder / "uploads")

    def _check_length(self) -> None:
        if self.request.method == "POST":
            self.body_cap = self.context.settings.body_cap
        super()._check_length()

    def receive(self, chunk: bytes) -> Awaitable[None] | None:
        if self._spool is None:
            return super().receive(chunk)
        return self.keep(self._spool.flush) if self._spool.add(chunk) else None

    async def unpacked(self) -> tuple[wire.Head, dict[str, bytes]]:
        assert self._spool is not None
        return await self.work(self._spool.unpack, self.context.blob_root)

    def clean_up(self) -> None:
        spool, self._spool = getattr(self, "_spool", None), None
        if spool is not None:
            self.context.pools.files.submit(spool.close)


class Dispatches(_Framed):
    async def post(self) -> None:
        """Take a lattice over."""
        context = self.context
        self.check_received()
        self.query(q.Nothing)
        problem = context.store.problem
        if problem:
            raise StorageFull(f"the store cannot write at the moment, so nothing was accepted: {problem}")
        head, small = await self.unpacked()
        if not context.marker.exists():
            await context.file(context.marker.touch)
        dispatch_id, created = await self._accepted(head, small)
        self.reply(q.Created(dispatch_id, context.dispatcher.bus.seq, created), 201 if created else 200)

    async def _accepted(self, head: wire.Head, small: dict[str, bytes]) -> tuple[str, bool]:
        """Waits for the commit, but not longer than the store is able to make one."""
        work = asyncio.ensure_future(self.context.dispatcher.submit(head, small))
        while True:
            done, _ = await asyncio.wait([work], timeout=0.25)
            if done:
                return work.result()
            problem = self.context.store.problem
            if problem:
                work.add_done_callback(_forget)
                raise StorageFull(
                    f"the store cannot write at the moment: {problem}. The dispatch runs as soon as it can; "
                    f"sent again, it still runs only once",
                    dispatch_id=head.manifest.dispatch_id,
                )  # fmt: skip

    async def get(self) -> None:
        """A page of dispatches, newest first."""
        query = self.query(q.ListDispatches)
        store = self.context.store
        seq = self.context.dispatcher.bus.seq  # before the rows are read: what comes between is told once more
        rows, total, following = await self.context.read(page_of, store, query)
        children = await self.context.read(store.children, [row.dispatch_id for row in rows])
        self.reply(q.DispatchPage(rows, seq, total, following, children))


class ReuseOf(_Framed):
    async def post(self) -> None:
        """What a dispatch of this graph would take over; nothing begins."""
        self.check_received()
        self.query(q.Nothing)
        head, _ = await self.unpacked()
        self.reply(q.Reuse(**await self.context.dispatcher.reusable(head.manifest)))


class SummaryOf(Handler):
    async def get(self) -> None:
        """Counts by state and in groups."""
        query = self.query(q.Summarize)
        self.reply(await self.context.read(_summary, self.context.store, query, statuses(query.status)))


class Dispatch(DispatchHandler):
    async def get(self, given: str) -> None:
        self.query(q.Nothing)
        row = await self.row(given)
        self.reply(await self.context.read(with_bytes, self.context.store, row) if row.status.ended else row)

    async def patch(self, given: str) -> None:
        body = self.json_body(q.Annotate)
        dispatch_id = await self.dispatch_id(given)
        self.reply(await self.context.dispatcher.update(dispatch_id, label=body.label, tags=body.tags, note=body.note))

    async def delete(self, given: str) -> None:
        self.check_received()
        if len(given) < _FULL_ID:
            await self.dispatch_id(given)
            raise InvalidRequest(f"{given!r} is a part of an id only; deleting needs all {_FULL_ID} characters")
        self.reply(await self.context.dispatcher.delete([await self.dispatch_id(given)]))


class Electrons(DispatchHandler):
    async def get(self, given: str) -> None:
        query = self.query(q.ListElectrons)
        dispatch_id = await self.dispatch_id(given)
        seq = self.context.dispatcher.bus.seq
        rows, total = await self.context.read(
            self.context.store.electrons, dispatch_id, offset=query.offset, limit=query.limit,
            status=statuses(query.status), name=query.name or None, nodes=numbers(query.nodes),
        )  # fmt: skip
        shown = rows if query.pictures else [without_pictures(row) for row in rows]
        self.reply(q.ElectronPage([self._live(row) for row in shown], total, seq))

    def _live(self, row: ElectronRow) -> ElectronRow:
        return with_live_log(row, self.context.dispatcher.live_logs)


def without_pictures(row: ElectronRow) -> ElectronRow:
    """The row with what its preview says in words alone."""
    if row.preview is None or not row.preview.mime:
        return row
    return msgspec.structs.replace(row, preview=msgspec.structs.replace(row.preview, mime={}))


class Electron(DispatchHandler):
    async def get(self, given: str, node: str) -> None:
        self.query(q.Nothing)
        row = with_live_log(await self.electron(given, node), self.context.dispatcher.live_logs)
        manifest = await self.manifest(row.dispatch_id)
        attempts = await self.context.read(attempts_of, self.context.store, row.dispatch_id, row.node)
        told = msgspec.to_builtins(row), msgspec.to_builtins(detail(manifest, row.node))
        self.reply({**told[0], **told[1], "attempts": msgspec.to_builtins(attempts)})


class WaitingOf(DispatchHandler):
    async def get(self, given: str) -> None:
        self.query(q.Nothing)
        dispatch_id = await self.dispatch_id(given)
        self.reply(q.Waiting(self.context.dispatcher.why_waiting(dispatch_id)))


class GraphOf(DispatchHandler):
    async def get(self, given: str) -> None:
        self.query(q.Nothing)
        dispatch_id = await self.dispatch_id(given)
        manifest = await self.manifest(dispatch_id)
        rows, _ = await self.context.read(self.context.store.electrons, dispatch_id, limit=len(manifest.nodes) or 1)
        self.reply(await self.context.read(graph_of, manifest, rows))


class ResultOfDispatch(DispatchHandler):
    async def get(self, given: str) -> None:
        self.query(q.Nothing)
        row = await self.row(given)
        manifest = await self.manifest(row.dispatch_id)
        refs = refs_of(manifest.output)
        nodes = list(dict.fromkeys(ref.node for ref in refs[:RESULT_PARTS]))
        found, _ = await self.context.read(
            self.context.store.electrons, row.dispatch_id, limit=max(len(nodes), 1), nodes=nodes or [0]
        )
        self.reply(result_of(row, manifest, found))


class ManifestOf(DispatchHandler):
    async def get(self, given: str) -> None:
        self.query(q.Nothing)
        data = await self.context.read(self.context.store.manifest, await self.dispatch_id(given))
        if data is None:
            raise NotFound(f"dispatch {given[:36]} has no manifest")
        self.set_header("Content-Type", "application/json")
        self.finish(data)


class CancelDispatch(DispatchHandler):
    async def post(self, given: str) -> None:
        body = self.json_body(q.Cancel)
        dispatch_id = await self.dispatch_id(given)
        self.reply(await self.context.dispatcher.cancel(dispatch_id, body.nodes))


class RedispatchDispatch(DispatchHandler):
    async def post(self, given: str) -> None:
        body = self.json_body(q.Redispatch)
        self.context.check_store()
        dispatch_id = await self.dispatch_id(given)
        self.context.marker.touch()
        new_id = await self.context.dispatcher.redispatch(dispatch_id, reuse=body.reuse, seed=body.seed)
        self.reply({"dispatch_id": new_id}, 201)


def resolve(store: Store, given: str) -> str:
    """The full id of a dispatch; NotFound names the newest, Conflict the candidates."""
    text = given.strip().lower()
    if _ID.fullmatch(text):
        if len(text) == _FULL_ID and store.has_rows_of(text):
            return text
        found = store.find(text, 100)
        if len(found) == 1:
            return found[0]
        if found:
            raise Conflict(f"{given!r} is the beginning of several ids: {', '.join(found[:10])}", candidates=found)
    newest, _ = store.dispatches(limit=5)
    listed = [{"dispatch_id": row.dispatch_id, "name": row.name} for row in newest]
    hint = (
        "; the newest are " + ", ".join(f"{r.dispatch_id[:8]} ({r.name[:40]})" for r in newest)
        if newest
        else "; there is none yet"
    )
    short = " (an id needs at least 4 characters)" if len(text) < 4 else ""
    raise NotFound(f"no dispatch {given[:60]!r}{short}{hint}", newest=listed)


def with_bytes(store: Store, row: DispatchRow) -> DispatchRow:
    """The row with the bytes of a small result, which spares whoever waits for it another request."""
    output = row.output
    if isinstance(output, Output) and output.size <= INLINE:
        row.output = Output(output.digest, output.size, store.values([output.digest]).get(output.digest))
    return row


def statuses(text: str) -> list[Status] | None:
    """``"RUNNING,FAILED"`` as states; None for nothing."""
    try:
        return [Status(part.strip().upper()) for part in text.split(",") if part.strip()] or None
    except ValueError:
        raise InvalidRequest(f"status: {text[:100]!r}; the states are {', '.join(Status)}") from None


def numbers(text: str) -> list[int] | None:
    """``"1,5,7"`` as numbers; None for nothing."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(_NODE.fullmatch(part) for part in parts):
        raise InvalidRequest(f"nodes: {text[:100]!r} are not numbers with commas between them")
    return [int(part) for part in parts] or None


def with_live_log(row: ElectronRow, live: dict[tuple[str, int], Any]) -> ElectronRow:
    """The row of a running electron with what it has printed so far."""
    grown = live.get((row.dispatch_id, row.node))
    if grown is None or row.status.ended:
        return row
    return msgspec.structs.replace(
        row,
        stdout=Log("", grown.stdout_size),
        stderr=Log("", grown.stderr_size),
        progress=grown.progress or row.progress,
    )


def page_of(store: Store, query: q.ListDispatches) -> tuple[list[DispatchRow], int, str | None]:
    """Rows, how many match in all, and ``before`` of the next page. Blocks."""
    rows, total = store.dispatches(
        limit=query.limit, before=_before(query.before), status=statuses(query.status), text=query.q or None,
        lattice=query.lattice or None, notebook=_notebook(query.notebook), tag=query.tag or None,
        parent=_parent(store, query.parent or None), root=resolve(store, query.root) if query.root else None,
        name=query.name or None, tags=[t.strip() for t in query.tags.split(",") if t.strip()], since=query.since,
        until=query.until,
    )  # fmt: skip
    following = f"{rows[-1].created!r},{rows[-1].dispatch_id}" if len(rows) == query.limit else None
    return rows, total, following


def _summary(store: Store, query: q.Summarize, states: list[Status] | None) -> Summary:
    return store.summary(
        by=query.by, most=query.most, status=states, text=query.q or None, lattice=query.lattice or None,
        notebook=_notebook(query.notebook), tag=query.tag or None, parent=_parent(store, query.parent or None),
        root=resolve(store, query.root) if query.root else None,
    )  # fmt: skip


def _parent(store: Store, text: str | None) -> str | None | EllipsisType:
    """``none`` means: only dispatches that are nobody's sublattice."""
    if text is None:
        return ...
    return None if text.lower() == "none" else resolve(store, text)


def _notebook(text: str) -> str | None:
    """``none`` means: only dispatches that came from no notebook."""
    return "" if text == "none" else text or None


def _before(text: str) -> tuple[float, str] | None:
    if not text:
        return None
    created, _, dispatch_id = text.partition(",")
    try:
        return float(created), dispatch_id
    except ValueError:
        raise InvalidRequest(f"before: {text[:80]!r} is not the `next` of another page") from None


def _forget(work: asyncio.Future[Any]) -> None:
    if not work.cancelled():
        work.exception()
