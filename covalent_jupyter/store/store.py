"""The store of one user: the log of events, its rows, values, manifests, settings."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from types import EllipsisType
from typing import Any, TypeVar

import duckdb

from ..blobs import has_blob, is_digest, read_blob
from ..errors import StoreError
from ..model.graph import Digest
from ..model.status import Status
from ..model.views import AttemptRow, DispatchRow, ElectronRow
from . import journal, queries, sql, upkeep
from .batch import Batch, Changes, Summary, Table
from .database import Database
from .opening import FolderLock, make_folder
from .rows import SEARCHED
from .tables import Tables
from .writer import Writer

T = TypeVar("T")
Statuses = str | Status | Collection[str | Status]


class Store:
    """One open store. Every method may be called from any thread; reads block, :meth:`append` does not.

    Reads raise :class:`StoreError` while the database cannot be read.
    """

    def __init__(self, folder: Path, blob_root: Path, lock: FolderLock) -> None:
        self.folder = folder
        self.blob_root = blob_root
        self._lock = lock
        self._database = Database(folder)
        try:
            self._writer = Writer(self._database, blob_root)
        except StoreError:
            self._database.close()
            raise
        self._promised = upkeep.Promised()
        self._checking = threading.Lock()
        self._probe: Future[int] | None = None
        self.store_id = self._identify()

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, blob_root: str | os.PathLike[str] | None = None) -> Store:
        """Open the store, made on first use; ``blob_root`` is where large values lie (default ``<folder>/blobs``).

        Raises StoreLocked (names the owner), StoreTooNew, StoreDamaged, or StoreError (the folder is of no use).
        """
        path = Path(folder).expanduser().absolute()
        make_folder(path)
        root = Path(blob_root).expanduser().absolute() if blob_root is not None else path / "blobs"
        make_folder(root)
        lock = FolderLock(path)
        try:
            return cls(path, root, lock)
        except BaseException:
            lock.release()
            raise

    def _identify(self) -> str:
        found = self.setting("store_id")
        if found is None:
            found = uuid.uuid4().hex
            made: dict[str, str | None] = {
                "store_id": found,
                "created": repr(time.time()),
                upkeep.SEARCH: str(SEARCHED),
            }
            self.append(Batch(settings=made)).result(30)
        return found

    @property
    def repairs(self) -> list[str]:
        """What was mended when the store was opened, as sentences."""
        return self._database.repairs

    @property
    def problem(self) -> str | None:
        """Why nothing can be written at present; None while all is well."""
        return self._writer.problem

    @property
    def removed(self) -> bool:
        """Whether its file was removed or replaced: nothing can be written until that is undone."""
        try:
            self._database.check_file()
        except StoreError:
            return True
        return False

    @property
    def deleted(self) -> bool:
        """Whether its folder was deleted: then nobody can undo it by moving it back."""
        return self._lock.deleted

    @property
    def pending(self) -> int:
        """Batches that are not committed yet."""
        return self._writer.pending

    @property
    def last_seq(self) -> int:
        """Number of the last committed event."""
        return self._writer.last_seq

    def append(self, batch: Batch, *, patient: bool = False, unread: bool = False) -> Future[int]:
        """Queue the batch. The future gives the number of its last event once it is durable; it fails only if the
        batch itself is wrong, or the store is closed while it cannot be written. ``patient``: nobody waits for it, so it
        may be kept for some hundredths of a second, to share a transaction. ``unread``: nobody is about to read it, so that
        it may lie in the journal, which is cheaper; whoever reads finds it all the same."""
        return self._writer.append(batch, patient=patient, unread=unread)

    def _read(self, query: Callable[[duckdb.DuckDBPyConnection], T], *, at_once: bool = False) -> T:
        """Run the query over everything that was committed; ``at_once`` as of one moment."""
        if self._writer.settle():
            return self._database.read(query, at_once=at_once)

        def over_all(cursor: duckdb.DuckDBPyConnection) -> T:
            plan = journal.kept(cursor)
            if plan is not None:
                Tables.load(cursor).write(cursor, plan)
            return query(cursor)

        # The tables cannot be written at present (a full disk): what the journal keeps is put into them for the time of the
        # query, in a transaction that is never committed. Nothing else may write meanwhile, or both would change the same rows.
        with self._writer.turn:
            return self._database.read(over_all, at_once=True)

    def close(self, timeout: float = 30.0) -> None:
        """Write what is queued, then close and unlock."""
        self._writer.close(timeout)
        self._database.close()
        self._lock.release()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Dispatches and electrons

    def has_rows_of(self, dispatch_id: str) -> bool:
        """Whether anything that was committed belongs to the dispatch; asks no database."""
        return self._writer.has_rows_of(dispatch_id)

    def dispatch(self, dispatch_id: str) -> DispatchRow | None:
        return self._read(lambda c: queries.dispatch(c, dispatch_id))

    def find(self, prefix: str, limit: int = 10) -> list[str]:
        """Ids that start with ``prefix``, newest first."""
        return self._read(lambda c: queries.find(c, prefix, limit))

    def newest(self, n: int = 5) -> list[str]:
        """Ids of the newest dispatches."""
        return self._read(lambda c: queries.newest(c, n))

    def dispatches(
        self,
        *,
        limit: int = 50,
        before: tuple[float, str] | None = None,
        status: Statuses | None = None,
        text: str | None = None,
        lattice: str | None = None,
        notebook: str | None = None,
        tag: str | None = None,
        parent: str | None | EllipsisType = ...,
        root: str | None = None,
        name: str | None = None,
        tags: Collection[str] = (),
        since: float | None = None,
        until: float | None = None,
    ) -> tuple[list[DispatchRow], int]:
        """A page, newest first, and how many match in all. ``before`` is (created, id) of the last row of the page
        before; ``parent`` None means: only roots; ``text`` is looked for in ids, names, labels, tags, notes, inputs,
        errors; a ``notebook`` without a leading slash is the end of a path; ``name`` is looked for in names alone.
        ``since`` and ``until`` are times of dispatching, in seconds since the epoch."""
        return self._read(
            lambda c: queries.dispatches(
                c, limit=limit, before=before, status=status, text=text, lattice=lattice, notebook=notebook, tag=tag,
                parent=parent, root=root, name=name, tags=tags, since=since, until=until,
            )
        )  # fmt: skip

    def children(self, ids: Collection[str]) -> dict[str, int]:
        """How many runs of sublattices these dispatches have; those that have none are left out."""
        return self._read(lambda c: queries.children(c, ids)) if ids else {}

    def summary(
        self,
        *,
        by: str = "",
        most: int = 1000,
        status: Statuses | None = None,
        text: str | None = None,
        lattice: str | None = None,
        notebook: str | None = None,
        tag: str | None = None,
        parent: str | None | EllipsisType = ...,
        root: str | None = None,
    ) -> Summary:
        """Counts of the dispatches that :meth:`dispatches` would list; ``by`` "lattice" or "notebook" groups them. What has a
        higher number than its ``seq`` is not counted."""
        return self._read(
            lambda c: queries.summary(
                c, by, most, status=status, text=text, lattice=lattice, notebook=notebook, tag=tag, parent=parent,
                root=root,
            ),
            at_once=True,
        )  # fmt: skip

    def electrons(
        self,
        dispatch_id: str,
        *,
        offset: int = 0,
        limit: int = 1000,
        status: Statuses | None = None,
        name: str | None = None,
        nodes: Iterable[int] | None = None,
    ) -> tuple[list[ElectronRow], int]:
        """A page in the order of nodes, and how many match in all. Values inside have no bytes."""
        return self._read(
            lambda c: queries.electrons(
                c, dispatch_id, offset=offset, limit=limit, status=status, name=name, nodes=nodes
            )
        )

    def electron(self, dispatch_id: str, node: int) -> ElectronRow | None:
        return self._read(lambda c: queries.electron(c, dispatch_id, node))

    def attempts(
        self, dispatch_id: str, *, node: int | None = None, offset: int = 0, limit: int = 1000
    ) -> tuple[list[AttemptRow], int]:
        """A page of attempts (of one node, or of all), in the order of nodes and attempts, and how many there are."""
        return self._read(lambda c: queries.attempts(c, dispatch_id, node=node, offset=offset, limit=limit))

    def metrics(
        self,
        dispatch_id: str,
        *,
        node: int | None = None,
        attempt: int | None = None,
        after: int = -1,
        points: int = 500,
    ) -> list[tuple[int, int, str, int, float, float]]:
        """(node, attempt, name, step, time, value) of numbers that electrons reported, at most ``points`` a series."""
        return self._read(
            lambda c: queries.metrics(c, dispatch_id, node=node, attempt=attempt, after=after, points=points)
        )

    def reports(self, dispatch_id: str) -> dict[int, tuple[int, int]]:
        """Node -> (latest attempt that reported anything, how many reports of it)."""
        return self._read(lambda c: queries.reports(c, dispatch_id))

    def changes(
        self,
        after: int,
        *,
        dispatch_id: str | None = None,
        limit: int = 5000,
        electrons_of: Collection[str] | None = None,
    ) -> Changes:
        """The last state of what has changed after number ``after`` (at least 1000 electrons a portion).
        ``electrons_of``: the dispatches whose electrons are wanted; by default those of all."""
        upto = self.last_seq
        return self._read(lambda c: queries.changes(c, after, upto, dispatch_id, limit, electrons_of), at_once=True)

    def events(self, dispatch_id: str) -> list[tuple[int, str, bytes]]:
        """The log of one dispatch: (seq, kind, JSON)."""
        return self._read(lambda c: queries.events(c, dispatch_id))

    def unfinished(self) -> list[str]:
        """Dispatches, children included, that have not ended; oldest first."""
        return self._read(queries.unfinished)

    def lookup_key(self, key: str, statuses: Collection[str | Status]) -> str | None:
        """The newest dispatch with this manifest key in one of these states."""
        return self._read(lambda c: queries.lookup_key(c, key, statuses))

    # Values

    def manifest(self, dispatch_id: str) -> bytes | None:
        """JSON of the manifest. StoreDamaged if its file is gone or changed."""
        found = self._read(lambda c: queries.manifest(c, dispatch_id))
        if found is None:
            return None
        digest, data = found
        if digest is None:
            return data
        try:
            return read_blob(self.blob_root, digest)
        except OSError as e:
            raise StoreError(f"the manifest of dispatch {dispatch_id} cannot be read from {self.blob_root}: {e}") from e

    def value(self, digest: Digest) -> bytes | None:
        """The bytes of an inline value (not of a blob file)."""
        return self.values([digest]).get(digest)

    def values(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """The inline values among these digests."""
        wanted = [d for d in digests if is_digest(d)]
        return self._read(lambda c: queries.values(c, wanted)) if wanted else {}

    def missing(self, digests: Iterable[Digest], blobs: str | os.PathLike[str] | None = None) -> list[Digest]:
        """Those that are neither inline values nor files under ``blobs`` (the store's own root by default).

        Those found are safe from :meth:`gc` for a day: the caller is about to refer to them.
        """
        root = self.blob_root if blobs is None else blobs
        wanted = list(dict.fromkeys(digests))
        here = [d for d in wanted if self._writer.has_value(d)]
        self._promised.add(here)
        known = set(here)
        rest = [d for d in wanted if d not in known and not (is_digest(d) and has_blob(root, d, touch=True))]
        asked = [d for d in rest if is_digest(d)]
        if asked:
            self._promised.add(asked)
            inline = self._read(lambda c: queries.present(c, asked))
            rest = [d for d in rest if d not in inline]
        return rest

    def references(self, dispatch_id: str) -> list[Digest]:
        """What the dispatch keeps alive."""
        return self._read(lambda c: queries.references(c, dispatch_id))

    def sole_references(self, ids: Collection[str]) -> list[tuple[Digest, int]]:
        """What nothing but these dispatches keeps alive: digest, and size in bytes where it is an inline value."""
        return self._read(lambda c: queries.sole_references(c, ids)) if ids else []

    def unreferenced(self, digests: Iterable[Digest]) -> list[Digest]:
        """Those that no dispatch refers to."""
        wanted = list(dict.fromkeys(digests))
        held = self._read(lambda c: queries.referenced(c, wanted))
        return [d for d in wanted if d not in held]

    def setting(self, key: str) -> str | None:
        return self._read(lambda c: queries.setting(c, key))

    def settings(self, prefix: str) -> dict[str, str]:
        """All settings whose names start with ``prefix``."""
        return self._read(lambda c: queries.settings(c, prefix))

    def sql(self, query: str, *, max_rows: int = 1000, timeout: float = 30.0) -> Table:
        """One SELECT over the views of ``views.py``. InvalidRequest says what is wrong."""
        if not self._writer.settle():
            raise StoreError(self.problem or f"the store {self.folder} is closed")
        return sql.run(self._database, query, max_rows=max_rows, timeout=timeout)

    # Upkeep

    def check(self, timeout: float = 5.0) -> tuple[float, float]:
        """Really write and read; milliseconds of each. StoreError says why it did not work."""
        start = time.perf_counter()
        with self._checking:
            if self._probe is None or self._probe.done():
                self._probe = self.append(Batch(settings={"checked": repr(time.time())}))
            probe = self._probe
        try:
            probe.result(timeout)
        except FutureTimeout:
            raise StoreError(
                self.problem or f"the store {self.folder} took more than {timeout:g} s to write one record"
            ) from None
        written = time.perf_counter()
        self.setting("checked")
        return 1000 * (written - start), 1000 * (time.perf_counter() - written)

    def compact(self, dispatch_id: str) -> int:
        """Drop the events of an ended dispatch (its rows stay); how many. NotFound, Conflict while it runs."""
        done = self._writer.submit(lambda cursor, _, last: upkeep.compact(cursor, dispatch_id, last))
        return int(done.result())

    def compact_ended(self, before: float, most: int = 50_000) -> int:
        """Drop the events of all dispatches whose root ended before that time (seconds since the epoch), about ``most`` in one
        transaction, so that others have their turn; how many."""
        total = 0
        while True:
            job = self._writer.submit(lambda cursor, _, last: upkeep.compact_ended(cursor, before, last, most))
            dropped = int(job.result())
            if not dropped:
                return total
            total += dropped

    def gc(self, live: set[Digest], older_than: float = upkeep.DAY) -> tuple[int, int]:
        """Remove values and blob files that no dispatch and none of ``live`` refers to, and that nobody has
        written or asked for during ``older_than`` seconds; (how many, bytes)."""
        candidates = upkeep.old_blobs(self.blob_root, older_than)
        keep = live | self._promised.current()

        def values(cursor: duckdb.DuckDBPyConnection, tables: Tables, last: int) -> tuple[int, int]:
            upkeep.prune_tombstones(cursor, last)
            found = upkeep.collect_values(cursor, tables, keep, older_than), upkeep.single_out_values(cursor)
            return sum(count for count, _ in found), sum(size for _, size in found)

        count, freed = self._writer.submit(values).result()  # whatever was queued before is committed now
        held = self._read(queries.referenced) | keep
        files, size = upkeep.remove_blobs(self.blob_root, candidates, held, older_than)
        return count + files, freed + size

    def lay_out_inputs(self) -> int:
        """Lay out what is known of electrons' inputs as rows, which makes searching them faster; of how many
        dispatches. The view ``inputs`` shows the same before and afterwards."""
        return int(self._writer.submit(lambda cursor, _, last: upkeep.lay_out_inputs(cursor)).result())

    def renew_search(self, most: int = 500) -> int:
        """Have dispatches that an earlier version stored found as those of today are, about ``most`` in one transaction, so that
        others have their turn; how many there were."""
        total = 0
        while done := int(self._writer.submit(lambda cursor, _, last: upkeep.renew_search(cursor, most)).result()):
            total += done
        return total

    def disk(self) -> dict[str, Any]:
        """Bytes by kind (``database, log, blobs, inline, logs, total, free``), and the largest ``dispatches`` (root
        dispatches with all below them) and ``lattices``."""
        return self._read(lambda c: upkeep.disk(self.folder, self.blob_root, c))
