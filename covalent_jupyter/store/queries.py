"""Reads. Each function takes a cursor that nobody else uses meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from types import EllipsisType
from typing import Any

import duckdb

from ..model.graph import Digest
from ..model.status import ENDED, Status
from ..model.views import AttemptRow, DispatchRow, ElectronRow
from . import rows
from .batch import Changes, Group, Summary
from .plan import PORTION

Cursor = duckdb.DuckDBPyConnection
_ENDED = "(" + ", ".join(f"'{s.value}'" for s in sorted(ENDED)) + ")"


def _page(number: int) -> int:
    """A limit or an offset as DuckDB takes it."""
    return max(0, min(number, 2**40))


def _like(text: str) -> str:
    """A LIKE pattern for texts that start with this one (escape character ``\\``)."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def dispatch(cursor: Cursor, dispatch_id: str) -> DispatchRow | None:
    row = cursor.execute(f"SELECT {rows.DISPATCH} FROM dispatch WHERE dispatch_id = ?", [dispatch_id]).fetchone()
    return None if row is None else rows.dispatch_row(row)


def find(cursor: Cursor, prefix: str, limit: int) -> list[str]:
    found = cursor.execute(
        "SELECT dispatch_id FROM dispatch WHERE dispatch_id LIKE ? ESCAPE '\\' "
        "ORDER BY created DESC, dispatch_id LIMIT ?",
        [_like(prefix), _page(limit)],
    ).fetchall()
    return [r[0] for r in found]


def newest(cursor: Cursor, n: int) -> list[str]:
    query = "SELECT dispatch_id FROM dispatch ORDER BY created DESC, dispatch_id DESC LIMIT ?"
    found = cursor.execute(query, [_page(n)]).fetchall()
    return [r[0] for r in found]


def _statuses(status: str | Status | Collection[str | Status]) -> list[str]:
    given = [status] if isinstance(status, str) else list(status)
    return [str(s).upper() for s in given]


def _conditions(
    *,
    status: str | Status | Collection[str | Status] | None,
    text: str | None,
    lattice: str | None,
    notebook: str | None,
    tag: str | None,
    parent: str | None | EllipsisType,
    root: str | None,
    name: str | None = None,
    tags: Collection[str] = (),
    since: float | None = None,
    until: float | None = None,
) -> tuple[str, list[Any]]:
    where: list[str] = ["true"]
    values: list[Any] = []
    if status is not None:
        where.append("status IN (SELECT unnest(?::VARCHAR[]))")
        values.append(_statuses(status))
    for column, wanted in (("lattice", lattice), ("root_id", root)):
        if wanted is not None:
            where.append(f"{column} = ?")
            values.append(wanted)
    if notebook is not None:
        relative = bool(notebook) and not notebook.startswith("/")
        where.append("(notebook = ? OR ends_with(notebook, ?))" if relative else "notebook = ?")
        values += [notebook, f"/{notebook}"] if relative else [notebook]
    for wanted in (*tags, *((tag,) if tag is not None else ())):
        where.append("list_contains(from_json(data->'tags', '[\"VARCHAR\"]'), ?)")
        values.append(wanted)
    if name:
        where.append("contains(lower(data->>'name'), ?)")
        values.append(name.lower())
    if since is not None:
        where.append("created >= ?")
        values.append(since)
    if until is not None:
        where.append("created < ?")
        values.append(until)
    if parent is None:
        where.append("parent_id IS NULL")
    elif isinstance(parent, str):
        where.append("parent_id = ?")
        values.append(parent)
    if text:
        found = "contains(search, ?)"
        values.append(text.lower())
        if parent is None:  # a dispatch is found by its sublattices too
            found += (
                " OR dispatch_id IN (SELECT root_id FROM dispatch WHERE parent_id IS NOT NULL AND contains(search, ?))"
            )
            values.append(text.lower())
        where.append(f"({found})")
    return " AND ".join(where), values


def dispatches(
    cursor: Cursor, *, limit: int, before: tuple[float, str] | None, **filters: Any
) -> tuple[list[DispatchRow], int]:
    condition, values = _conditions(**filters)
    counted = cursor.execute(f"SELECT count(*) FROM dispatch WHERE {condition}", values).fetchone()
    if before is not None:
        condition += " AND (created < ? OR (created = ? AND dispatch_id < ?))"
        values += [before[0], before[0], before[1]]
    found = cursor.execute(
        f"SELECT {rows.DISPATCH} FROM dispatch WHERE {condition} ORDER BY created DESC, dispatch_id DESC LIMIT ?",
        [*values, _page(limit)],
    ).fetchall()
    return [rows.dispatch_row(r) for r in found], int(counted[0]) if counted else 0


