"""The tables: carrying out a plan inside a transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import duckdb

from ..model.graph import Digest
from .plan import Plan
from .rows import head_of

Cursor = duckdb.DuckDBPyConnection
_COLUMNS = {
    "event": 4, "dispatch": 11, "electron": 18, "manifest": 4, "value": 5, "reference": 2, "tombstone": 2, "setting": 2,
    "attempt": 15, "metric": 8, "recent": 2, "journal": 2,
}  # fmt: skip
#: What goes with a dispatch.
_OWNED = ("dispatch", "electron", "event", "manifest", "reference", "attempt", "metric", "input", "recent")
_FEW = 4  # rows up to which a plain INSERT beats an appender
_RECENT = 100_000
_NEWEST = 50  # dispatches whose values are likely to come again
_LIKELY = 20_000  # of these values, at most


def last_seq(cursor: Cursor) -> int:
    """The highest number ever given, deleted and compacted ones included."""
    row = cursor.execute(
        "SELECT greatest((SELECT max(seq) FROM event), (SELECT max(seq) FROM dispatch), "
        "(SELECT max(seq) FROM electron), (SELECT max(seq) FROM tombstone), (SELECT max(seq) FROM journal), "
        "(SELECT max(value::BIGINT) FROM setting WHERE name = 'highest_seq'), 0)"
    ).fetchone()
    return int(row[0]) if row else 0


class Tables:
    """Used by the writer's thread alone; others may ask whether ``known`` has an id. ``known`` are dispatches that have rows: the
    others need no deleting before they are inserted. ``recent`` are values that were written lately, and need not be written again;
    ``likely`` are others that the newest dispatches of an earlier process refer to, such as the local modules of a project: None
    as long as nobody has looked."""

    def __init__(self, known: set[str]) -> None:
        self.known = known
        self.recent: dict[Digest, None] = {}
        self.likely: set[Digest] | None = None
        self._statements: dict[str, duckdb.Statement] = {}

    @classmethod
    def load(cls, cursor: Cursor) -> Tables:
        found = cursor.execute("SELECT dispatch_id FROM dispatch UNION SELECT dispatch_id FROM electron").fetchall()
        return cls({r[0] for r in found})

    def write(self, cursor: Cursor, plan: Plan) -> None:
        """Carry the plan out inside the open transaction."""
        if plan.deletes:
            for table in _OWNED:
                self._forget(cursor, table, list(plan.deletes))
            self._insert(cursor, "tombstone", [(seq, dispatch_id) for dispatch_id, seq in plan.deletes.items()])
        self._insert(cursor, "event", plan.events)
        if plan.dispatches:
            self._forget(cursor, "dispatch", [d for d in plan.dispatches if d in self.known])
            self._insert(cursor, "dispatch", list(plan.dispatches.values()))
        if plan.electrons:
            self._write_electrons(cursor, plan)
        if plan.manifests:
            self._forget(cursor, "manifest", [d for d in plan.manifests if d in self.known])
            self._insert(cursor, "manifest", list(plan.manifests.values()))
        self._insert(cursor, "recent", plan.inputs)
        self._insert(cursor, "attempt", plan.attempts)
        self._insert(cursor, "metric", plan.metrics)
        self._write_values(cursor, plan)
        self._write_references(cursor, plan)
        for name, value in plan.settings.items():
            self._execute(cursor, "DELETE FROM setting WHERE name = ?", [name])
            if value is not None:
                self._insert(cursor, "setting", [(name, value)])

    def note(self, cursor: Cursor, seq: int, entry: bytes) -> None:
        """An entry of the journal, inside the open transaction."""
        self._insert(cursor, "journal", [(seq, entry)])

    def empty_journal(self, cursor: Cursor) -> None:
        """What it held stands in the tables now."""
        self._execute(cursor, "DELETE FROM journal", [])

    def committed(self, plan: Plan) -> None:
        """What is known once the plan is durable."""
        self.known.difference_update(plan.deletes)
        self.known.update(plan.dispatches, plan.electrons, plan.manifests)
        for digest in plan.values:
            self.recent.pop(digest, None)
            self.recent[digest] = None
        while len(self.recent) > _RECENT:
            del self.recent[next(iter(self.recent))]

    def _execute(self, cursor: Cursor, query: str, values: Sequence[Any]) -> None:
        """Run a statement that comes again and again: parsed once."""
        statement = self._statements.get(query)
        if statement is None:
            statement = self._statements[query] = cursor.extract_statements(query)[0]
        cursor.execute(statement, values)

    def _insert(self, cursor: Cursor, table: str, items: Sequence[Sequence[Any]]) -> None:
        if not items:
            return
        if len(items) <= _FEW:
            mark = "(" + ", ".join("?" * _COLUMNS[table]) + ")"
            query = f"INSERT INTO {table} VALUES {', '.join([mark] * len(items))}"
            self._execute(cursor, query, [v for row in items for v in row])
            return
        with cursor.appender(table) as appender:
            appender.append_rows(items)

    def _forget(self, cursor: Cursor, table: str, ids: Sequence[str]) -> None:
        if len(ids) == 1:
            self._execute(cursor, f"DELETE FROM {table} WHERE dispatch_id = ?", ids)
        elif ids:
            query = f"DELETE FROM {table} WHERE dispatch_id IN (SELECT unnest(?::VARCHAR[]))"
            self._execute(cursor, query, [list(ids)])

    def _write_electrons(self, cursor: Cursor, plan: Plan) -> None:
        known: list[tuple[str, list[int]]] = []
        for dispatch_id, nodes in plan.electrons.items():
            if dispatch_id not in self.known:
                continue
            fresh = plan.fresh.get(dispatch_id)
            old = list(nodes) if fresh is None else [n for n in nodes if n not in fresh]
            if old:
                known.append((dispatch_id, old))
        if len(known) <= _FEW:
            for dispatch_id, old in known:
                if len(old) == 1:
                    query = "DELETE FROM electron WHERE dispatch_id = ? AND node = ?"
                    self._execute(cursor, query, [dispatch_id, old[0]])
                else:
                    query = "DELETE FROM electron WHERE dispatch_id = ? AND node IN (SELECT unnest(?::INTEGER[]))"
                    self._execute(cursor, query, [dispatch_id, old])
        else:
            pairs = [(d, n) for d, old in known for n in old]
            query = (
                "DELETE FROM electron USING (SELECT unnest(?::VARCHAR[]) AS d, unnest(?::INTEGER[]) AS n) AS k "
                "WHERE dispatch_id = k.d AND node = k.n"
            )
            self._execute(cursor, query, [[d for d, _ in pairs], [n for _, n in pairs]])
        self._insert(cursor, "electron", [columns for nodes in plan.electrons.values() for columns in nodes.values()])

    def _write_values(self, cursor: Cursor, plan: Plan) -> None:
        """A value that was written long ago may come to lie here twice: both are the same bytes, and finding that
        out for each would cost more than they do. The next collection takes the second one away."""
        now, likely = time.time(), self.likely or set()
        new = [
            (head, digest, len(data), now, data)
            for digest, (head, data) in plan.values.items()
            if digest not in self.recent and digest not in likely
        ]
        self._insert(cursor, "value", new)

    def _write_references(self, cursor: Cursor, plan: Plan) -> None:
        if plan.dereferences:
            query = (
                "DELETE FROM reference USING (SELECT unnest(?::VARCHAR[]) AS d, unnest(?::VARCHAR[]) AS g) AS k "
                "WHERE reference.dispatch_id = k.d AND reference.digest = k.g"
            )
            self._execute(cursor, query, [[d for d, _ in plan.dereferences], [g for _, g in plan.dereferences]])
        self._insert(cursor, "reference", list(plan.references))


def likely(cursor: Cursor) -> set[Digest]:
    """Values in their table that the newest dispatches refer to."""
    found = cursor.execute(
        "SELECT digest FROM reference WHERE dispatch_id IN "
        "(SELECT dispatch_id FROM dispatch ORDER BY created DESC LIMIT ?) LIMIT ?",
        [_NEWEST, _LIKELY],
    ).fetchall()
    heads = list({head_of(digest) for (digest,) in found})
    query = "SELECT digest FROM value WHERE head IN (SELECT unnest(?::UBIGINT[]))"
    return {r[0] for r in cursor.execute(query, [heads]).fetchall()} if heads else set()
