"""What a panel holds of a dispatch at one moment: small, whole enough to be read without a service."""

from __future__ import annotations

import re
import time
from html import escape
from typing import Any, NamedTuple

import msgspec

from ..client.display import dispatch_html, plain, progress_line
from ..client.rest import Rest
from ..errors import CovalentError
from ..model import DispatchRow, ElectronRow, Error, Log, Output, Preview, Status
from .panel_clean import clean_html
from .panel_graph import graph_svg

#: the notebook format's name for it; the labextension draws it from the service
MIME = "application/vnd.covalent.dispatch+json"
VERSION = 1
#: electrons in a bundle, the telling ones first, and rows of the still table
ELECTRONS, ROWS = 200, 20
#: nodes of a graph that a bundle carries
GRAPH = 300
#: bytes of a bundle's electrons; more are left out
BUDGET = 100_000
#: characters of an error's text, of what was printed, of a rich preview
ERROR, PRINTED, RICH = 4000, 1000, 60_000
_TELLING = (Status.FAILED, Status.RUNNING)
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")


class Snapshot(NamedTuple):
    """A dispatch as it was at ``as_of``; ``result`` is what ``GET dispatches/{id}/result`` said of a completed one."""

    row: DispatchRow
    electrons: list[ElectronRow]
    graph: dict[str, Any] | None
    result: dict[str, Any] | None
    store_id: str
    as_of: float

    def bundle(self) -> dict[str, Any]:
        """The JSON of :data:`MIME`."""
        electrons, size = [], 0
        for electron in self.electrons[:ELECTRONS]:
            piece = msgspec.to_builtins(slim(electron))
            size += len(msgspec.json.encode(piece))
            if size > BUDGET:
                break
            electrons.append(piece)
        return {
            "version": VERSION, "dispatch_id": self.row.dispatch_id, "store_id": self.store_id, "as_of": self.as_of,
            "row": msgspec.to_builtins(slim_row(self.row)), "electrons": electrons, "graph": self.graph,
            "result": self.result, "more": max(self.row.counts.total - len(electrons), 0),
        }  # fmt: skip

    def html(self, hint: str = "") -> str:
        """A still table and graph, for pages without any extension."""
        return dispatch_html(
            self.row, self.electrons[:ROWS], now=self.as_of, hint=hint, as_of=self.as_of,
            graph=graph_svg(self.graph) if self.graph else "", result=result_html(self.result),
        )  # fmt: skip

    def text(self) -> str:
        return f"{progress_line(self.row, now=self.as_of)}  {self.row.dispatch_id}"


def take(rest: Rest, dispatch_id: str) -> Snapshot:
    """The dispatch as it is now. Raises what the service says."""
    row = rest.dispatch(dispatch_id)
    electrons = telling(rest, row)
    graph = rest.graph(row.dispatch_id) if 0 < row.counts.total <= GRAPH else None
    result = slim_result(rest.get(f"dispatches/{row.dispatch_id}/result")) if row.status is Status.COMPLETED else None
    return Snapshot(row, electrons, graph, result, store_id(rest), time.time())


