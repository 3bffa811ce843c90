"""Queries of users: one SELECT, read-only, over views, with caps on rows and time."""

from __future__ import annotations

import datetime
import decimal
import math
import re
import threading
from contextlib import suppress
from typing import Any

import duckdb

from ..errors import InvalidRequest, StoreError
from .batch import Table
from .database import Database, spoils
from .naming import check_names
from .views import READABLE, VIEWS

_PATH = re.compile(r"(?:/[^\s/'\":;]+)+/?")
_ZONED = re.compile(r"TIMESTAMP WITH TIME ZONE|TIMESTAMPTZ|TIME WITH TIME ZONE", re.I)
_NAMES = ", ".join(VIEWS)
_MAX_ROWS = 1_000_000
_MAX_TEXT = 100_000  # characters of a query


def run(database: Database, query: str, *, max_rows: int, timeout: float) -> Table:
    """Carry out one SELECT. InvalidRequest says what is wrong with it; StoreError if the store cannot be read."""
    if not query.strip():
        raise InvalidRequest(f"the query is empty: one SELECT over the views {_NAMES} is expected")
    if len(query) > _MAX_TEXT:
        raise InvalidRequest(f"the query has {len(query)} characters; {_MAX_TEXT} are allowed")
    try:
        query.encode()
    except UnicodeEncodeError as e:
        raise InvalidRequest(f"the query is no valid Unicode text: {e}") from e
    max_rows = max(0, min(max_rows, _MAX_ROWS))
    generation = database.generation
    try:
        with database.cursor(own=True) as cursor:
            return _run(cursor, query, max_rows, timeout)
    except duckdb.Error as e:
        if spoils(e) or isinstance(e, duckdb.InterruptException):
            database.reset(generation)
            raise StoreError(f"the store was opened again while the query ran; ask once more ({_message(e)})") from e
        raise InvalidRequest(_message(e)) from e


def _run(own: duckdb.DuckDBPyConnection, query: str, max_rows: int, timeout: float) -> Table:
    """On a connection that is closed afterwards, with whatever the query left in it."""
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        own.interrupt()

    timer = threading.Timer(timeout, stop)
    timer.daemon = True
    try:
        select = _select(own, query)
        timer.start()
        check_names(own, select)
        _check_tables(own, select)
        own.execute("BEGIN TRANSACTION READ ONLY")
        return _fetch(own, select, max_rows)
    except duckdb.InterruptException as e:
        if not expired.is_set():
            raise
        raise InvalidRequest(f"the query was stopped after {timeout:g} s: narrow it down, or aggregate less") from e
    except (UnicodeError, ModuleNotFoundError, OverflowError, ValueError) as e:
        raise InvalidRequest(f"the query, or its result, cannot be represented: {e}") from e
    finally:
        timer.cancel()


def _select(own: duckdb.DuckDBPyConnection, query: str) -> str:
    """The only statement of the query, without a trailing semicolon."""
    statements = own.extract_statements(query)
    if len(statements) != 1:
        raise InvalidRequest(f"one SELECT statement is expected, not {len(statements)} statements")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name
        if kind == "MULTI":
            raise InvalidRequest(
                "PIVOT needs its values here: PIVOT ... ON status IN ('COMPLETED', 'FAILED') USING ..."
            )
        raise InvalidRequest(f"only SELECT is allowed here, not {kind}: the store is read-only for queries")
    return statements[0].query.strip().rstrip(";")


def _check_tables(own: duckdb.DuckDBPyConnection, select: str) -> None:
    """The same once more, of the tables that DuckDB finds behind the names, where it can: not with ``unnest`` in FROM."""
    with suppress(duckdb.BinderException):
        _check_behind({name.lower() for name in own.get_table_names(select)})


def _check_behind(named: set[str]) -> None:
    hidden = sorted(named - READABLE)
    if hidden:
        raise InvalidRequest(f"{hidden[0]!r} is not for queries: they may name {_NAMES}")


def _fetch(own: duckdb.DuckDBPyConnection, select: str, max_rows: int) -> Table:
    own.execute(select)
    described = own.description or []
    zoned = [f'"{_quoted(d[0])}"' for d in described if _ZONED.search(str(d[1]))]
    if zoned:  # Python's values of these types need a package that nothing else here needs
        replaced = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in zoned)
        own.execute(f"SELECT * REPLACE ({replaced}) FROM ({select}\n)")
    fetched = own.fetchmany(max_rows + 1)
    return Table(
        [d[0] for d in described],
        [str(d[1]) for d in described],
        [[plain(value) for value in row] for row in fetched[:max_rows]],
        len(fetched) > max_rows,
    )


def _quoted(name: str) -> str:
    return name.replace('"', '""')


def _message(error: duckdb.Error) -> str:
    """DuckDB's message, without paths of this machine."""
    return _PATH.sub("<path>", str(error).strip())


def plain(value: Any) -> Any:
    """The value as JSON has it: times as ISO 8601, bytes as hex, numbers beyond JSON as text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple, set)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return str(value)
