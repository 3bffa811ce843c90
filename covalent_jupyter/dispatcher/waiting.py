"""Why what is ready does not run yet: for people who look at a dispatch in which nothing moves. Pure."""

from __future__ import annotations

from typing import Any

from ..engine import DispatchRun
from .capacity import Executor

#: Characters of what a host or an executor says of itself.
_SAID = 300


def reasons(run: DispatchRun, executors: list[tuple[Executor, dict[str, Any]]], room: int | None) -> list[str]:
    """One sentence for each thing that is waited for; none where all that is ready runs.

    ``executors`` are those for which the run has nodes that are ready or on their way, each with the state of its host
    (see ``Hosts.states``; empty where it is not known); ``room`` is how many more may be under way by ``max_running``.
    """
    found = []
    if room is not None and room <= 0 and run.has_ready():
        found.append(f"max_running={run.manifest.max_running}: the next begins when one of those under way has ended")
    for executor, host in executors:
        text = _reason(run, executor, host)
        if text and text not in found:
            found.append(text)
    return found


def _reason(run: DispatchRun, executor: Executor, host: dict[str, Any]) -> str:
    name, state = f"executor '{executor.spec.name}'", executor.state
    if host.get("state") in ("failed", "gone"):
        return f"the process for {name} ended and is started again" + _said(host.get("message"))
    if host.get("state") == "disconnected":
        return f"the process for {name} does not answer; what runs there goes on" + _said(host.get("message"))
    if host.get("state") != "ready":
        return f"{name} starts: its process is not up yet"
    if state is None or state.state == "starting":
        return f"{name} starts" + _said(state.message if state else "")
    if state.state in ("failed", "closed") or not state.slots:
        return f"{name} has no workers at present" + _said(state.message)
    packs = [pack.dispatch_id for pack in executor.packs.values()]  # in the order in which they begin
    if run.dispatch_id in packs[: state.slots]:
        return f"{name} has a place for it, and starts"
    if any(other != run.dispatch_id for other in packs):
        return f"{name} is busy with other dispatches: {_many(state.slots, 'place')}, all taken"
    return f"{name} begins them as soon as it has a place: {_many(state.slots, 'place')}"


def _said(message: object) -> str:
    line = " ".join(str(message or "").split())
    return f" ({line[:_SAID]})" if line else ""


def _many(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
