"""Housekeeping: what takes room, and what of it may go."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from ..blobs import iter_blobs, last_use, remove_blob, remove_stale
from ..errors import Conflict, NotFound
from ..model.graph import Digest
from ..model.status import ENDED, Status
from . import rows
from .opening import DATABASE
from .tables import Tables

DAY = 86_400.0
TOMBSTONES = 10_000  # deletions that readers can still learn of
_TOP = 20  # dispatches and lattices that the disk report names


class Promised:
    """Digests that somebody was told are there and is about to refer to; remembered for a day."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[Digest, float] = {}

    def add(self, digests: Iterable[Digest]) -> None:
        now = time.monotonic()
        with self._lock:
            for digest in digests:
                self._until.pop(digest, None)
                self._until[digest] = now + DAY
            while self._until:
                oldest = next(iter(self._until))
                if self._until[oldest] > now:
                    return
                del self._until[oldest]

    def current(self) -> set[Digest]:
        now = time.monotonic()
        with self._lock:
            return {digest for digest, until in self._until.items() if until > now}


def _set(cursor: duckdb.DuckDBPyConnection, name: str, value: int | str) -> None:
    cursor.execute("DELETE FROM setting WHERE name = ?", [name])
    cursor.execute("INSERT INTO setting VALUES (?, ?)", [name, str(value)])


def compact(cursor: duckdb.DuckDBPyConnection, dispatch_id: str, last_seq: int) -> int:
    """Drop the events of an ended dispatch; how many. NotFound, Conflict."""
    row = cursor.execute("SELECT status FROM dispatch WHERE dispatch_id = ?", [dispatch_id]).fetchone()
    if row is None:
        raise NotFound(f"no dispatch {dispatch_id!r}")
    if Status(row[0]) not in ENDED:
        raise Conflict(f"dispatch {dispatch_id} has not ended ({row[0]}): its events are needed to go on with it")
    dropped = cursor.execute("DELETE FROM event WHERE dispatch_id = ?", [dispatch_id]).fetchone()
    _set(cursor, "highest_seq", last_seq)
    return int(dropped[0]) if dropped else 0


def lay_out_inputs(cursor: duckdb.DuckDBPyConnection) -> int:
    """Rows of ``recent`` become rows of ``input``; how many."""
    row = cursor.execute("SELECT count(*) FROM recent").fetchone()
    if row is None or not row[0]:
        return 0
    cursor.execute(
        "INSERT INTO input SELECT dispatch_id, (item->>0)::INTEGER, item->>1, item->>2, item->>3, (item->>4)::DOUBLE "
        "FROM (SELECT dispatch_id, unnest(from_json(data, '[\"JSON\"]')) AS item FROM recent)"
    )
    cursor.execute("DELETE FROM recent")
    return int(row[0])


#: Setting: what is searched of the store's dispatches is of this making; with an id behind a colon, of those up to it.
SEARCH = "search"


def renew_search(cursor: duckdb.DuckDBPyConnection, most: int) -> int:
    """What is searched of some dispatches that an earlier version stored becomes what it is today; of how many, 0 when all are
    done. Where it was interrupted, it goes on."""
    row = cursor.execute("SELECT value FROM setting WHERE name = ?", [SEARCH]).fetchone()
    version, _, upto = (row[0] if row else "").partition(":")
    if version == str(rows.SEARCHED) and not upto:
        return 0
    after = upto if version == str(rows.SEARCHED) else ""
    found = cursor.execute(
        f"SELECT {rows.DISPATCH}, dispatch_id FROM dispatch WHERE dispatch_id > ? ORDER BY dispatch_id LIMIT ?",
        [after, most],
    ).fetchall()
    if found:
        cursor.execute(
            "UPDATE dispatch SET search = new.search FROM (SELECT unnest(?::VARCHAR[]) AS id, unnest(?::VARCHAR[]) AS search) new "
            "WHERE dispatch_id = new.id",
            [[r[2] for r in found], [rows.searched(rows.dispatch_row(r)) for r in found]],
        )
    _set(cursor, SEARCH, f"{rows.SEARCHED}:{found[-1][2]}" if found else str(rows.SEARCHED))
    return len(found)


def compact_ended(cursor: duckdb.DuckDBPyConnection, before: float, last_seq: int, most: int) -> int:
    """Drop the events of some dispatches whose root ended before that time: of one at least, and of about ``most`` events in all;
    how many, 0 when there are no more."""
    ended = [str(status) for status in ENDED]
    found = cursor.execute(
        """
        SELECT e.dispatch_id FROM (
            SELECT dispatch_id, sum(count(*)) OVER (ORDER BY dispatch_id) - count(*) AS before
            FROM event WHERE dispatch_id IN (
                SELECT d.dispatch_id FROM dispatch d JOIN dispatch root ON root.dispatch_id = d.root_id
                WHERE root.created <= ? AND list_contains(?, root.status) AND list_contains(?, d.status)
                    AND (root.data->>'ended')::DOUBLE <= ?)
            GROUP BY dispatch_id) e
        WHERE e.before < ?
        """,
        [before, ended, ended, before, most],
    ).fetchall()
    if not found:
        return 0
    ids = [dispatch_id for (dispatch_id,) in found]
    dropped = cursor.execute("DELETE FROM event WHERE dispatch_id IN (SELECT unnest(?::VARCHAR[]))", [ids]).fetchone()
    _set(cursor, "highest_seq", last_seq)
    return int(dropped[0]) if dropped else 0


