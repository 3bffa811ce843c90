"""What figures of a dispatch need, fetched: its manifest, its electrons, their attempts, the insides of sublattices."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from ..model import DispatchRow, ElectronRow
from ..notebook.graph import Attempt, Subject, graph_figure, is_down, timeline_figure
from .nodes import find_nodes
from .rest import Rest

#: rows that one request fetches
PAGE = 10_000
#: sublattices that one figure opens, and whose electrons one timeline has
OPENED = 60
TIMED = 200

Open = bool | str | int | Sequence[str | int]


def draw(
    rest: Rest,
    row: DispatchRow,
    *,
    find: int | str | None = None,
    open: Open = (),
    collapse: bool | int = True,
    direction: str = "right",
) -> Any:
    """The figure of a dispatch as it is now; see :meth:`.result.Result.draw`."""
    down = is_down(direction)
    manifest, rows = rest.manifest(row.dispatch_id), electron_rows(rest, row.dispatch_id)
    subject = Subject(manifest, rows)
    if open is True:
        opened, inner = None, _inner(rest, rows, [OPENED], deeper=True)
    else:
        addresses: Iterable[str | int] = () if open is False else (open,) if isinstance(open, (str, int)) else open
        nodes = list(dict.fromkeys(n for address in addresses for n in find_nodes(manifest, address)))
        inner = _inner(rest, {n: rows[n] for n in nodes if n in rows}, [OPENED], deeper=False)
        opened = list(inner)
    title = f"{row.name} {row.dispatch_id[:4]}"
    return graph_figure(
        subject._replace(inner=inner), title=title, find=find, opened=opened, collapse=collapse, down=down
    )


def timeline(rest: Rest, rows: Sequence[DispatchRow], *, sublattices: bool = True, title: str = "") -> Any:
    """The timeline of dispatches as they are now, from the start of the first; see :meth:`.result.Result.timeline`."""
    found: list[Attempt] = []
    left = TIMED
    for row in rows:
        electrons = electron_rows(rest, row.dispatch_id)
        found += _attempts(rest, row.dispatch_id, "", electrons)
        if not sublattices or not any(electron.child for electron in electrons.values()):
            continue
        page = rest.dispatches(root=row.root_id, limit=10_000)
        inner = _below(row.dispatch_id, page.dispatches)
        if len(inner) > left:
            warnings.warn(f"the timeline has {left} of the {len(inner)} sublattices of {row.name}", stacklevel=3)
        for child in inner[:left]:
            found += _attempts(rest, child.dispatch_id, child.name, electron_rows(rest, child.dispatch_id))
        left = max(left - len(inner), 0)
    began = min(row.created for row in rows)
    said = title or f"{rows[0].name} {rows[0].dispatch_id[:4]}"
    return timeline_figure(found, title=said, began=began, now=time.time())


def _below(dispatch_id: str, rows: Sequence[DispatchRow]) -> list[DispatchRow]:
    """Those that ran as parts of a dispatch, directly or not."""
    parents, found = {dispatch_id}, []
    for row in sorted(rows, key=lambda r: r.created):
        if row.parent_id in parents:
            parents.add(row.dispatch_id)
            found.append(row)
    return found


def _attempts(rest: Rest, dispatch_id: str, within: str, rows: dict[int, ElectronRow]) -> list[Attempt]:
    found: list[Attempt] = []
    while True:
        page = rest.attempts(dispatch_id, offset=len(found), limit=PAGE)
        found += [_attempt(a, within, rows.get(a["node"])) for a in page["attempts"]]
        if not page["attempts"] or len(found) >= page["total"]:
            return found


def _attempt(a: dict[str, Any], within: str, row: ElectronRow | None) -> Attempt:
    started, ended, duration = a["started"], a["ended"], a["duration"]
    if row is not None and row.child and started is not None and duration is not None:
        ended = started + duration  # only the building of a sublattice takes a worker
    error = f"{a['error_type']}: {a['error_message']}" if a["error_type"] else ""
    return Attempt(
        a["name"], a["node"], a["attempt"], a["status"], a["queued"], started, ended, duration, a["worker"],
        a["executor"], error, within,
    )  # fmt: skip


def electron_rows(rest: Rest, dispatch_id: str) -> dict[int, ElectronRow]:
    """Every electron's row, by node."""
    found: dict[int, ElectronRow] = {}
    while True:
        page = rest.electrons(dispatch_id, offset=len(found), limit=PAGE)
        found.update((row.node, row) for row in page.electrons)
        if not page.electrons or len(found) >= page.total:
            return found


def _inner(rest: Rest, rows: dict[int, ElectronRow], left: list[int], deeper: bool) -> dict[int, Subject]:
    """The insides of those sublattices that have been built; at most ``left[0]``, counted down."""
    found = {}
    for node, row in rows.items():
        if not row.child:
            continue
        if not left[0]:
            warnings.warn(
                f"only the first {OPENED} sublattices are drawn open; name others with open=[...]", stacklevel=4
            )
            break
        left[0] -= 1
        own = electron_rows(rest, row.child)
        found[node] = Subject(rest.manifest(row.child), own, _inner(rest, own, left, True) if deeper else {})
    return found
