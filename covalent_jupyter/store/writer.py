"""The one writer: a queue, a thread, one transaction for everything that is queued.

What was queued stays queued, in order, until it has been committed: a full disk delays records, it does not
lose them. A batch that is itself wrong fails alone.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from ..blobs import write_blob
from ..crashpoint import crashpoint
from ..errors import StoreError
from ..model.graph import Digest
from . import journal
from .batch import Batch
from .database import Database, spoils
from .opening import damaged, is_damage
from .plan import Plan, Prepared
from .tables import Tables, last_seq, likely

log = logging.getLogger(__name__)

#: Manifests above this many bytes are blob files.
MANIFEST_INLINE = 262_144
GROUP = 20_000  # electrons and events that one transaction takes, unless a single batch has more
#: A commit costs much the same whatever is in it. So after one, what nobody waits for is left to gather for so many times
#: as long as it took, at most so many seconds.
REST = (2.0, 0.05)
#: What the journal keeps goes into the tables when nothing has been written for so many seconds, when its oldest entry is of
#: so many seconds ago, when it has so many bytes, and whenever somebody reads.
IDLE, AGE, MOST = 0.1, 2.0, 2_000_000
BACKOFF = (0.05, 2.0)  # seconds: first and longest wait between two attempts
#: Work of its own transaction: gets the cursor, the tables, and the number of the last event.
Job = Callable[[duckdb.DuckDBPyConnection, Tables, int], Any]
_ENVIRONMENT = re.compile(
    r"No space left|[Cc]ould not (write|sync|read|open|truncate|remove)|Input/output error|Read-only file system|quota|"
    r"File too large|Cannot allocate|out of memory|Too many open files|database has been invalidated"
)


def environmental(error: BaseException) -> bool:
    """Whether the error comes from the machine (and so may go away), not from the batch."""
    if isinstance(error, (OSError, StoreError, MemoryError)):
        return True
    if not isinstance(error, duckdb.Error) or "INTERNAL Error" in str(error):
        return False
    kinds = (duckdb.FatalException, duckdb.IOException, duckdb.OutOfMemoryException, duckdb.InterruptException)
    return isinstance(error, (*kinds, duckdb.ConnectionException)) or bool(_ENVIRONMENT.search(str(error)))


class _Item:
    """Something to do in a transaction: write a batch, or carry out a job of its own."""

    __slots__ = ("batch", "future", "job", "patient", "prepared", "unread", "weight")

    def __init__(self, batch: Batch | None, job: Job | None, *, patient: bool = False, unread: bool = False) -> None:
        self.batch = batch
        self.job = job
        self.patient = patient
        self.unread = unread
        self.future: Future[Any] = Future()
        self.future.set_running_or_notify_cancel()  # what was accepted is done, whoever still waits
        self.prepared: Prepared | None = None
        self.weight = GROUP if batch is None else len(batch.electrons) + len(batch.events)


class Writer:
    """Owns the thread that writes. ``last_seq`` is the number of the last committed event."""

    def __init__(self, database: Database, blob_root: Path) -> None:
        self._database = database
        self._tables = database.read(Tables.load)
        self._blob_root = blob_root
        self._queue: deque[_Item] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._ended = False
        self._abandoned = threading.Event()
        self._busy = 0
        self._hurried = 0  # items of the queue that somebody waits for
        self._rests_until = 0.0
        self._doubtful = 0  # last number of an attempt that failed, and may have been committed
        self._doubtful_entry = False  # whether that was one to the journal
        self.last_seq = database.read(last_seq)
        self.turn = threading.Lock()  # held while a transaction is under way
        self._kept = database.read(journal.kept)  # what the journal holds
        self._kept_ids = self._kept.ids() if self._kept is not None else set()
        self._kept_size = 0  # bytes
        self._kept_since = 0.0
        self._wrote = 0.0
        self._asked: Future[bool] | None = None  # somebody waits for the tables to have it all
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="covalent-store-writer", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Batches that are not committed yet."""
        return len(self._queue) + self._busy

    def has_rows_of(self, dispatch_id: str) -> bool:
        """Whether anything that was committed belongs to the dispatch. From any thread."""
        return dispatch_id in self._tables.known or dispatch_id in self._kept_ids

    def has_value(self, digest: Digest) -> bool:
        """Whether it is an inline value that was written lately. From any thread; if not, it may be there all the same."""
        return digest in self._tables.recent

    def append(self, batch: Batch, *, patient: bool = False, unread: bool = False) -> Future[int]:
        """The future gives the number of the batch's last event, after the commit. A ``patient`` batch, which nobody waits
        for, may be kept for a moment, so that others share its transaction. An ``unread`` one, which nobody is about to read,
        may lie in the journal for a while."""
        return self._enqueue(_Item(batch, None, patient=patient, unread=unread))

    def settle(self) -> bool:
        """Bring what the journal keeps into the tables; False if that cannot be done at present (``problem`` says why)."""
        with self._wake:
            if self._kept is None:
                return True
            if self.problem is not None or self._ended:
                return False
            if self._asked is None:
                self._asked = Future()
            asked = self._asked
            self._wake.notify()
        return asked.result()

    def _answer(self, settled: bool) -> None:
        """To those who wait in :meth:`settle`."""
        with self._wake:
            asked, self._asked = self._asked, None
        if asked is not None:
            asked.set_result(settled)

    def submit(self, job: Job) -> Future[Any]:
        """Carry out the job in a transaction of its own, in its turn; it may be called again after a failure."""
        return self._enqueue(_Item(None, job))

    def _enqueue(self, item: _Item) -> Future[Any]:
        with self._wake:
            if self._closing:
                raise StoreError(f"the store {self._database.folder} is closed")
            self._queue.append(item)
            self._hurried += not item.patient
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
        while (group := self._take()) is not None:
            began = time.monotonic()
            self._commit(group)
            self._busy = 0
            self._wrote = time.monotonic()
            self._rests_until = self._wrote + min(REST[0] * (self._wrote - began), REST[1])
        with self._wake:
            self._ended = True
        self._answer(self._kept is None)

    def _take(self) -> list[_Item] | None:
        """What comes next; nothing, if it is time for what the journal keeps; None at the end."""
        with self._wake:
            while not self._closing and (pause := self._pause()) != 0:
                self._wake.wait(pause)
            if self._closing and not self._queue and (self._kept is None or self._abandoned.is_set()):
                return None
            group: list[_Item] = []
            weight = 0
            while self._queue and (not group or weight + self._queue[0].weight <= GROUP):
                group.append(self._queue.popleft())
                weight += group[-1].weight
                self._hurried -= not group[-1].patient
                if group[-1].job is not None:
                    break
            self._busy = len(group)
            return group

    def _pause(self) -> float | None:
        """Seconds until the next transaction; None: until something comes."""
        if self._hurried or self._asked is not None:
            return 0
        due = [self._rests_until] if self._queue else []
        if self._kept is not None:
            due.append(min(self._wrote + IDLE, self._kept_since + AGE))
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _for_the_journal(self, group: Sequence[_Item]) -> bool:
        """Whether the group can do with an entry of the journal."""
        if not group or not all(item.unread for item in group):
            return False
        if self._asked is not None or self.problem is not None or self._closing:
            return False
        return self._kept is None or (self._kept_size < MOST and time.monotonic() < self._kept_since + AGE)

    def _commit(self, group: Sequence[_Item]) -> None:
        """Write the group, whatever it takes. Every future of it is done afterwards."""
        wait = BACKOFF[0]
        while True:
            try:
                group = [item for item in group if self._prepare(item)]
                if self._kept is not None and (not group or group[0].job is not None):
                    self._write([])
                if group:
                    self._write(group)
                self.problem = None
                if self._kept is None:
                    self._answer(True)
                return
            except duckdb.InterruptException:  # the database is being opened again: nobody else interrupts a writer
                continue
            except Exception as e:  # border: an error of the machine is waited out, one of a batch is its own
                if group and not environmental(e):
                    self._commit([])  # without it: what was kept had been found to be right
                    self._isolate(group, e)
                    return
                self.problem = self._explain(e)
                self._answer(False)
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
        failure: BaseException = error
        if group[0].job is None:
            failure = StoreError(f"this record cannot be stored: {error}")
            failure.__cause__ = error
        group[0].future.set_exception(failure)

    def _explain(self, error: Exception) -> str:
        if isinstance(error, StoreError):
            return str(error)
        reason = str(error).strip().split("\n")[0]
        if is_damage(error):
            return str(damaged(self._database.folder, reason))
        return (
            f"the store {self._database.folder} cannot be written: {reason}. Nothing is lost; it is tried again until "
            "it works: make room on the disk, or give the folder its permissions back"
        )

    def _prepare(self, item: _Item) -> bool:
        """Rows as columns, large manifests as files; False if the batch is wrong (its future says so)."""
        if item.batch is None or item.prepared is not None:
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
        """One transaction: of the group, to the journal, or to the tables with all that the journal keeps. Afterwards every
        future of the group is done."""
        plan = Plan([item.prepared for item in group if item.prepared is not None], self.last_seq)
        job = group[0].job if group else None
        again = self._doubtful == plan.last and self._doubtful_entry  # or its outcome could not be told
        entry = journal.entry(plan) if again or self._for_the_journal(group) else None
        if entry is None and self._kept is not None:
            whole = Plan((), 0)
            whole.take(self._kept)
            whole.take(plan)
            plan = whole
        if entry is None and plan.values and self._tables.likely is None:
            self._tables.likely = self._likely()
        generation = self._database.generation
        result: Any = None
        if not self._happened(plan, entry):
            try:
                self._database.check_file()
                with self.turn:
                    result = self._transact(plan, job, entry)
            except Exception as e:
                doubtful = environmental(e) and (plan.last > self.last_seq or self._kept is not None)
                self._doubtful, self._doubtful_entry = plan.last if doubtful else 0, entry is not None
                if spoils(e):
                    self._database.reset(generation)
                raise
        self._doubtful = 0
        self._database.make_private()
        self._written(plan, entry)
        self.last_seq = plan.last
        self.problem = None  # before anybody hears that it went well
        for item in group:
            item.future.set_result(result if item.prepared is None else item.prepared.last)

    def _likely(self) -> set[Digest]:
        """Before the transaction, and none where it cannot be read: a store that is damaged there is written to all the same."""
        try:
            return self._database.read(likely)
        except (StoreError, duckdb.Error) as error:
            log.info("which values are likely to come again cannot be read: %s", error)
            return set()

    def _written(self, plan: Plan, entry: bytes | None) -> None:
        """What is known after the commit."""
        if entry is None:
            self._tables.committed(plan)
            self._kept, self._kept_ids, self._kept_size = None, set(), 0
            return
        if self._kept is None:
            self._kept_since = time.monotonic()
        kept = self._kept or Plan((), 0)
        kept.take(plan)
        self._kept_ids |= plan.ids()
        self._kept_size += len(entry)
        self._kept = kept

    def _happened(self, plan: Plan, entry: bytes | None) -> bool:
        """Whether the attempt before, which ended with an error, was committed all the same. The plan of a second
        attempt has the numbers of the first."""
        if not self._doubtful or self._doubtful != plan.last:
            return False
        if entry is None and self._kept is not None:  # the journal is emptied in the same transaction
            return self._database.read(journal.is_empty)
        return self._database.read(last_seq) >= self._doubtful

    def _transact(self, plan: Plan, job: Job | None, entry: bytes | None) -> Any:
        with self._database.cursor() as cursor:
            result: Any = None
            cursor.begin()
            moving = job is None and entry is None and self._kept is not None
            try:
                if job is not None:
                    result = job(cursor, self._tables, self.last_seq)
                elif entry is not None:
                    self._tables.note(cursor, plan.last, entry)
                else:
                    self._tables.write(cursor, plan)
                if moving:
                    self._tables.empty_journal(cursor)
                    crashpoint("journal.moved")
                crashpoint("commit.written")
                cursor.commit()
                crashpoint("commit.done")
                if moving:
                    crashpoint("journal.empty")
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.rollback()
                raise
            return result
