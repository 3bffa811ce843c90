"""The one writer: a queue, a thread, one transaction for everything that is queued.

What was queued stays queued, in order, until it has been committed: a full disk delays records, it does not
lose them. A batch that is itself wrong fails alone.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Sequence

import duckdb

from ..blobs import write_blob
from ..errors import StoreError
from .batch import Batch
from .database import Database, spoils
from .plan import Plan, Prepared

#: Manifests above this many bytes are blob files.
MANIFEST_INLINE = 262_144
GROUP = 20_000  # electrons and events that one transaction takes, unless a single batch has more
BACKOFF = (0.05, 2.0)  # seconds: first and longest wait between two attempts
_FEW = 4  # rows up to which a plain INSERT beats an appender
_ENVIRONMENT = re.compile(
    r"No space left|[Cc]ould not (write|sync|read|open|truncate|remove)|Input/output error|Read-only file system|quota|"
    r"File too large|Cannot allocate|out of memory|Too many open files|database has been invalidated"
)
_COLUMNS = {"event": 4, "dispatch": 11, "electron": 16, "manifest": 4, "value": 5, "reference": 2, "tombstone": 2, "setting": 2}


def environmental(error: BaseException) -> bool:
    """Whether the error comes from the machine (and so may go away), not from the batch."""
    if isinstance(error, (OSError, StoreError, MemoryError)):
        return True
    if not isinstance(error, duckdb.Error) or "INTERNAL Error" in str(error):
        return False
    kinds = (duckdb.FatalException, duckdb.IOException, duckdb.OutOfMemoryException, duckdb.InterruptException)
    return isinstance(error, (*kinds, duckdb.ConnectionException)) or bool(_ENVIRONMENT.search(str(error)))


class _Item:
    __slots__ = ("batch", "future", "prepared", "weight")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.future: Future[int] = Future()
        self.future.set_running_or_notify_cancel()  # what was accepted is written, whoever still waits
        self.prepared: Prepared | None = None
        self.weight = len(batch.electrons) + len(batch.events)


class Writer:
    """Owns the thread that writes. ``last_seq`` is the number of the last committed event."""

    def __init__(self, database: Database, blob_root: Path, last_seq: int) -> None:
        self._database = database
        self._blob_root = blob_root
        self._queue: deque[_Item] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._abandoned = threading.Event()
        self._busy = 0
        self.last_seq = last_seq
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="covalent-store-writer", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Batches that are not committed yet."""
        return len(self._queue) + self._busy

    def append(self, batch: Batch) -> Future[int]:
        item = _Item(batch)
        with self._wake:
            if self._closing:
                raise StoreError(f"the store {self._database.folder} is closed")
            self._queue.append(item)
            self._wake.notify()
        return item.future

    def close(self, timeout: float) -> None:
        """Write what is queued; what cannot be written within ``timeout`` seconds fails with StoreError."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)
        self._abandoned.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            group = self._take()
            if not group:
                return
            self._commit(group)
            self._busy = 0

    def _take(self) -> list[_Item]:
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            group: list[_Item] = []
            weight = 0
            while self._queue and (not group or weight + self._queue[0].weight <= GROUP):
                group.append(self._queue.popleft())
                weight += group[-1].weight
            self._busy = len(group)
            return group

    def _commit(self, group: Sequence[_Item]) -> None:
        """Write the group, whatever it takes. Every future of it is done afterwards."""
        wait = BACKOFF[0]
        while True:
            try:
                group = [item for item in group if self._prepare(item)]
                if group:
                    self._write(group)
                self.problem = None
                return
            except Exception as e:  # border: an error of the machine is waited out, one of a batch is its own
                if not environmental(e):
                    self._isolate(group, e)
                    return
                self.problem = self._explain(e)
            if self._abandoned.wait(wait):
                for item in group:
                    item.future.set_exception(StoreError(self.problem))
                return
            wait = min(2 * wait, BACKOFF[1])

    def _isolate(self, group: Sequence[_Item], error: Exception) -> None:
        if len(group) > 1:
            for item in group:
                self._commit([item])
            return
        failure = StoreError(f"this record cannot be stored: {error}")
        failure.__cause__ = error
        group[0].future.set_exception(failure)

    def _explain(self, error: Exception) -> str:
        if isinstance(error, StoreError):
            return str(error)
        reason = str(error).strip().split("\n")[0]
        return (
            f"the store {self._database.folder} cannot be written: {reason}. Nothing is lost; it is tried again until "
            "it works: make room on the disk, or give the folder its permissions back"
        )

    def _prepare(self, item: _Item) -> bool:
        """Rows as columns, large manifests as files; False if the batch is wrong (its future says so)."""
        if item.prepared is not None:
            return True
        try:
            item.prepared = Prepared(item.batch, [self._manifest(d, data) for d, data in item.batch.manifests])
        except (OSError, MemoryError):
            raise
        except Exception as e:  # border: a wrong batch must not stop the others
            self._isolate([item], e)
            return False
        return True

    def _manifest(self, dispatch_id: str, data: bytes) -> tuple[str, str | None, int, bytes | None]:
        if len(data) <= MANIFEST_INLINE:
            return dispatch_id, None, len(data), data
        digest, size = write_blob(self._blob_root, [data])
        return dispatch_id, digest, size, None

    def _write(self, group: Sequence[_Item]) -> None:
        prepared = [item.prepared for item in group if item.prepared is not None]
        plan = Plan(prepared, self.last_seq)
        generation = self._database.generation
        try:
            self._database.check_file()
            self._transact(plan)
        except Exception as e:
            if not spoils(e):
                raise
            self._database.reset(generation)
            if plan.last == self.last_seq or self._database.read(last_seq) < plan.last:
                raise
        self.last_seq = plan.last
        for item, done in zip(group, prepared):
            item.future.set_result(done.last)

    def _transact(self, plan: Plan) -> None:
        with self._database.cursor() as cursor:
            cursor.begin()
            try:
                write_plan(cursor, plan)
                cursor.commit()
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.rollback()
                raise


def last_seq(cursor: duckdb.DuckDBPyConnection) -> int:
    """The highest number ever given, deleted and compacted ones included."""
    row = cursor.execute(
        "SELECT greatest((SELECT max(seq) FROM event), (SELECT max(seq) FROM dispatch), (SELECT max(seq) FROM electron), "
        "(SELECT max(seq) FROM tombstone), (SELECT max(value::BIGINT) FROM setting WHERE name = 'highest_seq'), 0)"
    ).fetchone()
    return int(row[0]) if row else 0


def _insert(cursor: duckdb.DuckDBPyConnection, table: str, items: Sequence[Sequence[Any]]) -> None:
    if not items:
        return
    if len(items) <= _FEW:
        mark = "(" + ", ".join("?" * _COLUMNS[table]) + ")"
        cursor.execute(f"INSERT INTO {table} VALUES {', '.join([mark] * len(items))}", [v for row in items for v in row])
        return
    with cursor.appender(table) as appender:
        appender.append_rows(items)


def _delete_dispatches(cursor: duckdb.DuckDBPyConnection, table: str, ids: Sequence[str]) -> None:
    if len(ids) == 1:
        cursor.execute(f"DELETE FROM {table} WHERE dispatch_id = ?", [ids[0]])
    elif ids:
        cursor.execute(f"DELETE FROM {table} WHERE dispatch_id IN (SELECT unnest(?::VARCHAR[]))", [list(ids)])


def write_plan(cursor: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Carry the plan out inside the open transaction."""
    if plan.deletes:
        gone = list(plan.deletes)
        for table in ("dispatch", "electron", "event", "manifest", "reference"):
            _delete_dispatches(cursor, table, gone)
        _insert(cursor, "tombstone", [(seq, dispatch_id) for dispatch_id, seq in plan.deletes.items()])
    _insert(cursor, "event", plan.events)
    if plan.dispatches:
        _delete_dispatches(cursor, "dispatch", list(plan.dispatches))
        _insert(cursor, "dispatch", list(plan.dispatches.values()))
    if plan.electrons:
        _write_electrons(cursor, plan)
    if plan.manifests:
        _delete_dispatches(cursor, "manifest", list(plan.manifests))
        _insert(cursor, "manifest", list(plan.manifests.values()))
    _write_values(cursor, plan)
    _write_references(cursor, plan)
    for name, value in plan.settings.items():
        cursor.execute("DELETE FROM setting WHERE name = ?", [name])
        cursor.execute("INSERT INTO setting VALUES (?, ?)", [name, value])