def telling(rest: Rest, row: DispatchRow) -> list[ElectronRow]:
    """At most :data:`ELECTRONS` rows: what failed, what runs, and then in the order of the graph."""
    first = rest.electrons(row.dispatch_id, limit=ELECTRONS).electrons
    if row.counts.total > len(first):
        seen = {electron.node for electron in first}
        for status in _TELLING:
            page = rest.electrons(row.dispatch_id, status=str(status), limit=ELECTRONS // 4).electrons
            first += [electron for electron in page if electron.node not in seen]
            seen.update(electron.node for electron in page)
    order = {status: place for place, status in enumerate(_TELLING)}
    first.sort(key=lambda e: (order.get(e.status, len(order)), e.node))
    return first[:ELECTRONS]


def store_id(rest: Rest) -> str:
    """Which store the service keeps; "" where it does not say."""
    endpoint = rest.connector.endpoint()
    if endpoint.store_id:
        return endpoint.store_id
    try:
        return str(rest.health().get("store_id", ""))
    except CovalentError:
        return ""


def slim_row(row: DispatchRow) -> DispatchRow:
    """Without the value's bytes, the list of its parts, and a novel for an error."""
    found = row.output
    output = Output(found.digest, found.size) if isinstance(found, Output) else None
    return msgspec.structs.replace(row, output=output, error=row.error[:ERROR])


def slim(row: ElectronRow) -> ElectronRow:
    """What tables and details show of an electron, bounded."""
    error, preview = row.error, row.preview
    if error is not None:
        error = Error(
            error.type, error.message[:ERROR], [f for f in error.frames if f.user][-8:] or error.frames[-3:],
            error.text[-ERROR:], None, error.signal, error.exitcode, error.hint, error.cause, behind=error.behind[:5],
        )  # fmt: skip
    if preview is not None:
        preview = Preview(preview.type, preview.repr[:300], preview.size, {}, preview.shape, preview.scalar)
    return msgspec.structs.replace(
        row, output=None, error=error, preview=preview, stdout=_end_of(row.stdout), stderr=_end_of(row.stderr), key="",
        started=_short(row.started), ended=_short(row.ended), duration=_short(row.duration),
    )  # fmt: skip


def _short(seconds: float | None) -> float | None:
    """To the millisecond: nobody reads more, and digits are what cannot be compressed."""
    return None if seconds is None else round(seconds, 3)


def _end_of(log: Log) -> Log:
    return Log(log.text[-PRINTED:], log.size, "", log.dropped)


def slim_result(result: dict[str, Any]) -> dict[str, Any]:
    """The parts of a result, as many as fit, each with the one rich form that is shown."""
    parts, left = [], BUDGET
    for part in result["parts"]:
        preview = part["preview"]
        if preview is not None:
            mime = {k: v for k, v in preview.get("mime", {}).items() if len(v) <= min(RICH, left)}
            chosen = "image/png" if "image/png" in mime else "text/html" if "text/html" in mime else ""
            preview = {**preview, "mime": {chosen: mime[chosen]} if chosen else {}}
            left -= len(mime.get(chosen, "")) + len(preview["repr"])
            if left < 0:
                break
        parts.append({**part, "preview": preview})
    return {**result, "parts": parts}


def result_html(result: dict[str, Any] | None) -> str:
    """The value as a picture, a table or text; nothing in it can act."""
    parts = result["parts"] if result is not None else []
    return "".join(_part_html(part, len(parts) > 1) for part in parts[:6] if part["preview"] is not None)


def _part_html(part: dict[str, Any], named: bool) -> str:
    preview = part["preview"]
    mime = preview.get("mime", {})
    if _BASE64.fullmatch(mime.get("image/png", "")):
        shown = f'<img alt="" style="max-width:100%" src="data:image/png;base64,{mime["image/png"]}">'
    elif mime.get("text/html"):
        shown = f'<div style="overflow:auto;max-height:24em">{clean_html(mime["text/html"])}</div>'
    else:
        shown = f'<pre style="white-space:pre-wrap;margin:4px 0">{_escaped(preview["repr"])}</pre>'
    label = f'<div style="font-size:11px;opacity:.7">{_escaped(part["name"] + part["path"])}</div>' if named else ""
    return label + shown


def _escaped(text: str) -> str:
    return escape(plain(text, lines=True))


def unreachable(dispatch_id: str, why: object) -> tuple[dict[str, Any], str]:
    """Bundle and HTML of a dispatch of which nothing is known just now."""
    bundle = {
        "version": VERSION, "dispatch_id": dispatch_id, "store_id": "", "as_of": time.time(), "row": None,
        "electrons": [], "graph": None, "result": None, "more": 0,
    }  # fmt: skip
    return bundle, f"<div>dispatch <code>{_escaped(dispatch_id)}</code>: {_escaped(str(why))}</div>"
