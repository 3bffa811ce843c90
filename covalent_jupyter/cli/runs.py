"""Commands about dispatches: list, show, logs, cancel, redispatch, delete, purge."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from typing import Any

from ..client.display import (
    DISPATCH_HEADER,
    ELECTRON_HEADER,
    ago_text,
    counted,
    counts_text,
    dispatch_cells,
    duration_text,
    electron_cells,
    plain,
    remarks,
    sign_of,
    size_text,
    took,
)
from ..client.failures import electron_text, failed_electrons
from ..client.finding import find_dispatch
from ..client.nodes import chosen_nodes, find_nodes
from ..client.progress import TerminalLine
from ..client.repeating import send_again
from ..client.rest import Rest, connect
from ..client.waiting import wait_for
from ..errors import InvalidRequest
from ..model import DispatchRow, ElectronRow, Status
from .graphtext import draw
from .output import Out, complain, confirmed

#: seconds between two looks at a growing log
FOLLOW = 0.3


def list_runs(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    status = ",".join(options.status).upper() if options.status else None
    page = rest.dispatches(limit=options.limit, status=status, q=options.name, lattice=options.lattice, tag=options.tag,
                           notebook=options.notebook, since=_since(options.since))  # fmt: skip
    out.data(page.dispatches)
    if not page.dispatches:
        wanted = any((status, options.name, options.lattice, options.tag, options.notebook, options.since))
        out.say("No dispatch fits." if wanted else "Nothing was dispatched yet. Try `jupyter covalent demo`.")
        return 0
    out.table(DISPATCH_HEADER, [dispatch_cells(row) for row in page.dispatches], limit=40)
    if page.total > len(page.dispatches):
        out.say(f"{len(page.dispatches)} of {page.total}; -n {page.total} lists all", "mute")
    return 0


def show(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    row = find_dispatch(rest, options.id)
    electrons = rest.electrons(row.dispatch_id, limit=options.electrons)
    if out.json:
        out.data({"dispatch": row, "electrons": electrons.electrons, "total": electrons.total})
        return 0
    print_run(rest, row, electrons.electrons, electrons.total, out, graph=options.graph)
    return 0


def print_run(rest: Rest, row: DispatchRow, electrons: list[ElectronRow], total: int, out: Out, *, graph: bool) -> None:
    """A dispatch for people: state, error, electrons, graph."""
    sign, word = sign_of(row.status)
    out.say(f"{sign} {plain(row.name)}  {word}  {counts_text(row.counts)}")
    inputs = ", ".join(f"{plain(k)}={plain(v)}" for k, v in row.inputs.items())
    facts: list[tuple[str, Any]] = [
        ("id", row.dispatch_id), ("lattice", row.lattice), ("inputs", inputs), ("dispatched", ago_text(row.created)),
        ("took", duration_text(took(row.started or row.created, row.ended))), ("notebook", row.notebook),
        ("tags", ", ".join(row.tags)),
        ("environment", ", ".join(f"{k} {v}" for k, v in row.environment.items() if k != "digest")),
        ("redispatch of", row.redispatch_of), ("sublattice of", row.parent_id),
    ]  # fmt: skip
    out.facts((k, v) for k, v in facts if v)
    if not row.status.ended and not row.counts.running:
        for reason in rest.waiting(row.dispatch_id):
            out.say(f"waits: {plain(reason)}", "mute")
    if row.status is Status.FAILED:
        for failed in list(failed_electrons(rest, row.dispatch_id))[:5]:
            out.say()
            out.say(electron_text(failed), "err")
    out.say()
    out.table(ELECTRON_HEADER, [electron_cells(e) for e in electrons], limit=60)
    for line in remarks(electrons, row.notices):
        out.say(plain(line))
    if total > len(electrons):
        out.say(f"{len(electrons)} of {total} electrons; --electrons {total} lists all", "mute")
    if graph:
        found = rest.graph(row.dispatch_id)
        out.say()
        out.say(draw(found["nodes"], found["edges"], shutil.get_terminal_size().columns, out.colour))


def logs(options: argparse.Namespace, out: Out) -> int:
    """What electrons printed; ``-f`` goes on until the dispatch has ended."""
    rest = connect()
    row = find_dispatch(rest, options.id)
    streams = [options.stream] if options.stream else ["stdout", "stderr"]
    nodes = _nodes_named(rest, row, options.electron)
    if out.json:
        texts = [
            {"node": n, "name": name, **{s: _all(rest, row.dispatch_id, n, s) for s in streams}} for n, name in nodes
        ]
        out.data(texts)
        return 0
    offsets: dict[tuple[int, str], int] = {}
    last: tuple[int, str] | None = None
    while True:
        ended = rest.dispatch(row.dispatch_id).status.ended  # asked first: what is printed after it is read then, too
        for node, name in _printing(rest, row.dispatch_id, nodes):
            for stream in streams:
                last = _new_text(rest, row.dispatch_id, node, name, stream, offsets, last, out, len(nodes) > 1)
        if ended or not options.follow:
            if not offsets:
                out.say("Nothing was printed.", "mute")
            return 0
        time.sleep(FOLLOW)


def _nodes_named(rest: Rest, row: DispatchRow, wanted: str | None) -> list[tuple[int, str]]:
    """Numbers and names of all electrons, or of those that ``wanted`` addresses."""
    if wanted is None:
        return [(int(n[0]), str(n[1])) for n in rest.graph(row.dispatch_id)["nodes"]]
    manifest = rest.manifest(row.dispatch_id)
    return [(n, manifest.nodes[n].name) for n in find_nodes(manifest, wanted)]


def _printing(rest: Rest, dispatch_id: str, nodes: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Those that have printed something."""
    names = dict(nodes)
    found: list[tuple[int, str]] = []
    numbers = list(names)
    for at in range(0, len(numbers), 500):
        page = rest.electrons(dispatch_id, nodes=numbers[at : at + 500], limit=500)
        found += [(e.node, names[e.node]) for e in page.electrons
                  if e.status is Status.RUNNING or e.stdout.size or e.stderr.size]  # fmt: skip
    return found