def children(cursor: Cursor, ids: Collection[str]) -> dict[str, int]:
    """How many runs of sublattices the dispatches have, those that have none left out."""
    query = "SELECT parent_id, count(*) FROM dispatch WHERE parent_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY 1"
    return dict(cursor.execute(query, [list(ids)]).fetchall())


def summary(cursor: Cursor, by: str, most: int, **filters: Any) -> Summary:
    condition, values = _conditions(**filters)
    states = dict(
        cursor.execute(f"SELECT status, count(*) FROM dispatch WHERE {condition} GROUP BY 1", values).fetchall()
    )
    newest = "SELECT greatest((SELECT max(seq) FROM dispatch), (SELECT max(seq) FROM tombstone), 0)"
    ((seq,),) = cursor.execute(newest).fetchall()
    if not by:
        return Summary(states, [], seq)
    assert by in ("lattice", "notebook")
    found = cursor.execute(
        f"SELECT {by}, count(*), count(*) FILTER (status NOT IN {_ENDED}), count(*) FILTER (status = 'FAILED'), "
        "max(created), count(*) FILTER (status = 'COMPLETED'), count(*) FILTER (status = 'CANCELLED') "
        f"FROM dispatch WHERE {condition} GROUP BY 1 ORDER BY 5 DESC, 1 LIMIT ?",
        [*values, _page(most)],
    ).fetchall()
    return Summary(states, [Group(*row) for row in found], seq)


def electrons(
    cursor: Cursor,
    dispatch_id: str,
    *,
    offset: int,
    limit: int,
    status: str | Status | Collection[str | Status] | None,
    name: str | None,
    nodes: Iterable[int] | None,
) -> tuple[list[ElectronRow], int]:
    where: list[str] = ["dispatch_id = ?"]
    values: list[Any] = [dispatch_id]
    if status is not None:
        where.append("status IN (SELECT unnest(?::VARCHAR[]))")
        values.append(_statuses(status))
    if name:
        where.append("contains(lower(name), lower(?))")
        values.append(name)
    if nodes is not None:
        where.append("node IN (SELECT unnest(?::BIGINT[]))")
        values.append([n for n in nodes if -(2**63) <= n < 2**63])
    condition = " AND ".join(where)
    counted = cursor.execute(f"SELECT count(*) FROM electron WHERE {condition}", values).fetchone()
    found = cursor.execute(
        f"SELECT {rows.ELECTRON} FROM electron WHERE {condition} ORDER BY node LIMIT ? OFFSET ?",
        [*values, _page(limit), _page(offset)],
    ).fetchall()
    return [rows.electron_row(r) for r in found], int(counted[0]) if counted else 0


def electron(cursor: Cursor, dispatch_id: str, node: int) -> ElectronRow | None:
    row = cursor.execute(
        f"SELECT {rows.ELECTRON} FROM electron WHERE dispatch_id = ? AND node = ?", [dispatch_id, node]
    ).fetchone()
    return None if row is None else rows.electron_row(row)


#: Electrons' rows whose attempt has been handed to an executor.
_ATTEMPTED = "queued IS NOT NULL AND status <> 'NEW_OBJECT'"


def attempts(
    cursor: Cursor, dispatch_id: str, *, node: int | None, offset: int, limit: int
) -> tuple[list[AttemptRow], int]:
    """Attempts in the order of nodes and their numbers, and how many there are."""
    where, values = "dispatch_id = ?", [dispatch_id]
    if node is not None:
        where += f" AND node = {int(node)}"
    counted = cursor.execute(
        f"SELECT (SELECT count(*) FROM attempt WHERE {where}) "
        f"+ (SELECT count(*) FROM electron WHERE {where} AND {_ATTEMPTED})",
        values * 2,
    ).fetchone()
    found = cursor.execute(
        f"SELECT {rows.ATTEMPT}, false FROM attempt WHERE {where} UNION ALL "
        f"SELECT {rows.ATTEMPT}, true FROM electron WHERE {where} AND {_ATTEMPTED} "
        "ORDER BY node, attempt LIMIT ? OFFSET ?",
        [*values * 2, _page(limit), _page(offset)],
    ).fetchall()
    return [rows.attempt_row(r) for r in found], counted[0] if counted else 0


