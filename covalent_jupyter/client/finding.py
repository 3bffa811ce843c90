"""From what a user typed to the dispatch that was meant."""

from __future__ import annotations

import difflib
import re

from ..demo import probe
from ..errors import Conflict, NotFound
from ..model import DispatchRow
from .brief import brief
from .display import plain
from .rest import Rest

#: tag of the test dispatches of ``jupyter covalent doctor``, which are nobody's latest
DOCTOR = "doctor"
#: newest dispatches among which a mistyped id is looked for
LOOKED_AT = 300


@brief
def find_dispatch(rest: Rest, typed: str) -> DispatchRow:
    """The dispatch of an id, of the start of one, or ``latest``.

    NotFound and Conflict name what may have been meant.
    """
    text = typed.strip()
    if text in ("latest", "last", "-1"):
        return _newest(rest)
    try:
        return rest.dispatch(text)
    except Conflict as error:
        candidates = error.details.get("candidates") or []
        if not candidates:
            raise
        raise Conflict(
            f"several dispatches begin with {text!r}:\n{_listed(rest, [str(c) for c in candidates[:10]])}"
        ) from None
    except NotFound:
        meant = _meant(rest, text)
        if meant is None:
            raise
        raise NotFound(
            f"no dispatch {plain(text)!r}. Did you mean {meant.dispatch_id[:8]} ({plain(meant.name)}, {meant.status})?"
        ) from None


def _newest(rest: Rest) -> DispatchRow:
    """The newest dispatch that a user started: no run of a sublattice, and no test."""
    for limit in (10, LOOKED_AT):
        for row in rest.dispatches(limit=limit, parent="none").dispatches:
            if not (row.lattice == probe.name and DOCTOR in row.tags):
                return row
    raise NotFound("nothing was dispatched yet; `jupyter covalent demo` does so")


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
