"""The open database instance: a cursor for whoever reads, and a new instance when this one is spoilt.

An error while DuckDB writes its file (a full disk during a checkpoint) spoils the whole instance, reads
included, until every handle of it is closed. So all handles are given out and taken back here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import duckdb

from ..errors import StoreError
from . import opening

T = TypeVar("T")

#: What DuckDB says when the instance is of no use any more.
SPOILT = ("database has been invalidated", "FATAL Error")


def spoils(error: BaseException) -> bool:
    """Whether the instance must be opened again after this error."""
    text = str(error)
    return isinstance(error, duckdb.FatalException) or any(s in text for s in SPOILT)


class Database:
    """Thread-safe. ``repairs`` tells what was mended when it was opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repairs: list[str] = []
        self._lock = threading.Condition()
        self._active: set[duckdb.DuckDBPyConnection] = set()
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._resetting = False
        self._closed = False
        self.generation = 1
        connection = opening.open_database(folder, self.repairs)
        self._root: duckdb.DuckDBPyConnection | None = opening.migrate(folder, connection, self.repairs)
        self._identity = self._stat()

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.folder / opening.DATABASE)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def check_file(self) -> None:
        """StoreError if the database file is gone or another one: what is written would be lost."""
        if self._stat() != self._identity:
            raise StoreError(
                f"the store {self.folder / opening.DATABASE} was removed or replaced while it was open. Move it back, "
                "or restart the service (`jupyter covalent restart`) to go on with what lies there now"
            )

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that nobody else uses meanwhile. StoreError while the database cannot be opened."""
        with self._lock:
            while self._resetting:
                self._lock.wait()
            if self._closed:
                raise StoreError(f"the store {self.folder} is closed")
            if self._root is None:
                raise StoreError(f"the store {self.folder} cannot be opened at the moment")
            connection = self._idle.pop() if self._idle else self._root.cursor()
            self._active.add(connection)
        sound = False
        try:
            yield connection
            sound = True
        finally:
            with self._lock:
                self._active.discard(connection)
                if sound and not self._closed:
                    self._idle.append(connection)
                else:
                    with suppress(duckdb.Error):
                        connection.close()
                self._lock.notify_all()

    def read(self, query: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run the query on a cursor of its own; once more on a new instance if this one is spoilt."""
        generation = self.generation
        try:
            with self.cursor() as cursor:
                return query(cursor)
        except duckdb.Error as e:
            interrupted = isinstance(e, duckdb.InterruptException) and self._resetting
            if not (spoils(e) or interrupted):
                raise StoreError(f"the store {self.folder} could not be read: {e}") from e
        self.reset(generation)
        try:
            with self.cursor() as cursor:
                return query(cursor)
        except duckdb.Error as e:
            raise StoreError(f"the store {self.folder} could not be read: {e}") from e

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
            for connection in self._active:
                connection.interrupt()
            while self._active:
                self._lock.wait()
            self._close_handles()
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
            for connection in self._active:
                connection.interrupt()
            while self._active or self._resetting:
                self._lock.wait()
            self._close_handles()