def metrics(
    cursor: Cursor, dispatch_id: str, *, node: int | None, attempt: int | None, after: int, points: int
) -> list[tuple[int, int, str, int, float, float]]:
    """(node, attempt, name, step, time, value) of numbers that were reported, thinned to ``points`` a series: of the
    latest attempt that reported any, unless another one is asked for."""
    where, values = "dispatch_id = ?", [dispatch_id, *([] if node is None else [node])]
    if node is not None:
        where += " AND node = ?"
    chosen = "attempt = latest" if attempt is None else f"attempt = {int(attempt)}"
    query = f"""
        WITH found AS (
            SELECT *, max(attempt) OVER (PARTITION BY node) AS latest FROM metric WHERE {where}),
        numbered AS (
            SELECT *, count(*) OVER (PARTITION BY node, name) AS n,
                row_number() OVER (PARTITION BY node, name ORDER BY step) AS i
            FROM found WHERE {chosen} AND value IS NOT NULL AND step > ?)
        SELECT node, attempt, name, step, time, value FROM numbered
        WHERE i = n OR (i - 1) % greatest(1, ceil(n / ?)::BIGINT) = 0 ORDER BY node, name, step
        """
    return cursor.execute(query, [*values, after, max(1, points)]).fetchall()


def reports(cursor: Cursor, dispatch_id: str) -> dict[int, tuple[int, int]]:
    """Node -> (latest attempt that reported anything, how many reports of it)."""
    query = (
        "SELECT node, max(attempt), arg_max(step, (attempt, step)) + 1 FROM metric WHERE dispatch_id = ? GROUP BY node"
    )
    return {node: (attempt, count) for node, attempt, count in cursor.execute(query, [dispatch_id]).fetchall()}


def changes(
    cursor: Cursor,
    after: int,
    upto: int,
    dispatch_id: str | None,
    limit: int,
    electrons_of: Collection[str] | None = None,
) -> Changes:
    """What has a number above ``after``, in portions of about ``limit`` electrons, as of one moment: the row of a
    dispatch is never older than those of its electrons. ``upto`` is the last number that is known to be stored; what
    has come since is told too where all of it fits, and once more after ``upto``."""
    if after == upto:
        return Changes(upto, [], [], [])
    horizon = cursor.execute("SELECT max(value::BIGINT) FROM setting WHERE name = 'horizon'").fetchone()
    if after > upto or (horizon is not None and horizon[0] is not None and after < horizon[0]):
        return Changes(upto, [], [], [], reset=True)
    limit = max(_page(limit), PORTION)
    end, more = upto, False
    only = "" if dispatch_id is None else "AND dispatch_id = ?"
    own: list[Any] = [] if dispatch_id is None else [dispatch_id]
    asked = [("dispatch", rows.DISPATCH, only, own)]
    if electrons_of is None:
        asked.append(("electron", rows.ELECTRON, only, own))
    elif electrons_of:
        chosen = f"{only} AND dispatch_id IN (SELECT unnest(?::VARCHAR[]))"
        asked.append(("electron", rows.ELECTRON, chosen, [*own, list(electrons_of)]))
    for table, _, condition, values in reversed(asked):
        row = cursor.execute(
            f"SELECT seq FROM {table} WHERE seq > ? AND seq <= ? {condition} ORDER BY seq LIMIT 1 OFFSET ?",
            [after, end, *values, limit],
        ).fetchone()
        if row is not None:
            end, more = max(int(row[0]) - 1, after + 1), True
    last = end if more else 2**63 - 1  # a row that was changed a moment ago would be missing
    found: dict[str, list[Any]] = {
        table: cursor.execute(
            f"SELECT {columns} FROM {table} WHERE seq > ? AND seq <= ? {condition} ORDER BY seq", [after, last, *values]
        ).fetchall()
        for table, columns, condition, values in asked
    }
    deleted = cursor.execute(
        f"SELECT DISTINCT dispatch_id FROM tombstone WHERE seq > ? AND seq <= ? {only} AND dispatch_id NOT IN "
        "(SELECT dispatch_id FROM dispatch)",
        [after, end, *own],
    ).fetchall()
    return Changes(
        end,
        [rows.dispatch_row(r) for r in found["dispatch"]],
        [rows.electron_row(r) for r in found.get("electron", [])],
        [r[0] for r in deleted],
        more=more,
    )


