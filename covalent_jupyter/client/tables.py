"""Past runs and queries as tables: pandas DataFrames where pandas is installed, else lists of dicts that look well."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..model import DispatchRow, Status
from .display import html_table, size_text, text_table, took
from .electrons import moment
from .rest import connect

#: rows that a table shows of itself
SHOWN = 60


class Table(list[dict[str, Any]]):
    """Rows as dicts, shown as a table."""

    def __init__(self, rows: Sequence[dict[str, Any]] = (), columns: Sequence[str] | None = None) -> None:
        super().__init__(rows)
        self.columns = list(columns) if columns is not None else list(dict.fromkeys(k for row in self for k in row))

    def _shown(self) -> list[list[Any]]:
        return [[_plain(row.get(c)) for c in self.columns] for row in self[:SHOWN]]

    def __repr__(self) -> str:
        if not self.columns:
            return "(no rows)"
        more = len(self) - SHOWN
        return text_table(self.columns, self._shown()) + (f"\n... and {more} more rows" if more > 0 else "")

    def _repr_html_(self) -> str:
        more = len(self) - SHOWN
        return html_table(self.columns, self._shown()) + (f"<div>and {more} more rows</div>" if more > 0 else "")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{value:.6g}" if isinstance(value, float) else value


def table_of(rows: list[dict[str, Any]], columns: Sequence[str], pandas: bool | None) -> Any:
    """A DataFrame where pandas is installed (or as ``pandas`` says), else a :class:`Table`."""
    wanted = importlib.util.find_spec("pandas") is not None if pandas is None else pandas
    if not wanted:
        return Table(rows, columns)
    return importlib.import_module("pandas").DataFrame(rows, columns=list(columns))


COLUMNS = (
    "dispatch_id", "name", "lattice", "status", "electrons", "completed", "failed", "created", "start_time", "end_time",
    "duration", "inputs", "tags", "notebook", "redispatch_of", "error",
)  # fmt: skip


def row_dict(row: DispatchRow) -> dict[str, Any]:
    """A dispatch as one flat row; times are aware datetimes, ``duration`` seconds."""
    return {
        "dispatch_id": row.dispatch_id, "name": row.name, "lattice": row.lattice, "status": str(row.status),
        "electrons": row.counts.total, "completed": row.counts.completed, "failed": row.counts.failed,
        "created": moment(row.created), "start_time": moment(row.started), "end_time": moment(row.ended),
        "duration": took(row.started, row.ended), "inputs": row.inputs, "tags": row.tags, "notebook": row.notebook,
        "redispatch_of": row.redispatch_of, "error": row.error,
    }  # fmt: skip


def dispatches(
    limit: int = 100,
    *,
    status: str | Status | None = None,
    name: str | None = None,
    lattice: str | None = None,
    notebook: str | None = None,
    tag: str | None = None,
    parent: str | None = None,
    pandas: bool | None = None,
) -> Any:
    """Past and present runs, newest first: a DataFrame where pandas is installed (``pandas=False``: a :class:`Table`).

    ``name`` finds text in names and ids, ``lattice`` is the name of the lattice; sublattices' runs are
    listed by ``parent``.
    """
    rest = connect()
    rows: list[dict[str, Any]] = []
    before: Any = None
    while len(rows) < limit:
        page = rest.dispatches(
            limit=min(limit - len(rows), 500), before=before,
            status=str(Status(status)) if status is not None else None,
            q=name, lattice=lattice, notebook=notebook, tag=tag, parent=parent,
        )  # fmt: skip
        rows += [row_dict(row) for row in page.dispatches]
        before = page.next
        if before is None or not page.dispatches:
            break
    return table_of(rows, COLUMNS, pandas)


def sql(query: str, max_rows: int = 10_000, *, pandas: bool | None = None) -> Any:
    """Rows of one SELECT over the store (read-only). Raises InvalidRequest with DuckDB's message.

    A warning says when there were more than ``max_rows``.
    """
    answer = connect().sql(query, max_rows)
    columns = [str(c) for c in answer["columns"]]
    if answer.get("truncated"):
        warnings.warn(f"only the first {max_rows} rows are given; max_rows=... gives more", stacklevel=2)
    return table_of([dict(zip(columns, row, strict=True)) for row in answer["rows"]], columns, pandas)


def sql_schema(*, pandas: bool | None = None) -> Any:
    """The views that ``sql`` may ask, with their columns: ``view, column, type, what it is``."""
    found = connect().get("sql/schema")
    rows = [
        {"view": view["name"], "column": column["name"], "type": column["type"], "what it is": column["text"]}
        for view in found["views"]
        for column in view["columns"]
    ]
    return table_of(rows, ("view", "column", "type", "what it is"), pandas)


class Facts(dict[str, Any]):
    """A dict that is shown as two columns."""

    def __repr__(self) -> str:
        return text_table(("", ""), [(k, _fact(k, v)) for k, v in self.items()], limit=100).lstrip("\n ")

    def _repr_html_(self) -> str:
        return html_table(("", ""), [(k, _fact(k, v)) for k, v in self.items()])


def _fact(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {size_text(v) if name == 'parts' else _fact(k, v)}" for k, v in value.items())
    if isinstance(value, (int, float)) and not isinstance(value, bool) and name.split("_")[-1] in SIZES:
        return size_text(value)
    return _plain(value)


#: names of numbers that are bytes
SIZES = frozenset({"bytes", "size", "free", "total", "budget", "freed"})


def disk() -> Facts:
    """What the store takes on the disk and what is free, in bytes."""
    return Facts(connect().get("disk"))