def _new_text(
    rest: Rest, dispatch_id: str, node: int, name: str, stream: str, offsets: dict[tuple[int, str], int],
    last: tuple[int, str] | None, out: Out, headed: bool,
) -> tuple[int, str] | None:  # fmt: skip
    """Print what has come since the last look; the place where the last text came from."""
    while True:
        before = offsets.get((node, stream), 0)
        text, after = rest.stream(dispatch_id, node, stream, offset=before)
        if not text or after <= before:
            return last
        if last != (node, stream) and (headed or stream == "stderr"):
            out.say(f"--- {plain(name)} [{node}]" + (" stderr" if stream == "stderr" else ""), "mute")
        last = (node, stream)
        offsets[last] = after
        out.text(text)
        if not text.endswith("\n") and headed:
            out.say()


def _all(rest: Rest, dispatch_id: str, node: int, stream: str) -> str:
    parts: list[str] = []
    offset = 0
    while True:
        text, after = rest.stream(dispatch_id, node, stream, offset=offset)
        if not text or after <= offset:
            return "".join(parts)
        parts.append(text)
        offset = after


def cancel(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    row = find_dispatch(rest, options.id)
    answer = rest.cancel(row.dispatch_id, chosen_nodes(rest, row.dispatch_id, options.nodes or None))
    out.data({"dispatch_id": row.dispatch_id, **answer})
    shown = [(key.replace("_", " "), _ids(value)) for key, value in answer.items() if isinstance(value, list) and value]
    if not shown:
        out.say(f"Nothing to cancel: {plain(row.name)} {row.dispatch_id[:8]} is {row.status}.")
    out.facts(shown)
    return 0


def _ids(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    return (
        f"{counted(len(value), 'electron')}: " + ", ".join(map(str, value[:20])) + (" ..." if len(value) > 20 else "")
    )


def redispatch(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    row = find_dispatch(rest, options.id)
    old = rest.manifest(row.dispatch_id)
    # what a command has on its sys.path is nobody's choice
    new_id, warnings = send_again(rest, old, reuse=options.reuse, seed=options.seed, additions=())
    for text in warnings:
        complain(text)
    if options.wait:
        progress = TerminalLine(sys.stderr).update if sys.stderr.isatty() else None
        ended = wait_for(rest, new_id, on_change=progress)
        out.data(ended)
        out.say(f"{sign_of(ended.status)[0]} {new_id}")
        return 0 if ended.status is Status.COMPLETED else 1
    out.data({"dispatch_id": new_id})
    out.say(new_id)
    return 0


def delete(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    rows = [find_dispatch(rest, typed) for typed in options.ids]
    names = ", ".join(f"{plain(row.name)} {row.dispatch_id[:8]}" for row in rows)
    if not confirmed(f"Delete {names} with all values and logs?", options.yes):
        out.data({"deleted": [], "freed": 0})
        return 1
    deleted: list[str] = []
    freed = 0
    for row in rows:
        answer = rest.delete(row.dispatch_id)
        deleted += [str(d) for d in answer.get("deleted", [])]
        freed += int(answer.get("freed", 0))
    out.data({"deleted": deleted, "freed": freed})
    out.say(f"Deleted {_dispatches(len(deleted))}; {size_text(freed)} are free again.")
    return 0


def _dispatches(count: int) -> str:
    return counted(count, "dispatch", "dispatches")


def _since(age: str | None) -> float | None:
    """Seconds since the epoch, so long ago."""
    return None if age is None else time.time() - seconds_of(age)


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def seconds_of(text: str) -> float:
    """``"30d"``, ``"12h"``, ``"90"`` as seconds. InvalidRequest for anything else."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        found = float(number) * _UNITS[unit]
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e11:
        raise InvalidRequest(f"{text!r} is no duration: write 45m, 12h, 30d or 8w")
    return found


def purge(options: argparse.Namespace, out: Out) -> int:
    rest = connect()
    body: dict[str, Any] = {"older_than": seconds_of(options.older_than)}
    if options.state:
        body["states"] = [s.upper() for s in options.state]
    preview = rest.post("purge", **body, dry_run=True)
    count = len(preview.get("would_delete", []))
    if options.dry_run or not count:
        out.data(preview)
        out.say(f"{_dispatches(count)} ended more than {options.older_than} ago.")
        return 0
    if not confirmed(
        f"Delete {_dispatches(count)} that ended more than {options.older_than} ago, with all values and logs?",
        options.yes,
    ):
        out.data({"deleted": [], "freed": 0})
        return 1
    answer = rest.post("purge", timeout=600.0, **body, dry_run=False)
    out.data(answer)
    out.say(f"Deleted {_dispatches(count)}; {size_text(int(answer.get('freed', 0) or 0))} are free again.")
    return 0
