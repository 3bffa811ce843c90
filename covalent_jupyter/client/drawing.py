"""What a figure of a dispatch needs, fetched: its manifest, its electrons, and the insides of open sublattices."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from ..model import DispatchRow, ElectronRow
from ..notebook.graph import Subject, graph_figure, is_down
from .rest import Rest

#: rows that one request fetches
PAGE = 10_000
#: sublattices that one figure opens
OPENED = 60

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
        nodes = list(dict.fromkeys(n for address in addresses for n in subject.find(address)))
        inner = _inner(rest, {n: rows[n] for n in nodes if n in rows}, [OPENED], deeper=False)
        opened = list(inner)
    title = f"{row.name} {row.dispatch_id[:4]}"
    return graph_figure(
        subject._replace(inner=inner), title=title, find=find, opened=opened, collapse=collapse, down=down
    )


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
