"""What holds after every fault, checked from outside: through REST, in the store's files, and among the processes."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

import covalent_jupyter as ct
from covalent_jupyter.client.rest import Rest, connect
from covalent_jupyter.engine import replay
from covalent_jupyter.errors import CovalentError
from covalent_jupyter.model import ENDED, ElectronRow, Ref, Status, wire
from covalent_jupyter.model.events import decode_event
from covalent_jupyter.rows import digests_of, dispatch_row, electron_row
from covalent_jupyter.store import Store

from .place import HOST, Place, copy_store
from .workload import RETRIES, Sent

HEALTH = 2.0  # seconds
MEMORY, ROOM = "/dev/shm", 1 << 28  # bytes
_CLOCK = 0.005  # seconds that two reads of the clock in two processes may lie apart


def check_results(sent: Sequence[Sent], interruptions: int, timeout: float = 240.0) -> list[str]:
    """Each acknowledged dispatch exists, ends, and gives the expected value; what is wrong, as sentences."""
    wrong: list[str] = []
    deadline = time.monotonic() + timeout
    for one in sent:
        try:
            result = ct.get_result(one.dispatch_id, wait=True, timeout=max(1.0, deadline - time.monotonic()))
            wrong += _check_one(result, one, interruptions)
        except CovalentError as error:
            wrong.append(f"{one.dispatch_id}: {type(error).__name__}: {error}")
    return wrong


def _check_one(result: ct.Result, one: Sent, interruptions: int) -> list[str]:
    name = one.dispatch_id[:8]
    status = Status(str(result.status))
    if status not in ENDED:
        return [f"{name} has not ended: {status}"]
    rest = connect()
    wrong = [] if one.cancelled else _check_value(result, one)
    wrong += check_rows(rest, one.dispatch_id)
    allowed = 1 + interruptions - one.interruptions
    found = rest.electrons(one.dispatch_id, limit=1000).electrons
    names = [row.name for row in found]
    rows = {row.name: row for row in found if names.count(row.name) == 1}  # a mark names its electron
    for path in one.folder.iterdir():
        runs = [float(line.split()[0]) for line in path.read_text().splitlines()]
        most = allowed + (RETRIES if path.name == "flaky" else one.retries)
        if len(runs) > most:
            wrong.append(f"{name}: {path.name} ran {len(runs)} times, {most} at most are explained")
        row = rows.get(path.name)
        if row is not None and row.status is Status.COMPLETED and row.ended and max(runs) > row.ended + _CLOCK:
            wrong.append(f"{name}: {path.name} was run again after its result was recorded")
    return wrong


def _check_value(result: ct.Result, one: Sent) -> list[str]:
    if str(result.status) != "COMPLETED":
        return [f"{one.dispatch_id[:8]} is {result.status}: {result.error}"]
    value = result.value
    return [] if value == one.value else [f"{one.dispatch_id[:8]} gives {value!r:.200} instead of {one.value!r:.200}"]


def check_rows(rest: Rest, dispatch_id: str) -> list[str]:
    """Digests match the bytes; nothing is finished before what it depends on."""
    wrong: list[str] = []
    rows = {row.node: row for row in rest.electrons(dispatch_id, limit=10_000).electrons}
    manifest = rest.manifest(dispatch_id)
    values = rest.small_values([d for row in rows.values() for d in digests_of(row.output)])
    for row in rows.values():
        if row.status not in ENDED:
            wrong.append(f"{dispatch_id[:8]}: {row.name} is {row.status} though the dispatch has ended")
        if row.status is not Status.COMPLETED:
            continue
        for digest in digests_of(row.output):
            data = values.get(digest) or rest.value(digest)
            if hashlib.sha256(data).hexdigest() != digest:
                wrong.append(f"{dispatch_id[:8]}: the value of {row.name} does not have its digest")
        wrong += _check_order(row, rows, manifest)
    return wrong


def _check_order(row: ElectronRow, rows: dict[int, ElectronRow], manifest: Any) -> list[str]:
    node = manifest.nodes[row.node]
    before = {ref.node for ref in (*node.args, *node.kwargs.values()) if isinstance(ref, Ref)} | set(node.after)
    wrong = []
    for number in before:
        other = rows[number]
        if other.status is not Status.COMPLETED:
            wrong.append(f"{row.name} is COMPLETED though {other.name}, which it needs, is {other.status}")
        elif other.ended and row.started and not row.reused and row.started + _CLOCK < other.ended:
            wrong.append(f"{row.name} started {other.ended - row.started:.3f} s before {other.name} ended")
    return wrong


def check_log(here: Place, sent: Sequence[Sent]) -> list[str]:
    """The store opens without a human, and its log replays to exactly the state shown."""
    target = Path(tempfile.mkdtemp(prefix="covalent-copy-", dir=_memory())) / "store"
    try:
        copy_store(here, target)
        with Store.open(target, blob_root=here.store / "blobs") as store:
            if store.repairs:
                return [f"a store that was killed, not damaged, needed repair: {store.repairs}"]
            return [text for one in sent for text in replay_differs(store, one.dispatch_id)]
    finally:
        shutil.rmtree(target.parent, ignore_errors=True)


def _memory() -> str | None:
    """Where files need no disk: a copy that is looked at once has not to be synced. None where there is little room."""
    return MEMORY if os.path.isdir(MEMORY) and shutil.disk_usage(MEMORY).free > ROOM else None


def replay_differs(store: Store, dispatch_id: str, unrecorded: tuple[str, ...] = ()) -> list[str]:
    """Where the rows of a dispatch, and of all below it, are not what its log says. ``unrecorded`` are columns of
    electrons that the store did not have when the rows were written."""
    family = [dispatch_id, *(r.dispatch_id for r in store.dispatches(root=dispatch_id, limit=1000)[0])]
    wrong = []
    for each in dict.fromkeys(family):
        row = store.dispatch(each)
        if row is None:
            wrong.append(f"{each[:8]} is not in the store")
            continue
        events = [decode_event(data) for _, _, data in store.events(each)]
        run = replay(wire.decode_manifest(store.manifest(each) or b""), events)
        expected = dispatch_row(run)
        expected.seq = row.seq
        if row != expected:
            wrong.append(f"{each[:8]}: the row {row} is not what the log says: {expected}")
        for got in store.electrons(each, limit=100_000)[0]:
            wanted = electron_row(run, got.node)
            wanted.seq = got.seq
            for name in unrecorded:
                setattr(got, name, getattr(wanted, name))
            if got != wanted:
                wrong.append(f"{each[:8]}: electron {got.node} {got} is not what the log says: {wanted}")
    return wrong


def check_processes(here: Place, grace: float = 30.0) -> list[str]:
    """No orphans: every process of this store is the service, a recorded host, or below one of them."""
    deadline = time.monotonic() + grace
    while strangers := _strangers(here):
        if time.monotonic() > deadline:
            return [f"an orphan: {text}" for text in strangers]
        time.sleep(0.05)
    return []


def _strangers(here: Place) -> list[str]:
    service = here.service_pid()
    all_of_them = here.processes()
    roots = {service} if service else set()
    hosts = [p for p in all_of_them if HOST in _line(p)]
    by_id: dict[str, int] = {}
    for host in hosts:
        with suppress(psutil.Error, ValueError, IndexError):
            line = host.cmdline()
            name = line[line.index("--host-id") + 1]
            by_id[name] = by_id.get(name, 0) + 1
            roots.add(host.pid)
    found = [f"{count} hosts {name}" for name, count in by_id.items() if count > 1]
    for process in all_of_them:
        with suppress(psutil.NoSuchProcess):
            if process.pid not in roots and not roots & {p.pid for p in process.parents()}:
                found.append(f"{process.pid} {_line(process)[:200]}")
    return found


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def check_files(here: Place) -> list[str]:
    """No file that others could read. Below ``work`` electrons write, with their user's umask: the folder is closed."""
    wrong = []
    for root in (here.store, here.root / "runtime"):
        for folder, below, files in os.walk(root):
            if Path(folder) == here.store / "work":
                below.clear()
            ours = [f for f in files if root == here.store or f.startswith("covalent")]  # the others are Jupyter's
            for name in (".", *ours):
                path = Path(folder, name)
                with suppress(FileNotFoundError):
                    mode = path.lstat().st_mode
                    if mode & 0o077 and not path.is_symlink():
                        wrong.append(f"{path} has mode {mode & 0o777:o}")
    return wrong


def slowness(seconds: float = 0.2) -> float:
    """How much longer the machine takes at present than its processor does: 1 where nothing else runs."""
    began, busy = time.perf_counter(), time.thread_time()
    while time.thread_time() - busy < seconds:
        pass
    return max(1.0, (time.perf_counter() - began) / seconds)


def check_health(here: Place) -> list[str]:
    took = here.health()
    return [] if took <= HEALTH or took <= HEALTH * slowness() else [f"/health took {took:.2f} s"]
