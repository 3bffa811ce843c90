"""What magics know of the notebook that they run in: its newest dispatch, its variables, where it waits."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from IPython.core.error import UsageError

from ..client.finding import find_dispatch
from ..client.handle import DispatchId
from ..client.progress import shown_progress
from ..client.rest import Rest, connect
from ..client.result import Result
from ..client.waiting import wait_for
from ..errors import NotFound
from ..front import notebook_path
from ..model import DispatchRow
from .plainly import raised

_ID_LIKE = re.compile(r"[0-9a-f]{4}[0-9a-f-]*|latest|last")


def newest(rest: Rest) -> DispatchRow:
    """The newest dispatch of this notebook; of all, where it is not known which notebook this is."""
    notebook = notebook_path()
    for query in ({"notebook": notebook}, {}) if notebook else ({},):
        found = rest.dispatches(limit=1, parent="none", **query).dispatches
        if found:
            return found[0]
        if query:
            raise UsageError(f"nothing was dispatched from this notebook ({os.path.basename(notebook)}) yet")
    raise UsageError("nothing was dispatched yet: ct.dispatch(lattice)(...), or %%lattice ... --dispatch, does so")


def chosen(rest: Rest, typed: str | None, names: dict[str, Any]) -> DispatchRow:
    """The dispatch of an id, of the start of one, of a variable that holds one, of a lattice's name; the newest
    of this notebook without."""
    if not typed:
        return newest(rest)
    held = names.get(typed)
    if isinstance(held, (DispatchId, Result)):
        typed = held if isinstance(held, DispatchId) else held.dispatch_id
    return find_dispatch(rest, str(typed))


def chosen_first(
    rest: Rest, words: Sequence[str], names: dict[str, Any], latest: Callable[[], DispatchRow],
    check: Callable[[DispatchRow, str], object],
) -> tuple[DispatchRow, list[str]]:  # fmt: skip
    """The dispatch that the first word names, and the other words; else ``latest()`` and all words.

    ``check`` raises NotFound for a dispatch and a word that is nothing of it.
    """
    if not words:
        return latest(), []
    first, others = words[0], list(words[1:])
    if isinstance(names.get(first), (DispatchId, Result)):
        return chosen(rest, first, names), others
    unknown = None
    if _ID_LIKE.fullmatch(first):
        try:
            return chosen(rest, first, names), others
        except NotFound as error:
            if first.startswith("0"):  # no number of an electron is written so
                raise
            unknown = error
    row = latest()
    try:
        check(row, first)
    except NotFound as error:
        if unknown is None:
            raise
        raise NotFound(f"{unknown} And in the newest, {row.dispatch_id[:8]}, {error}") from None
    return row, [first, *others]


def bind(shell: Any, names: list[str], dispatch_id: DispatchId) -> None:
    """Let variables of the notebook hold the id, ``_`` among them."""
    for name in names:
        shell.user_ns[name] = dispatch_id
    shell.displayhook.update_user_ns(dispatch_id)


def stay(dispatch_id: DispatchId) -> Any:
    """Wait for the end, which is shown as it comes; raises what the dispatch raised."""
    rest = dispatch_id.rest or connect()
    with shown_progress(rest, dispatch_id) as shown:
        row = wait_for(rest, dispatch_id, on_change=shown.on_change, stopped=shown.stopped)
    return raised(Result(rest, row))