def events(cursor: Cursor, dispatch_id: str) -> list[tuple[int, str, bytes]]:
    query = "SELECT seq, kind, data FROM event WHERE dispatch_id = ? ORDER BY seq"
    return cursor.execute(query, [dispatch_id]).fetchall()


def unfinished(cursor: Cursor) -> list[str]:
    query = f"SELECT dispatch_id FROM dispatch WHERE status NOT IN {_ENDED} ORDER BY created, seq"
    found = cursor.execute(query).fetchall()
    return [r[0] for r in found]


def manifest(cursor: Cursor, dispatch_id: str) -> tuple[Digest | None, bytes | None] | None:
    """Digest of its blob file, or its bytes."""
    return cursor.execute("SELECT digest, data FROM manifest WHERE dispatch_id = ?", [dispatch_id]).fetchone()


def values(cursor: Cursor, digests: Sequence[Digest]) -> dict[Digest, bytes]:
    heads = [rows.head_of(d) for d in digests]
    if len(heads) == 1:
        found = cursor.execute("SELECT digest, data FROM value WHERE head = ?", heads).fetchall()
    else:
        found = cursor.execute(
            "SELECT digest, data FROM value WHERE head IN (SELECT unnest(?::UBIGINT[]))", [heads]
        ).fetchall()
    wanted = set(digests)
    return {digest: data for digest, data in found if digest in wanted}


def present(cursor: Cursor, digests: Sequence[Digest]) -> set[Digest]:
    """Those of the digests that are inline values."""
    heads = [rows.head_of(d) for d in digests]
    found = cursor.execute("SELECT digest FROM value WHERE head IN (SELECT unnest(?::UBIGINT[]))", [heads]).fetchall()
    return {r[0] for r in found} & set(digests)


def references(cursor: Cursor, dispatch_id: str) -> list[Digest]:
    found = cursor.execute(
        "SELECT DISTINCT digest FROM reference WHERE dispatch_id = ? ORDER BY digest", [dispatch_id]
    ).fetchall()
    return [r[0] for r in found]


def sole_references(cursor: Cursor, ids: Collection[str]) -> list[tuple[Digest, int]]:
    found = cursor.execute(
        "WITH chosen AS (SELECT unnest(?::VARCHAR[]) AS dispatch_id), sole AS (SELECT digest FROM reference "
        "GROUP BY digest HAVING bool_and(dispatch_id IN (SELECT dispatch_id FROM chosen))) "
        "SELECT sole.digest, coalesce(max(value.size), 0) FROM sole LEFT JOIN value USING (digest) GROUP BY 1",
        [list(ids)],
    ).fetchall()
    return [(digest, int(size)) for digest, size in found]


def referenced(cursor: Cursor, digests: Iterable[Digest] | None = None) -> set[Digest]:
    """Digests that something refers to: all of them, or those among ``digests``."""
    sources = "(SELECT digest FROM reference UNION ALL SELECT digest FROM manifest WHERE digest IS NOT NULL)"
    if digests is None:
        return {r[0] for r in cursor.execute(f"SELECT DISTINCT digest FROM {sources}").fetchall()}
    found = cursor.execute(
        f"SELECT DISTINCT digest FROM {sources} WHERE digest IN (SELECT unnest(?::VARCHAR[]))", [list(digests)]
    ).fetchall()
    return {r[0] for r in found}


def lookup_key(cursor: Cursor, key: str, statuses: Collection[str | Status]) -> str | None:
    row = cursor.execute(
        "SELECT dispatch_id FROM dispatch WHERE key = ? AND status IN (SELECT unnest(?::VARCHAR[])) "
        "ORDER BY created DESC, dispatch_id DESC LIMIT 1",
        [key, _statuses(statuses)],
    ).fetchone()
    return None if row is None else str(row[0])


def settings(cursor: Cursor, prefix: str) -> dict[str, str]:
    found = cursor.execute("SELECT name, value FROM setting WHERE starts_with(name, ?)", [prefix]).fetchall()
    return dict(found)


def setting(cursor: Cursor, name: str) -> str | None:
    row = cursor.execute("SELECT value FROM setting WHERE name = ?", [name]).fetchone()
    return None if row is None else str(row[0])
