"""What magics know of the notebook that they run in: its newest dispatch, its variables, where it waits."""

from __future__ import annotations

import os
from typing import Any

from IPython.core.error import UsageError

from ..client.finding import find_dispatch
from ..client.handle import DispatchId
from ..client.progress import shown_progress
from ..client.rest import Rest, connect
from ..client.result import Result
from ..client.waiting import wait_for
from ..model import DispatchRow
from .plainly import raised


def newest(rest: Rest) -> DispatchRow:
    """The newest dispatch of this notebook; of all, where it is not known which notebook this is."""
    notebook = os.environ.get("JPY_SESSION_NAME", "")
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
