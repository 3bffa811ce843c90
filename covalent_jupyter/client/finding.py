"""From what a user typed to the dispatch that was meant."""

from __future__ import annotations

import difflib
import re

from ..errors import Conflict, NotFound
from ..model import DispatchRow
from .display import plain
from .rest import Rest

#: newest dispatches among which a mistyped id is looked for
LOOKED_AT = 300


def find_dispatch(rest: Rest, typed: str) -> DispatchRow:
    """The dispatch of an id, of the start of one, or ``latest``.

    NotFound and Conflict name what may have been meant.
    """
    text = typed.strip()
    if text in ("latest", "last", "-1"):
        page = rest.dispatches(limit=1)
        if not page.dispatches:
            raise NotFound("nothing was dispatched yet; `jupyter covalent demo` does so")
        return page.dispatches[0]
    try:
        return rest.dispatch(text)
    except Conflict as error:
        candidates = error.details.get("candidates") or []
        if not candidates:
            raise
        raise Conflict(
            f"several dispatches begin with {text!r}:\n{_listed(rest, [str(c) for c in candidates[:10]])}"
        ) from None
    except NotFound as error:
        meant = _meant(rest, text)
        if meant is None:
            raise
        raise NotFound(
            f"no dispatch {plain(text)!r}. Did you mean {meant.dispatch_id[:8]} ({plain(meant.name)}, {meant.status})?"
        ) from error


def _listed(rest: Rest, ids: list[str]) -> str:
    lines = []
    for dispatch_id in ids:
        row = rest.dispatch(dispatch_id)
        lines.append(f"  {row.dispatch_id}  {plain(row.name)}  {row.status}")
    return "\n".join(lines)


def _meant(rest: Rest, text: str) -> DispatchRow | None:
    """The newest one of this name, or the one whose id looks most like it."""
    rows = rest.dispatches(limit=LOOKED_AT).dispatches
    named = next((row for row in rows if text.lower() in (row.name.lower(), row.lattice.lower())), None)
    if named is not None or not re.fullmatch(r"[0-9a-zA-Z-]{4,}", text):
        return named
    beginnings = {row.dispatch_id[: len(text)]: row for row in reversed(rows)}
    near = difflib.get_close_matches(text.lower(), list(beginnings), 1, 0.7)
    return beginnings[near[0]] if near else None