def prune_tombstones(cursor: duckdb.DuckDBPyConnection, last_seq: int) -> None:
    """Forget the oldest deletions; readers older than them take a snapshot."""
    row = cursor.execute("SELECT seq FROM tombstone ORDER BY seq DESC LIMIT 1 OFFSET ?", [TOMBSTONES]).fetchone()
    if row is not None:
        cursor.execute("DELETE FROM tombstone WHERE seq <= ?", [row[0]])
        _set(cursor, "horizon", row[0])
        _set(cursor, "highest_seq", last_seq)


def collect_values(
    cursor: duckdb.DuckDBPyConnection, tables: Tables, keep: set[Digest], older_than: float
) -> tuple[int, int]:
    """Remove inline values that nothing refers to; (how many, bytes). Runs in the writer's turn."""
    held = list(keep.union(tables.recent))
    condition = (
        "created < ? AND digest NOT IN (SELECT digest FROM reference) AND digest NOT IN (SELECT unnest(?::VARCHAR[]))"
    )
    values = [time.time() - older_than, held]
    row = cursor.execute(f"SELECT count(*), sum(size) FROM value WHERE {condition}", values).fetchone()
    if row is None or not row[0]:
        return 0, 0
    cursor.execute(f"DELETE FROM value WHERE {condition}", values)
    tables.likely = None  # some of them may be gone
    return int(row[0]), int(row[1])


def single_out_values(cursor: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Of inline values that lie there more than once the newest row stays; (how many rows went, bytes)."""
    heads = "SELECT head FROM value GROUP BY head HAVING count(*) > 1"
    if cursor.execute(f"{heads} LIMIT 1").fetchone() is None:
        return 0, 0
    gone = cursor.execute(
        f"""
        DELETE FROM value USING (
            SELECT digest, max(rowid) AS newest FROM value WHERE head IN ({heads}) GROUP BY digest) AS one
        WHERE value.digest = one.digest AND value.rowid < one.newest
        RETURNING size
        """
    ).fetchall()
    return len(gone), sum(size for (size,) in gone)


def old_blobs(root: Path, older_than: float) -> list[Digest]:
    """Blob files that nobody has written or relied on lately."""
    limit = time.time() - older_than
    return [blob.digest for blob in iter_blobs(root) if blob.used < limit]


def remove_blobs(root: Path, candidates: Iterable[Digest], held: set[Digest], older_than: float) -> tuple[int, int]:
    """Remove the candidates that are not held and were not touched meanwhile; (how many, bytes)."""
    limit = time.time() - older_than
    count = freed = 0
    for digest in candidates:
        if digest in held:
            continue
        with suppress(OSError):
            if last_use(os.stat(root / digest[:2] / digest)) < limit:
                freed += remove_blob(root, digest)
                count += 1
    remove_stale(root, max(older_than, DAY))
    return count, freed


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _tree(path: Path) -> int:
    """Bytes of the files below, as far as they can be read."""
    total = 0
    for folder, _, names in os.walk(path):
        total += sum(_size(Path(folder, name)) for name in names)
    return total


def disk(folder: Path, blob_root: Path, cursor: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Bytes by kind, and the dispatches and lattices that take most (values that several share count for each)."""
    blobs = {blob.digest: blob.size for blob in iter_blobs(blob_root)}
    logs: dict[str, int] = {}
    with suppress(OSError):
        logs = {entry.name: _tree(Path(entry.path)) for entry in os.scandir(folder / "logs") if entry.is_dir()}
    inline = cursor.execute("SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM value").fetchone() or (0, 0)
    found = cursor.execute(
        """
        WITH file AS (SELECT unnest(?::VARCHAR[]) AS digest, unnest(?::BIGINT[]) AS size),
        log AS (SELECT unnest(?::VARCHAR[]) AS dispatch_id, unnest(?::BIGINT[]) AS size),
        sized AS (SELECT digest, size FROM file UNION SELECT digest, size FROM value),
        item AS (
            SELECT r.dispatch_id, s.size FROM (SELECT DISTINCT dispatch_id, digest FROM reference) r
                JOIN sized s ON s.digest = r.digest
            UNION ALL SELECT dispatch_id, size FROM log
            UNION ALL SELECT dispatch_id, size FROM manifest)
        SELECT d.root_id, any_value(root.lattice), sum(item.size)::BIGINT AS bytes
        FROM item JOIN dispatch d ON d.dispatch_id = item.dispatch_id
            LEFT JOIN dispatch root ON root.dispatch_id = d.root_id
        GROUP BY d.root_id ORDER BY bytes DESC, d.root_id
        """,
        [list(blobs), list(blobs.values()), list(logs), list(logs.values())],
    ).fetchall()
    lattices: dict[str, int] = {}
    for _, lattice, size in found:
        lattices[lattice or ""] = lattices.get(lattice or "", 0) + size
    database, log = _size(folder / DATABASE), _size(folder / f"{DATABASE}.wal")
    return {
        "folder": str(folder),
        "blob_root": str(blob_root),
        "database": database,
        "log": log,
        "blobs": sum(blobs.values()),
        "blob_count": len(blobs),
        "inline": int(inline[1]),
        "inline_count": int(inline[0]),
        "logs": sum(logs.values()),
        "total": database + log + sum(blobs.values()) + sum(logs.values()),
        "free": shutil.disk_usage(folder).free,
        "dispatches": [{"dispatch_id": d, "lattice": name or "", "bytes": size} for d, name, size in found[:_TOP]],
        "lattices": [
            {"lattice": name, "bytes": size}
            for name, size in sorted(lattices.items(), key=lambda item: -item[1])[:_TOP]
        ],
    }
