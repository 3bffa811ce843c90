"""The open database instance: a cursor for whoever reads, and a new instance when this one is spoilt.

An error while DuckDB writes its file (a full disk during a checkpoint) spoils the whole instance, reads
included, until every handle of it is closed. So all handles are given out and taken back here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

import duckdb

from ..crashpoint import crashpoint
from ..errors import InvalidRequest, StoreError
from . import opening

T = TypeVar("T")

#: Kinds of error that a value from outside causes: text that is no Unicode, numbers out of range.
_UNFIT = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.BinderException)

_ATTEMPTS = 20  # of one read, each on a new instance

#: What DuckDB says when the instance is of no use any more.
SPOILT = ("database has been invalidated", "FATAL Error")


def spoils(error: BaseException) -> bool:
    """Whether the instance must be opened again after this error."""
    text = str(error)
    return isinstance(error, duckdb.FatalException) or any(s in text for s in SPOILT)


@contextmanager
def _moment(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """What is read meanwhile is as it was at the first of the queries."""
    cursor.begin()
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # what was only read needs no end that succeeds
            cursor.rollback()


class Database:
    """Thread-safe. ``repairs`` tells what was mended when it was opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repairs: list[str] = []
        self._log = folder / f"{opening.DATABASE}.wal"
        self._lock = threading.Condition()
        self._active: set[duckdb.DuckDBPyConnection] = set()
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._resetting = False
        self._closed = False
        self.generation = 1
        connection = opening.open_database(folder, self.repairs)
        connection = opening.migrate(folder, connection, self.repairs)
        self._root: duckdb.DuckDBPyConnection | None = opening.fold_log(folder, connection, self.repairs)
        self._identity = self._stat()

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.folder / opening.DATABASE)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def make_private(self) -> None:
        """DuckDB creates its log anew after every checkpoint, with the process's umask."""
        with suppress(OSError):
            if os.stat(self._log).st_mode & 0o077:
                os.chmod(self._log, 0o600)

    def check_file(self) -> None:
        """StoreError if the database file is gone or another one: what is written would be lost."""
        if self._stat() != self._identity:
            raise StoreError(
                f"the store {self.folder / opening.DATABASE} was removed or replaced while it was open. Move it back, "
                "or restart the service (`jupyter covalent restart`) to go on with what lies there now"
            )

    def _acquire(self, own: bool) -> duckdb.DuckDBPyConnection:
        while True:
            with self._lock:
                while self._resetting:
                    self._lock.wait()
                if self._closed:
                    raise StoreError(f"the store {self.folder} is closed")
                if self._root is not None:
                    connection = self._idle.pop() if self._idle and not own else self._root.cursor()
                    self._active.add(connection)
                    return connection
                generation = self.generation
            self.reset(generation)  # an earlier attempt to open it again failed

    @contextmanager
    def cursor(self, *, own: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that nobody else uses meanwhile; with ``own`` nobody before or afterwards either.

        StoreError while the database cannot be opened.
        """
        connection = self._acquire(own)
        sound = False
        try:
            yield connection
            sound = True
        finally:
            with self._lock:
                self._active.discard(connection)
                if sound and not own and not self._closed:
                    self._idle.append(connection)
                else:
                    with suppress(duckdb.Error):
                        connection.close()
                self._lock.notify_all()

    def read(self, query: Callable[[duckdb.DuckDBPyConnection], T], *, at_once: bool = False) -> T:
        """Run the query on a cursor of its own; again on a new instance if this one is spoilt. ``at_once``: all that it
        reads is as of one moment.

        InvalidRequest if it was given values that cannot be compared with ours; StoreError if the store fails,
        StoreDamaged (it says what to do) if its file is not what was written.
        """
        for left in reversed(range(_ATTEMPTS)):
            generation = self.generation
            try:
                with self.cursor() as cursor, _moment(cursor) if at_once else nullcontext():
                    return query(cursor)
            except duckdb.Error as e:
                if isinstance(e, _UNFIT):
                    raise InvalidRequest(f"the store cannot look for such a value: {str(e).splitlines()[0]}") from e
                if opening.is_damage(e):
                    raise opening.damaged(self.folder, str(e).split("\n")[0]) from e
                moved = self._resetting or self.generation != generation
                again = spoils(e) or (moved and isinstance(e, duckdb.InterruptException))
                if not (again and left):
                    raise StoreError(f"the store {self.folder} could not be read: {e}") from e
            self.reset(generation)
        raise AssertionError("unreachable")

    def reset(self, generation: int) -> None:
        """Close every handle and open the database again, unless that was done since ``generation``.

        Called by threads that hold no cursor. StoreError if it cannot be opened; then whoever writes next
        tries again.
        """
        with self._lock:
            while self._resetting:
                self._lock.wait()
            if self._closed or (generation != self.generation and self._root is not None):
                return
            self._resetting = True
            self._stop_active()
            self._close_handles()
        crashpoint("reopen.closed")
        root = None
        try:
            self.check_file()
            root = opening.open_database(self.folder, self.repairs)
        finally:
            with self._lock:
                self._root = root
                self.generation += root is not None
                self._resetting = False
                self._lock.notify_all()

    def _stop_active(self) -> None:
        """Wait for who holds a cursor; an interrupt that comes just before a query begins is lost, so repeat it."""
        while self._active:
            for connection in self._active:
                connection.interrupt()
            self._lock.wait(0.05)

    def _close_handles(self) -> None:
        handles = [*self._idle, *([self._root] if self._root is not None else [])]
        self._idle.clear()
        self._root = None
        for handle in handles:
            with suppress(duckdb.Error):
                handle.close()

    def close(self) -> None:
        """Waits for readers; then nothing can be read any more."""
        with self._lock:
            self._closed = True
            while self._resetting:
                self._lock.wait()
            self._stop_active()
            self._close_handles()
