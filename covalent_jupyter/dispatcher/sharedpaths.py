"""Files that more than one electron of a dispatch writes by a relative path: they would overwrite each other's."""

from __future__ import annotations

from typing import NamedTuple

from ..engine import DispatchRun
from ..model import Outcome

#: paths of one root dispatch that are remembered
MOST = 10_000


class _Writer(NamedTuple):
    dispatch_id: str
    node: int
    name: str


class SharedPaths:
    """Who wrote what, by root dispatch. It is not durable: all that hangs on it is a warning."""

    def __init__(self) -> None:
        self._first: dict[str, dict[str, _Writer]] = {}

    def look(self, run: DispatchRun, outcome: Outcome, name: str) -> None:
        """Turns the paths of an outcome into warnings about those that another electron has written as well."""
        known, me = self._first.setdefault(run.root, {}), _Writer(run.dispatch_id, outcome.node, name)
        shared: dict[str, list[str]] = {}
        for path in outcome.wrote:
            if path not in known and len(known) >= MOST:
                continue
            first = known.setdefault(path, me)
            if first != me:
                where = "" if first.dispatch_id == me.dispatch_id else f" of dispatch {first.dispatch_id[:8]}"
                shared.setdefault(f"{first.name} (node {first.node}{where})", []).append(path)
        outcome.wrote = ()
        for other, paths in shared.items():
            more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
            outcome.warnings += (
                f"{name} (node {me.node}) and {other} write the same file, {', '.join(paths[:3])}{more}: electrons that run at the same time overwrite "
                "each other's. Give each a path of its own, such as get_context().workdir / 'name'",
            )

    def forget(self, root: str) -> None:
        """The root dispatch has ended."""
        self._first.pop(root, None)