def _write_electrons(cursor: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    known: list[tuple[str, list[int]]] = []
    for dispatch_id, nodes in plan.electrons.items():
        fresh = plan.fresh.get(dispatch_id)
        old = list(nodes) if fresh is None else [n for n in nodes if n not in fresh]
        if old:
            known.append((dispatch_id, old))
    if len(known) <= _FEW:
        for dispatch_id, old in known:
            if len(old) == 1:
                cursor.execute("DELETE FROM electron WHERE dispatch_id = ? AND node = ?", [dispatch_id, old[0]])
            else:
                cursor.execute(
                    "DELETE FROM electron WHERE dispatch_id = ? AND node IN (SELECT unnest(?::INTEGER[]))", [dispatch_id, old]
                )
    else:
        pairs = [(d, n) for d, old in known for n in old]
        cursor.execute(
            "DELETE FROM electron USING (SELECT unnest(?::VARCHAR[]) AS d, unnest(?::INTEGER[]) AS n) AS k "
            "WHERE dispatch_id = k.d AND node = k.n",
            [[d for d, _ in pairs], [n for _, n in pairs]],
        )
    _insert(cursor, "electron", [columns for nodes in plan.electrons.values() for columns in nodes.values()])


def _write_values(cursor: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    if not plan.values:
        return
    heads = [head for head, _ in plan.values.values()]
    present = {
        r[0]
        for r in cursor.execute("SELECT digest FROM value WHERE head IN (SELECT unnest(?::UBIGINT[]))", [heads]).fetchall()
    }
    now = time.time()
    new = [
        (head, digest, len(data), now, data) for digest, (head, data) in plan.values.items() if digest not in present
    ]
    _insert(cursor, "value", new)


def _write_references(cursor: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    if plan.dereferences:
        cursor.execute(
            "DELETE FROM reference USING (SELECT unnest(?::VARCHAR[]) AS d, unnest(?::VARCHAR[]) AS g) AS k "
            "WHERE reference.dispatch_id = k.d AND reference.digest = k.g",
            [[d for d, _ in plan.dereferences], [g for _, g in plan.dereferences]],
        )
    _insert(cursor, "reference", list(plan.references))
